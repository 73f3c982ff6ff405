# SPDX-License-Identifier: Apache-2.0
"""
The project that is played with, twice: as SQL for the mount, as Python for the oracle. It has hours under
a day, days under days and a month, a view that reads a model without a time filter, a model that reads itself,
models that certain values make fail, and one whose full refresh is built beside its table, where that can be.
"""
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Callable

from . import calendar

NOW = datetime(2024, 9, 10, 12)
FIRST = datetime(2024, 8, 20)
# What makes a batch that reads it fail.
BAD = {"sessions": 0, "hours": -1, "tally": -2, "daily": 99, "whole": -3}


class Fails(Exception):
    pass


@dataclass(frozen=True)
class Model:
    name: str
    size: str
    begin: datetime
    sql: str
    rows: Callable  # of the tables and the window [start, end), as text: the rows, or Fails
    columns: tuple = ("id", "val")
    reads: tuple = ()  # models, through the time filter
    reads_all: tuple = ()  # models, without it
    reads_itself: bool = False
    lookback: int = 0
    config: tuple = ()

    def batches(self):
        return calendar.starts(self.size, self.begin, NOW + timedelta(microseconds=1))

    def before(self):
        """Models it waits for."""
        return self.reads + self.reads_all


def text(at):
    return f"{at:%Y-%m-%d %H:%M:%S}"


def window(table, start, end):
    return [row for row in table if start <= row[1] < end]


def checked(model, value):
    if value == BAD[model]:
        raise Fails(model)
    return value


def events_of(model):
    def rows(tables, start, end):
        return [(i, at, checked(model, val) if model in BAD else val)
                for i, at, val in window(tables["events"], start, end)]
    return rows


def daily_rows(tables, start, end):
    found = window(tables["sessions"], start, end)
    return [(len(found), start, sum(checked("daily", val) for _, _, val in found))] if found else []


def monthly_rows(tables, start, end):
    found = window(tables["daily"], start, end)
    return [(sum(n for n, _, _ in found), start, sum(s for _, _, s in found))] if found else []


def mixed_rows(tables, start, end):
    return (window(tables["hours"], start, end)
            + [(i + 1000000, at, val) for i, at, val in window(tables["sessions"], start, end)])


def ranks_rows(tables, start, end):
    days = len(tables["daily"])
    return [(i, at, days) for i, at, _ in window(tables["events"], start, end)]


def tally_rows(tables, start, end):
    before = sum(1 for row in tables["tally"] if row[1] < start)
    return [(i, at, checked("tally", val) + before) for i, at, val in window(tables["events"], start, end)]


# Of `val` as it is, unless it is the value that makes this model fail.
GUARD = {"postgres": "case when val = {0} then 1 / (val - {0}) else val end",
         "sqlite": "case when val = {0} then abs(val - {0} - 9223372036854775807 - 1) else val end"}
TRUNCATED = {"postgres": "date_trunc('{0}', event_time)",
             "sqlite": "strftime('%Y-%m-%d 00:00:00', event_time, 'start of {0}')"}

PLAYED = (
    Model("sessions", "day", FIRST, "select id, event_time, {guard} as val from {{events}}", events_of("sessions"),
          lookback=1),
    Model("hours", "hour", NOW - timedelta(hours=30), "select id, event_time, {guard} as val from {{events}}",
          events_of("hours"), lookback=2),
    Model("daily", "day", FIRST, "select count(*) as n, {day} as event_time, sum({guard}) as s from {{sessions}}"
          " group by {day}", daily_rows, ("n", "s"), reads=("sessions",)),
    Model("monthly", "month", FIRST, "select sum(n) as n, {month} as event_time, sum(s) as s from {{daily}}"
          " group by {month}", monthly_rows, ("n", "s"), reads=("daily",),
          config=(("concurrent_batches", False),)),
    Model("mixed", "day", NOW - timedelta(days=2), "select id, event_time, val from {{hours}} union all"
          " select id + 1000000, event_time, val from {{sessions}}", mixed_rows, reads=("hours", "sessions")),
    Model("ranks", "day", NOW - timedelta(days=5), "select id, event_time, (select count(*) from {{all_days}}) as val"
          " from {{events}}", ranks_rows, reads_all=("daily",)),
    Model("tally", "day", FIRST + timedelta(days=4), "select id, event_time, {guard} + (select count(*) from {{tally}}"
          " t where t.event_time < e.event_time) as val from {{events}} e", tally_rows, reads_itself=True, lookback=1),
    Model("whole", "day", FIRST + timedelta(days=10), "select id, event_time, {guard} as val from {{events}}",
          events_of("whole")),
)
ATOMIC = {"postgres": "whole"}  # by engine: the model whose full refresh is built beside its table
# One for each worker, that a mount may prepare while another is in use.
GATES = tuple(Model(f"gate{n}", "day", NOW - timedelta(days=2), "select id, event_time, val from {{events}}",
                    events_of("gate")) for n in range(4))
MODELS = PLAYED + GATES
# Expressions at the root, and the played models that they mean.
SELECTIONS = {
    "sessions+": ("sessions", "daily", "monthly", "mixed", "ranks"),
    "+daily": ("sessions", "daily"),
    "+mixed": ("sessions", "hours", "mixed"),
    "tally hours": ("tally", "hours"),
    "daily+,1+monthly": ("daily", "monthly"),
    "+ranks --exclude sessions": ("daily", "ranks"),
}
BY_NAME = {m.name: m for m in MODELS}


def add_to(project):
    """Declares everything, and makes what must be there before the first build."""
    warehouse = project.warehouse
    integer = {"postgres": "bigint", "sqlite": "integer"}[warehouse.engine]
    for name, columns in (("events", "id {0}, event_time {1}, val {0}"), ("daily", "n {0}, event_time {1}, s {0}"),
                          ("tally", "id {0}, event_time {1}, val {0}")):
        warehouse.sql(f"CREATE TABLE {warehouse.relation(name)} ({columns.format(integer, warehouse.time_type)})")
    warehouse.sql(f"CREATE VIEW {warehouse.relation('all_days')} AS SELECT * FROM {warehouse.relation('daily')}")
    project.source("events", event_time="event_time")
    for m in MODELS:
        if m.name == "ranks":
            project.view("all_days", "select * from {daily}", inputs=["daily"])
        inputs = [w for w in ("events", "all_days", *m.before()) if "{" + w + "}" in m.sql]
        sql = m.sql.format(guard=GUARD[warehouse.engine].format(BAD.get(m.name)),
                           day=TRUNCATED[warehouse.engine].format("day"),
                           month=TRUNCATED[warehouse.engine].format("month"))
        project.model(m.name, sql, inputs=inputs, batch_size=m.size, begin=f"{m.begin:%Y-%m-%dT%H:%M:%S}",
                      lookback=m.lookback, **dict(m.config),
                      **({"meta": {"batchfs": {"refresh": "atomic"}}} if m.name == ATOMIC.get(warehouse.engine) else {}))


def stored(warehouse, models):
    """{table: its rows as the oracle has them, sorted}, in one look."""
    time = {"postgres": "to_char(event_time, 'YYYY-MM-DD HH24:MI:SS')", "sqlite": "event_time"}[warehouse.engine]
    found = {m.name: [] for m in models}
    for name, *row in warehouse.sql(" UNION ALL ".join(
            f"SELECT '{m.name}', {m.columns[0]}, {time}, {m.columns[1]} FROM {warehouse.relation(m.name)}"
            for m in models)) if models else ():
        found[name].append((int(row[0]), row[1], int(row[2])))
    return {name: sorted(rows) for name, rows in found.items()}
