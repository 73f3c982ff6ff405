# SPDX-License-Identifier: Apache-2.0
"""How fast batches are built."""
import contextlib
import os
import time

from kit import (FIRST_DAY, PostgresHold, Project, SlowLink, build_range, event_project, make_events, make_plain, plain_loop,
                 seconds)


def bench_days(bench):
    """One range request of 365 tiny days against the plain loop that keeps state too."""
    for jobs in (1, 2):
        warehouse = bench.warehouse()
        make_events(warehouse, 365, 24)
        make_plain(warehouse, 365)
        ours, plain = [], []
        with bench.mount(event_project(bench, warehouse, "tiny"), f"jobs={jobs}") as mount:
            build_range(mount, "tiny", "2023-01-01--2023-01-03")
            for _ in range(bench.rounds):
                ours.append(build_range(mount, "tiny", "2023"))
                plain.append(plain_loop(bench, 365))
        assert warehouse.count("tiny") == warehouse.count("plain") == 365 * 24
        bench.row(f"365 tiny days, one range, jobs={jobs} / plain libpq loop", ours, plain, 1.1)


def bench_hours(bench):
    """One range request of 26,000 hours against the same loop; a fifth of the rounds."""
    hours, now = 26000, "2025-12-19T07:30:00"
    warehouse = bench.warehouse()
    make_events(warehouse, hours // 24 + 1, 24)
    make_plain(warehouse, hours, "hour")
    project = event_project(bench, warehouse, "tiny", batch_size="hour")
    ours, plain = [], []
    with bench.mount(project, f"now={now}") as mount:
        build_range(mount, "tiny", "2023-01-01")
        for _ in range(max(1, bench.rounds // 5)):
            ours.append(build_range(mount, "tiny", "2023-01-01T00--2025-12-19T08"))
            plain.append(plain_loop(bench, hours, "hour"))
    assert warehouse.count("tiny") == warehouse.count("plain") == hours
    bench.row("26,000 hours, one range / plain libpq loop", ours, plain, 1.1)


def bench_rows(bench):
    """10,000 rows a batch: two workers against one."""
    times = {}
    for jobs in (1, 2):
        warehouse = bench.warehouse()
        make_events(warehouse, 60, 10000)
        with bench.mount(event_project(bench, warehouse, "big"), f"jobs={jobs}") as mount:
            times[jobs] = [build_range(mount, "big", "2023-01-01--2023-03-02") for _ in range(bench.rounds)]
        assert warehouse.count("big") == 60 * 10000
    bench.row("60 batches of 10,000 rows, jobs=2 / jobs=1", times[2], times[1])


def bench_single(bench):
    """A single touch to done, against BEGIN .. COMMIT by hand."""
    warehouse = bench.warehouse()
    make_events(warehouse, 30, 24)
    make_plain(warehouse, 30)
    ours, plain = [], []
    with bench.mount(event_project(bench, warehouse, "tiny"), "now=2023-01-30T12:00:00") as mount:
        build_range(mount, "tiny", "2023")
        for _ in range(20 * bench.rounds):
            ours.append(build_range(mount, "tiny", FIRST_DAY))
            plain.append(plain_loop(bench, 1))
    bench.row("one touch until it is done / BEGIN .. COMMIT by hand", ours, plain, 2.2)


def bench_neighbours(bench):
    """31 days that are claimed behind one that hangs, built by an idle worker, against the 32 where none hangs."""
    warehouse = bench.warehouse()
    make_events(warehouse, 60, 24)
    hold = PostgresHold(warehouse)
    project = Project(bench.home / "target", warehouse)
    project.source("events", event_time="event_time")
    project.model("hanging", "select id, event_time, val from {events} where an.passes(event_time at time zone 'UTC')",
                  ["events"], begin=FIRST_DAY)
    first, hangs, end = "2023-01-10", "2023-01-11", "2023-02-11"
    behind, alone = [], []
    with bench.mount(project, "jobs=2", "now=2023-03-01T12:00:00") as mount:
        build_range(mount, "hanging", f"{FIRST_DAY}--2023-03-02")
        for _ in range(2 * bench.rounds):
            alone.append(build_range(mount, "hanging", f"{first}--{end}"))
            hold.close(first, hangs)
            os.utime(mount / "hanging" / f"{first}--{end}")
            behind.append(seconds(lambda: mount.sync("hanging", f"{hangs}--{end}")))
            assert mount.states("hanging")[first] == "running"
            hold.open()
            mount.sync("hanging", first)
    # They are taken back when the first is late, a quarter of a second after it has begun.
    bench.row("31 days behind one that hangs, by an idle worker / 1 s", behind, [1], 1)
    bench.row("the 32 days where none hangs / 1 s", alone, [1])


def bench_link(bench):
    """Over a link with a round trip of 20 ms, against a query's round trip there: a batch of a run of 100 neighbours, and
    a single touch."""
    warehouse = bench.warehouse()
    make_events(warehouse, 120, 1)
    run, one, trips = [], [], []
    with SlowLink(bench.pg, 0.01) as link:
        with bench.mount(event_project(bench, warehouse, "tiny"), "jobs=1", env=link.env()) as mount:
            with contextlib.closing(link.connect()) as plain, plain.cursor() as cursor:
                for _ in range(3):
                    build_range(mount, "tiny", FIRST_DAY)
                for _ in range(bench.rounds):
                    run.append(build_range(mount, "tiny", "2023-01-01--2023-04-11") / 100)
                    for _ in range(5):
                        one.append(build_range(mount, "tiny", FIRST_DAY))
                        trips += [seconds(lambda: cursor.execute("SELECT")) for _ in range(5)]
    bench.row("a batch of 100 neighbours over 20 ms / a round trip", run, trips, 1.1)
    bench.row("one touch until it is done over 20 ms / a round trip", one, trips, 3.3)


def bench_levels(bench):
    """Three levels with skewed batches: a selection's range against one level after the other."""
    warehouse = bench.warehouse()
    warehouse.sql("CREATE TABLE an.events (id bigint, event_time timestamptz, val int)")
    project = Project(bench.home / "target", warehouse)
    project.source("events", event_time="event_time")
    inputs = ["events"]
    # Of each level two other days are slow: forty times the others.
    for level, name in enumerate(("bronze", "silver", "gold")):
        warehouse.sql(f"CREATE TABLE an.slow_{name} AS SELECT timestamptz '{FIRST_DAY} 00:00+00' + d * interval"
                      f" '1 day' AS event_time, CASE WHEN d / 2 = {14 - 4 * level} THEN 0.4 ELSE 0.01 END AS pause"
                      " FROM generate_series(0, 30) d")
        project.source(f"slow_{name}", event_time="event_time")
        project.model(name, f"select 1 as id, s.event_time, s.pause from {{slow_{name}}} s cross join lateral"
                      f" (select pg_sleep(s.pause)) p where not exists (select from {{{inputs[-1]}}} i where false)",
                      [f"slow_{name}", inputs[-1]], begin=FIRST_DAY)
        inputs.append(name)
    ours, levels = [], []
    with bench.mount(project, "jobs=4", "now=2023-01-31T12:00:00") as mount:
        for _ in range(bench.rounds + 1):
            ours.append(build_range(mount, "bronze+", "2023-01"))
            levels.append(seconds(lambda: [build_range(mount, name, "2023-01") for name in inputs[1:]]))
        states = mount.document("gold", ".status")["states"]
    assert states["done"] + states["partial"] == 31, states
    bench.row("three levels, skewed, by one selection / level after level", ours[1:], levels[1:], 0.77)


def wait_idle(mount):
    while any(mount.document(".status")["states"][state] for state in ("queued", "running")):
        time.sleep(0.01)


def bench_touch(bench):
    """Until the touch of a range of 26,000 hours returns, durable, against the touch of a single batch."""
    warehouse = bench.warehouse()
    make_events(warehouse, 2, 24)
    project = event_project(bench, warehouse, "tiny", batch_size="hour")
    many, one = [], []
    with bench.mount(project, "now=2025-12-19T07:30:00") as mount:
        build_range(mount, "tiny", FIRST_DAY + "T00")
        for _ in range(bench.rounds):
            for times, name in ((many, "2023-01-01T00--2025-12-19T08"), (one, "2023-01-01T00")):
                times.append(seconds(lambda: os.utime(mount / "tiny" / name)))
                with contextlib.suppress(PermissionError):  # a single batch may be done already
                    os.unlink(mount / "tiny" / name)
                wait_idle(mount)
    bench.row("touch of a range of 26,000 hours / touch of one", many, one)
