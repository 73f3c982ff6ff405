# SPDX-License-Identifier: Apache-2.0
"""What a hundred thousand batches that wait, fail or are cancelled cost everybody else."""
import os
import time
from datetime import datetime, timedelta

from kit import FIRST_DAY, Project, build_range, event_project, make_events, seconds
from looking import resident

SINCE, NOW = "2019-01-01", "2026-01-01T00:30:00"


def look_up(mount, first, seconds_long):
    """
    Seconds of a stat in every millisecond, of hours from 2019 on, each looked at for the first time: the kernel knows
    none of them. A stat that hangs stands for those that would have come meanwhile and hung for the rest of it.
    """
    times, looked, end = [], 0, time.perf_counter() + seconds_long
    while time.perf_counter() < end:
        hour = datetime(2019, 2, 1) + timedelta(hours=first + looked)
        took = seconds(lambda: os.stat(mount / "a" / f"{hour:%Y-%m-%dT%H}.pending"))
        looked += 1
        times += [took - 0.001 * i for i in range(int(took / 0.001) + 1)]
        time.sleep(0.001)
    return times


def percentile(times, share):
    return sorted(times)[int(share * (len(times) - 1))]


def unwindowed_project(bench, warehouse):
    """Hours, and what reads all of them in each of its batches."""
    project = Project(bench.home / "target", warehouse)
    project.source("events", event_time="event_time")
    project.model("a", "select id, event_time, val from {events}", ["events"], begin=SINCE, batch_size="hour")
    d = project.model("d", "select e.id, e.event_time, e.val from {events} e where not exists (select from {a} where false)",
                      ["events", "a"], begin=SINCE, batch_size="hour")
    d["raw_code"] = d["raw_code"].replace("{{ ref('a') }}", "{{ ref('a').render() }}")
    return project


def built(mount, model):
    return mount.document(model, ".status")["states"]["done"]


def bench_planning(bench):
    """stat, and the rate of builds, beside 61,000 batches of which each reads 26,000 queued ones without a window."""
    warehouse = bench.warehouse()
    make_events(warehouse, 2, 24)
    with bench.mount(unwindowed_project(bench, warehouse), f"now={NOW}", "drain=0") as mount:
        build_range(mount, "a", "2019-01-01T00--2019-01-02T00")
        idle = look_up(mount, 0, 3)
        os.utime(mount / "a" / "2023--2026")
        before, start = built(mount, "a"), time.perf_counter()
        time.sleep(5)
        alone = (built(mount, "a") - before) / (time.perf_counter() - start)
        os.utime(mount / "d" / ".run")
        before, start = built(mount, "a"), time.perf_counter()
        beside = look_up(mount, 5000, 5)
        crowded = (built(mount, "a") - before) / (time.perf_counter() - start)
        os.unlink(mount / "d" / "2019--2026")
        os.unlink(mount / "a" / "2023--2026")
    print(f"  {alone:.0f} batches a second, {crowded:.0f} with 61,000 that wait for them", flush=True)
    bench.table.append(("batches a second without / with 61,000 that wait for them", alone, crowded, alone / crowded, 1.2))
    bench.row("p99 of stat beside that queue / 20 ms", [percentile(beside, 0.99)], [0.020], 1)
    bench.row("p99 of stat on an idle mount / 20 ms", [percentile(idle, 0.99)], [0.020], 1)


def settled(mount, model):
    states = mount.document(model, ".status")["states"]
    return not states["queued"] and not states["running"]


def wait_settled(mount, model):
    while not settled(mount, model):
        time.sleep(0.05)


def bench_failures(bench):
    """122,736 hours of which the tenth failure skips the rest: until they are skipped, an unmount, a mount; memory."""
    warehouse = bench.warehouse()
    make_events(warehouse, 2, 24)
    project = Project(bench.home / "target", warehouse)
    project.source("events", event_time="event_time")
    project.model("broken", "select id, event_time, val from {events} where 1 / 0 = 1", ["events"],
                  begin="2012-01-01", batch_size="hour")
    with bench.mount(project, f"now={NOW}") as mount:
        before = resident(mount.pid)
        os.utime(mount / "broken" / ".run")
        skipping = seconds(lambda: wait_settled(mount, "broken"))
        megabytes = (resident(mount.pid) - before) / 2**20
        states = mount.document("broken", ".status")["states"]
        start = time.perf_counter()
    unmounting = time.perf_counter() - start
    start = time.perf_counter()
    with bench.mount(project, f"now={NOW}") as mount:
        mounting = time.perf_counter() - start
        assert mount.document("broken", ".status")["states"] == states, states
    print(f"  {states['skipped']:,} skipped, {states['failed']} failed", flush=True)
    bench.row("until all are skipped / 3 s", [skipping], [3], 1)
    bench.row("unmount after that / 3 s", [unmounting], [3], 1)
    bench.row("mount after that / 3 s", [mounting], [3], 1)
    print(f"  memory: {megabytes:.1f} MB for {states['skipped']:,} skipped batches (at most 10)", flush=True)
    bench.table.append(("memory of them / 10 MB", megabytes, 10, megabytes / 10, 1))


def bench_cancels(bench):
    """Touches right after the rm of 100,000 queued hours, against touches on an idle mount."""
    warehouse = bench.warehouse()
    make_events(warehouse, 2, 24)
    project = event_project(bench, warehouse, "tiny", batch_size="hour")
    other = [project.model("other", "select id, event_time, val from {events}", ["events"], begin=FIRST_DAY)]
    assert other
    after, one = [], []
    with bench.mount(project, "now=2034-06-01T00:30:00", "drain=0") as mount:
        build_range(mount, "tiny", FIRST_DAY + "T00")
        build_range(mount, "other", FIRST_DAY)
        touch = lambda: os.utime(mount / "other" / FIRST_DAY)
        for _ in range(max(2, bench.rounds // 2)):
            one.append(max(seconds(touch) for _ in range(10)))
            mount.sync("other", FIRST_DAY)
            os.utime(mount / "tiny" / "2023-01-01T00--2034-06-01T00")
            os.unlink(mount / "tiny" / "2023-01-01T00--2034-06-01T00")
            # The first may still go before what the cancel sets off.
            after.append(max(seconds(touch) for _ in range(10)))
            mount.sync("other", FIRST_DAY)
            wait_settled(mount, "tiny")
    bench.row("slowest of 10 touches after the rm of 100,000 queued hours / of 10 on an idle mount", after, one, 4)
