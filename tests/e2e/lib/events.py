# SPDX-License-Identifier: Apache-2.0
"""A table of events: the input of most tests."""
from datetime import datetime, timedelta


def make_events(warehouse, first="2024-08-30", days=8, a_day=4, name="events"):
    """`a_day` rows on each day, six hours apart, from midnight on."""
    warehouse.sql(f"CREATE TABLE {warehouse.relation(name)} "
                  f"(id integer, event_time {warehouse.time_type}, val integer)")
    start = datetime.fromisoformat(first)
    rows = []
    for day in range(days):
        for i in range(a_day):
            at = start + timedelta(days=day, hours=i * 24 // a_day)
            rows.append(f"({day * a_day + i}, '{at:%Y-%m-%d %H:%M:%S}', {day})")
    warehouse.sql(f"INSERT INTO {warehouse.relation(name)} VALUES " + ", ".join(rows))
    if warehouse.engine == "postgres":
        warehouse.sql(f"CREATE INDEX ON {warehouse.relation(name)} (event_time)")


def add_sessions(project, **config):
    """The model of most tests: a day's events, and what sums their values."""
    project.source("events", event_time="event_time")
    return project.model("sessions", "select id, event_time, val from {events}", inputs=["events"], **config)
