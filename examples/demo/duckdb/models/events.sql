{{ config(materialized='table', event_time='event_time') }}
select timestamp '2024-09-01' + i * interval '1 hour' as event_time, i % 7 as visitor,
    case i when 80 then 'n/a' else cast(i % 5 as varchar) end as amount
from range(0, 130) t(i)
