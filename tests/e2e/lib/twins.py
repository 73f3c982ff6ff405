# SPDX-License-Identifier: Apache-2.0
"""
A dbt project with a microbatch model for each way in which people write them: the same models are built by dbt in one
schema and by a mount in another.
"""
import textwrap

EVENTS = "{{ source('raw', 'events') }}"
FROM = f"from {EVENTS}"
COLUMNS = "select id, at, kind, val"

PROJECT = """
name: twins
version: '1.0'
profile: twins
config-version: 2
flags: {send_anonymous_usage_stats: false}
models:
  twins:
    +materialized: incremental
    +incremental_strategy: microbatch
    +event_time: at
    +batch_size: day
    +begin: '2024-09-01'
    +unique_key: id
    asks:
      +tags: [asks]
"""

PROPERTIES = """
sources:
  - name: raw
    tables:
      - {name: events, config: {event_time: at}}
      - {name: moving, config: {event_time: at}}
      - {name: wide, config: {event_time: at}}
      - {name: domained, config: {event_time: at}}
      - {name: named, identifier: quoted, quoting: {column: true}, config: {event_time: When}}
      - {name: listed, identifier: quoted, config: {event_time: When}, columns: [{name: When, quote: true}]}
      - {name: local, identifier: events, config: {event_time: local}}
      - {name: dates, identifier: events, config: {event_time: day}}
      - {name: all_events, identifier: events}
      - {name: users}
models:
  - {name: own_quoted, columns: [{name: When, quote: true}]}
  - {name: of_own_quoted, columns: [{name: When, quote: true}]}
  - name: contract
    config: {contract: {enforced: true}, on_schema_change: fail}
    constraints: [{type: primary_key, columns: [id, at]}, {type: check, name: sane, expression: id > 0}]
    columns:
      - {name: at, data_type: timestamptz, constraints: [{type: not_null}]}
      - {name: id, data_type: bigint, constraints: [{type: not_null}, {type: check, expression: id < 100000}]}
      - {name: kind, data_type: text}
      - {name: val, data_type: "numeric(12,2)"}
  - name: documented
    description: What "it" is, and isn't
    config: {persist_docs: {relation: true, columns: true}}
    columns: [{name: id, description: The key}, {name: At, description: not there}, {name: kind, description: "it's"}]
"""

MACROS = """
{% macro cents(column) %}({{ column }} * 100)::int{% endmacro %}
{% macro rows_of(relation) %}(select * from {{ relation }}) as rows_of{% endmacro %}
{% macro label(relation) %}'{{ relation.render() }}/{{ relation.identifier }}'{% endmacro %}
{% macro seen(relation) %}{% do log("reading " ~ relation.include(database=false).render()) %}{% endmacro %}
"""


def config(**keys):
    return "{{ config(" + ", ".join(f"{k}={v!r}" for k, v in keys.items()) + ") }}\n"


