{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='event_time',
    batch_size='day', begin='2024-09-01') }}
select date_trunc('day', event_time) as event_time, visitor, sum(cast(amount as integer)) as amount
from {{ ref('events') }}
group by 1, 2
