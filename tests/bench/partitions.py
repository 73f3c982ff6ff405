# SPDX-License-Identifier: Apache-2.0
"""How fast large batches are replaced that are partitions, and what readers feel of that."""
import contextlib
import threading
import time

from kit import FIRST_DAY, Project, build_range, make_events

DAYS = 5


def make_target(warehouse, name):
    warehouse.sql(f"CREATE TABLE an.{name} (id bigint, event_time timestamptz, val int) PARTITION BY RANGE (event_time)")
    for day in range(DAYS):
        warehouse.sql(f"CREATE TABLE an.{name}_{day} PARTITION OF an.{name} FOR VALUES FROM"
                      f" (timestamptz '{FIRST_DAY} 00:00+00' + {day} * interval '1 day')"
                      f" TO (timestamptz '{FIRST_DAY} 00:00+00' + {day + 1} * interval '1 day')")
    warehouse.sql(f"CREATE INDEX ON an.{name} (event_time)")
    warehouse.sql(f"CREATE INDEX ON an.{name} (id)")


@contextlib.contextmanager
def reader(warehouse, name, waits):
    """One who reads a row of every partition, again and again; how long each took."""
    stop = threading.Event()

    def read():
        with contextlib.closing(warehouse.pg.connect()) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                start = time.perf_counter()
                cursor.execute(f"SELECT max(id), max(event_time) FROM an.{name}")
                waits.append(time.perf_counter() - start)
                time.sleep(0.002)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def bench_partitions(bench):
    """100,000 rows a batch, two indexes: replaced by exchange of the partition, and by DELETE and INSERT."""
    warehouse = bench.warehouse()
    make_events(warehouse, DAYS, 100000)
    project = Project(bench.home / "target", warehouse)
    project.source("events", event_time="event_time")
    for name in ("exchanged", "by_rows"):
        make_target(warehouse, name)
        project.model(name, "select id, event_time, val from {events}", ["events"], begin=FIRST_DAY)
    # With rows in the default partition nothing is exchanged.
    warehouse.sql("CREATE TABLE an.rest PARTITION OF an.by_rows DEFAULT")
    warehouse.sql("INSERT INTO an.by_rows VALUES (0, '1999-01-01', 0)")
    ours, other, waits = [], [], []
    with bench.mount(project, "jobs=1", "look=0", "now=2023-01-10T12:00:00") as mount:
        for name in ("exchanged", "by_rows"):
            mount.sync(name, ".adopt")
            build_range(mount, name, f"{FIRST_DAY}--2023-01-06")
        def files():
            return warehouse.sql("SELECT array_agg(inhrelid ORDER BY inhrelid) FROM pg_inherits WHERE inhparent = 'an.exchanged'::regclass")
        for _ in range(bench.rounds):
            for day in range(1, DAYS + 1):
                was = files()
                ours.append(build_range(mount, "exchanged", f"2023-01-{day:02}"))
                assert files() != was
                other.append(build_range(mount, "by_rows", f"2023-01-{day:02}"))
        with reader(warehouse, "exchanged", waits):
            for _ in range(bench.rounds):
                build_range(mount, "exchanged", f"{FIRST_DAY}--2023-01-06")
    assert warehouse.count("exchanged") == DAYS * 100000 == warehouse.count("by_rows") - 1
    bench.row("100,000 rows with two indexes, exchange of the partition / DELETE and INSERT", ours, other, 0.53)
    bench.row("the longest that a reader waits beside exchanges / 200 ms", [max(waits)], [0.2], 1)