# What a mount has built from its SQL alone ever since.
PLAIN = {
    "plain": f"select * {FROM}",
    "columns": f"select id, at, upper(kind) as kind, val * 2 as double, null::text as nothing {FROM}",
    "source_quotes": config(event_time="when_utc", unique_key="id")
    + "select id, \"When\" as when_utc, kind from {{ source('raw', 'named') }}",
    "column_quotes": "select id, \"When\" as at from {{ source('raw', 'listed') }}",
    "own_quoted": config(event_time="When") + "select id, \"When\", kind from {{ source('raw', 'named') }}",
    "of_own_quoted": config(event_time="When") + "select id, \"When\" from {{ ref('own_quoted') }} where id % 2 = 0",
    "local_time": config(event_time="local") + "select id, local, val from {{ source('raw', 'local') }}",
    "on_dates": config(event_time="day") + "select id, day, val from {{ source('raw', 'dates') }}",
    "zone": "select id, at, at::date as cut, date_trunc('day', at) as trunc, extract(hour from at) as hour,"
            f" at + interval '1 day' as later, at::text as words, to_char(at, 'HH24:MI TZ') as shown {FROM}",
    "hourly": config(batch_size="hour", begin="2024-09-01") + f"{COLUMNS} {FROM}",
    "monthly": config(batch_size="month") + f"{COLUMNS} {FROM}",
    "yearly": config(batch_size="year", begin="2024-01-01") + f"{COLUMNS} {FROM}",
    "nested": f"select t.id, t.at from (select * {FROM}) t where t.val is not null",
    "no_alias": f"{COLUMNS} {FROM} where id > 3",
    "included": "select id, at, val from {{ source('raw', 'events').include(database=false) }}",
    "rendered": "select e.id, e.at, (select count(*) from {{ source('raw', 'events').render() }} a"
                f" where a.user_id = e.user_id) as n from (select * {FROM}) e",
    "rendered_and_included": "select e.id, e.at, (select max(a.id) from"
                             " {{ source('raw', 'events').include(database=false).render() }} a) as top"
                             " from (select * from {{ source('raw', 'events').include(database=False) }}) e",
    "by_parts": "select e.id, e.at, '{{ source('raw', 'events').identifier }}' as name, (select count(*) from"
                " {{ source('raw', 'events').schema }}.{{ source('raw', 'events').name }}) as n"
                f" from (select * {FROM}) e",
    "joined": "select e.id, e.at, u.name from (select * from {{ source('raw', 'events') }}) e"
              " left join {{ source('raw', 'users') }} u on u.id = e.user_id",
    "through_view": "select id, at, kind from {{ ref('recent') }}",
    "through_ephemeral": "select id, at, kind from {{ ref('timed') }}",
    "whole_ephemeral": "select id, at, kind from {{ ref('untimed') }}",
    "chain": "select id, at, val from {{ ref('plain') }} where kind <> 'a'",
    "month_of_days": config(batch_size="month") + "select id, at from {{ ref('chain') }}",
    "ctes": f"with events as (select * {FROM}), more as (select * from events)\nselect id, at from more",
    "strings": f"-- {{{{ source('raw', 'events') }}}} is read once; it's \"raw\".events\n/* ' /* nested */ */\n"
               f"select id, at, 'raw.events -- ''x''' as a, $q$ from \"raw\" $q$ as b, E'\\'' as c {FROM} -- end",
    "both_halves": f"select id, at from (select * {FROM}) x where id % 2 = 0\nunion all\n"
                   f"select id, at from (select * {FROM}) y where id % 2 = 1",
    "looped": "{% for k in ['a', 'b', 'c'] %}{% if not loop.first %}union all{% endif %}\nselect id, at, '{{ k }}' as k"
              f" from (select * {FROM}) t{{{{ loop.index }}}} where kind = '{{{{ k }}}}'\n{{% endfor %}}",
    "macro": f"select id, at, {{{{ cents('val') }}}} as cents {FROM}",
    "macro_reads": "select id, at from {{ rows_of(source('raw', 'events')) }}",
    "macro_names": "select id, at, {{ label(source('raw', 'events')) }} as src" f" {FROM}",
    "macro_logs": "{{ seen(source('raw', 'events')) }}select id, at" f" {FROM}",
    "variable": "{% set src = source('raw', 'events') %}select id, at from {{ src }}",
    "silent": "{{ config(tags=['x'], meta={'at': run_started_at.isoformat()}) }}{% do log(invocation_id) %}"
              f"select id, at {FROM}",
    "types": "select id, at, jsonb_build_object('k', kind) as doc, array[val, null] as vals, kind::varchar(20) as short,"
             f" ('\\x' || lpad(to_hex(id), 8, '0'))::bytea as raw, val::float8 / 3 as third, int4range(id, id + 2) as r {FROM}",
    "windowed": f"select id, at, row_number() over (partition by user_id order by at, id) as n {FROM}",
    "summed": config(unique_key=["user_id", "at"])
    + "select user_id, date_trunc('day', at, 'UTC') as at, count(*) as n, sum(val) as val"
      f" {FROM} group by 1, 2",
    "distinct_on": f"select distinct on (user_id, at) id, at, user_id {FROM} order by user_id, at, id",
    "lateral": "select e.id, e.at, x.n from (select * from {{ source('raw', 'events') }}) e,"
               " lateral (select count(*) as n from {{ source('raw', 'users') }} u where u.id <= e.user_id) x",
    "made_up": "select g as id, '2024-09-02'::timestamptz + g * interval '1 minute' as at from generate_series(1, 3) g",
    "unlogged": config(unlogged=True) + f"{COLUMNS} {FROM}",
}

# What the builder does besides: tables of another make, hooks.
MADE = {
    "indexed": config(indexes=[{"columns": ["lower(kind)"]}, {"columns": ["at desc", "id"], "unique": True},
                               {"columns": ["kind"], "type": "HASH"}]) + f"{COLUMNS} {FROM}",
    "appends": config(on_schema_change="append_new_columns") + "select * from {{ source('raw', 'wide') }}",
    "domains": "select * from {{ source('raw', 'domained') }}",
    "domains_sync": config(on_schema_change="sync_all_columns") + "select * from {{ source('raw', 'domained') }}",
    "syncs": config(on_schema_change="sync_all_columns") + "select * from {{ source('raw', 'wide') }}",
    "fails": config(on_schema_change="fail") + f"{COLUMNS} {FROM}",
    "ignores": "select *, 1 as one from {{ source('raw', 'wide') }}",
    "widened": "select id, at, kind from {{ source('raw', 'wide') }}",
    "contract": f"select id::bigint as id, at, kind::text as kind, val::numeric(12,2) as val {FROM}",
    "granted": config(grants={"select": ["reader"]}) + f"{COLUMNS} {FROM}",
    "documented": f"{COLUMNS} {FROM}",
    "headed": config(sql_header="set local extra_float_digits = 0;") + f"select id, at, (val::float8 / 3)::text as t {FROM}",
    "hooked": "{{ config(pre_hook=\"insert into {{ this.schema }}.hook_log select 'pre', count(*) from raw.events\","
              " post_hook=[\"insert into {{ this.schema }}.hook_log select 'post', count(*) from {{ this }}\","
              " {'sql': 'analyze {{this}}', 'transaction': false}]) }}" f"{COLUMNS} {FROM}",
}

