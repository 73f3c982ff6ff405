# SPDX-License-Identifier: Apache-2.0
"""What a validation costs, against counting the rows of the same table by batch."""
import os

from kit import FIRST_DAY, Project, seconds

ROWS = 1_000_000
DAYS = 1_100
BARE = "SELECT date_trunc('day', event_time), count(*) FROM an.m GROUP BY 1"


def make_table(warehouse, key):
    warehouse.sql("CREATE TABLE an.events (id bigint, event_time timestamp, val int)")
    warehouse.sql("CREATE TABLE an.m (id bigint, event_time timestamp, val int)")
    warehouse.sql(f"INSERT INTO an.m SELECT i, timestamp '{FIRST_DAY}' + i * interval '{DAYS} days' / {ROWS}, i % 100 "
                  f"FROM generate_series(0, {ROWS - 1}) i")
    warehouse.sql("CREATE INDEX ON an.m (event_time)")
    if key:
        warehouse.sql(key)
    warehouse.sql("VACUUM ANALYZE an.m")


def bench_validate(bench):
    """touch .validate && sync .validate of a million rows in 1,100 days."""
    cases = [("no unique_key", None, None, 1.3),
             ("unique_key, by a unique index", "id", "CREATE UNIQUE INDEX ON an.m (id)", 1.3),
             ("unique_key, without an index", "id", None, None)]
    for title, unique_key, index, limit in cases:
        warehouse = bench.warehouse()
        make_table(warehouse, index)
        project = Project(bench.home / "target", warehouse)
        project.source("events", event_time="event_time")
        project.model("m", "select id, event_time, val from {events}", ["events"], begin=FIRST_DAY,
                      unique_key=unique_key)
        ours, bare = [], []
        with bench.mount(project, "now=2026-01-04T12:00:00") as mount:
            mount.sync("m", ".adopt")

            def validate():
                os.utime(mount / "m" / ".validate")
                mount.sync("m", ".validate")
            validate()
            for _ in range(3 * bench.rounds):
                bare.append(seconds(lambda: warehouse.sql(BARE)))
                ours.append(seconds(validate))
        bench.row(f"validate 1,000,000 rows, {title} / bare count", ours, bare, limit)
