# SPDX-License-Identifier: Apache-2.0
"""A model whose batches fail or never end, as the values of their events say."""
from datetime import date, timedelta

from .events import make_events

FAILS, NEVER_ENDS, FINE = 0, -1, 7

# SQLite has no error that a division gives, and no sleep.
SQL = {
    "postgres": "select id, event_time, case when val = 0 then 1 / val when val = -1 then an.never() else val end"
                " as val from {events}",
    "sqlite": "select id, event_time, case when val = 0 then abs(val - 9223372036854775807 - 1) when val = -1 then"
              " (with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c)"
              " else val end as val from {events}",
}


def add_troubled(project, name="sessions", **config):
    """Mounts need drain=0 where a batch never ends. The events are made too."""
    warehouse = project.warehouse
    make_events(warehouse, **{k: config.pop(k) for k in ("first", "days", "a_day") if k in config})
    warehouse.sql(f"UPDATE {warehouse.relation('events')} SET val = {FINE}")
    if warehouse.engine == "postgres":
        warehouse.sql("CREATE FUNCTION an.never() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN "
                      "LOOP PERFORM pg_sleep(1); END LOOP; END $$")
    project.source("events", event_time="event_time")
    return project.model(name, SQL[warehouse.engine], inputs=["events"], **config)


def set_days(warehouse, value, *days):
    """Gives the events of these days ("2024-09-02") another value; without days: all."""
    where = " OR ".join(f"(event_time >= '{day}' AND event_time < '{date.fromisoformat(day) + timedelta(days=1)}')"
                        for day in days)
    warehouse.sql(f"UPDATE {warehouse.relation('events')} SET val = {value}" + (f" WHERE {where}" if where else ""))