# What only dbt can answer.
ASKS = {
    "asks_batch": f"select id, at, '{{{{ model.batch.id if model.batch else 1 }}}}' as batch {FROM}",
    "asks_incremental": f"{COLUMNS} {FROM} {{% if is_incremental() %}} where true {{% endif %}}",
    "asks_for_itself": f"{COLUMNS} from (select * {FROM}) t {{% if load_relation(this) %}} where true {{% endif %}}",
    "asks_for_relation": f"{COLUMNS} {FROM} {{% if adapter.get_relation(this.database, this.schema, 'x') %}} {{% endif %}}",
    "asks_warehouse": "{% set top = run_query('select 1').columns[0][0] if execute else 1 %}" f"select id, at, {{{{ top }}}} as n {FROM}",
    "asks_time": f"select id, at, '{{{{ run_started_at }}}}' as stamp {FROM}",
    "asks_who": f"select id, at, '{{{{ invocation_id }}}}' as run {FROM}",
    "asks_flag": f"select id, at, '{{{{ flags.EVENT_TIME_START }}}}' as start {FROM}",
    "asks_hook": "{{ config(post_hook='{% if true %}analyze {{ this }}{% endif %}') }}" f"{COLUMNS} {FROM}",
}

# Where a batch replaces its window and dbt merges by the key.
DIFFERENT = {"moved": "select id, at, val from {{ source('raw', 'moving') }}"}

OTHERS = {
    "recent": config(materialized="view", event_time="at") + "select * from {{ source('raw', 'all_events') }}",
    "timed": config(materialized="ephemeral", event_time="at") + "select * from {{ source('raw', 'all_events') }}",
    "untimed": config(materialized="ephemeral", event_time=None) + "select * from {{ source('raw', 'events') }}",
}

# Rows at the edges of the days of UTC and of Tokyo, where the server is.
TABLES = """
create schema raw; create schema theirs;
create table raw.users (id int, name text); insert into raw.users values (1, 'Ann'), (2, 'Bob');
create table raw.events as
select n as id, at, at at time zone 'UTC' as local, (at at time zone 'UTC')::date as day, 1 + n % 3 as user_id,
    (array['a', 'b', 'c'])[1 + n % 3]::varchar(10) as kind, case when n % 7 > 0 then n * 1.25 end as val
from generate_series(1, 60) n,
    lateral (select '2024-09-01Z'::timestamptz + (n / 12) * interval '1 day'
        + (array['0', '1 microsecond', '8 hours 59 minutes', '15 hours', '23:59:59.999999', '12:34:56'])[1 + n % 6]::interval
        as at) t;
create table raw.quoted as select id, at as "When", kind, null::timestamptz as "when" from raw.events;
create table raw.wide as select id, at, kind, val from raw.events;
create domain raw.moment as timestamptz; create domain raw.later as raw.moment;
create domain raw.short as varchar(10); create domain raw.shorter as raw.short check (value <> '');
create table raw.domained as select id, at::raw.later as at, kind::raw.shorter as kind, val from raw.events;
create table raw.moving as select id, at, val from raw.events;
create table an.hook_log (what text, n bigint); create table theirs.hook_log (what text, n bigint);
create role reader;
"""

# What the second run meets: changed and new rows in the same windows.
CHANGES = """
update raw.events set val = coalesce(val, 0) + 100 where id % 5 = 0;
insert into raw.events select id + 1000, at, local, day, user_id, kind, val from raw.events where id between 13 and 20;
insert into raw.quoted select id, at, kind, null from raw.events where id between 1013 and 1020;
alter table raw.wide add column extra int default 7, alter column kind type varchar(40);
update raw.domained set kind = kind || ', changed', val = null where id % 4 = 0;
update raw.wide set kind = kind || ' and more than ten', extra = id where id % 4 = 0;
delete from raw.moving where id = 14;
update raw.moving set at = at + interval '1 day' where id = 15;
"""


def write(place, host):
    """The project's files, with the schema `an` as its default target and `theirs` beside it."""
    output = "{type: postgres, host: '%s', user: postgres, password: '', port: 5432, dbname: warehouse, threads: 2, schema: %s}"
    files = {"dbt_project.yml": PROJECT, "models/properties.yml": PROPERTIES, "macros/macros.sql": MACROS,
             "profiles.yml": textwrap.dedent(f"""
                twins:
                  target: an
                  outputs:
                    an: {output % (host, "an")}
                    theirs: {output % (host, "theirs")}
                """)}
    for folder, models in (("", {**PLAIN, **MADE, **DIFFERENT, **OTHERS}), ("asks/", ASKS)):
        files |= {f"models/{folder}{name}.sql": sql + "\n" for name, sql in models.items()}
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
