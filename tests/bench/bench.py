#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What batchfs costs, as ratios of two things measured side by side in one run.

    tests/bench/bench.py [--rounds N] [--build DIR] [NAME ...]

Medians of N rounds, the two sides taking turns. Names: days rows ls memory.
"""
import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from lib.mount import Mount  # noqa: E402
from lib.pg import Postgres, find_binaries  # noqa: E402
from lib.project import Project  # noqa: E402
from lib.warehouse import PostgresWarehouse  # noqa: E402

FIRST_DAY = "2023-01-01"


class Bench:
    def __init__(self, build, rounds, home):
        self.build, self.rounds, self.home = build, rounds, home
        self.pg = None
        self.table = []

    def warehouse(self):
        if not self.pg:
            # With fsync: a commit costs what it costs.
            self.pg = Postgres(find_binaries(), ["fsync = on", "shared_buffers = 256MB", "max_wal_size = 4GB"])
        return PostgresWarehouse(self.pg)

    @contextlib.contextmanager
    def mount(self, project, *options):
        project.write()
        mount = Mount(self.build / "mountopts" / "batchfs", project.target, self.home / "mnt",
                      [*project.warehouse.options(), *options], project.warehouse.env(), self.home / "log")
        mount.start()
        try:
            yield mount
        finally:
            faults = mount.finish()
            if faults:
                raise RuntimeError("\n".join(faults))

    def row(self, what, ours, other, limit=None):
        self.table.append((what, ours, other, ours / other, limit))
        print(f"  {what}: {ours * 1000:.1f} ms against {other * 1000:.1f} ms: {ours / other:.2f} x"
              + (f" (at most {limit})" if limit else ""), flush=True)


def seconds(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def make_events(warehouse, days, per_day):
    warehouse.sql("CREATE TABLE an.events (id bigint, event_time timestamptz, val int)")
    warehouse.sql(f"INSERT INTO an.events SELECT d * {per_day} + i, timestamptz '{FIRST_DAY} 00:00+00'"
                  f" + d * interval '1 day' + i * (interval '1 day' / {per_day}), i"
                  f" FROM generate_series(0, {days - 1}) d, generate_series(0, {per_day - 1}) i")
    warehouse.sql("CREATE INDEX ON an.events (event_time)")
    warehouse.sql("ANALYZE an.events")


def event_project(bench, warehouse, name):
    project = Project(bench.home / "target", warehouse)
    project.source("events", event_time="event_time")
    project.model(name, "select id, event_time, val from {events}", ["events"], begin=FIRST_DAY)
    return project


def build_range(mount, model, span):
    path = mount / model / span
    def run():
        os.utime(path)
        mount.sync(model, span)
    return seconds(run)


def plain_loop(bench, days):
    conninfo = f"host={bench.pg.home} user=postgres dbname=warehouse"
    done = subprocess.run([bench.build / "tests" / "bench" / "plain_loop", conninfo, "an.plain", "an.events",
                           "an.plain_state", FIRST_DAY, str(days)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def bench_days(bench):
    """One range request of 365 tiny days against the plain loop that keeps state too."""
    for jobs in (1, 2):
        warehouse = bench.warehouse()
        make_events(warehouse, 365, 24)
        warehouse.sql("CREATE TABLE an.plain (id bigint, event_time timestamptz, val int)")
        warehouse.sql("CREATE INDEX ON an.plain (event_time)")
        warehouse.sql("CREATE TABLE an.plain_state (day date PRIMARY KEY, status text, finished timestamptz, attempt int)"
                      " WITH (fillfactor = 70)")
        warehouse.sql(f"INSERT INTO an.plain_state SELECT date '{FIRST_DAY}' + i, 'pending', null, 0"
                      " FROM generate_series(0, 364) i")
        ours, plain = [], []
        with bench.mount(event_project(bench, warehouse, "tiny"), f"jobs={jobs}") as mount:
            build_range(mount, "tiny", "2023-01-01--2023-01-03")
            for _ in range(bench.rounds):
                ours.append(build_range(mount, "tiny", "2023"))
                plain.append(plain_loop(bench, 365))
        assert warehouse.count("tiny") == warehouse.count("plain") == 365 * 24
        bench.row(f"365 tiny days, one range, jobs={jobs} / plain libpq loop", statistics.median(ours),
                  statistics.median(plain), 1.1)


def bench_rows(bench):
    """10,000 rows a batch: two workers against one."""
    times = {}
    for jobs in (1, 2):
        warehouse = bench.warehouse()
        make_events(warehouse, 60, 10000)
        with bench.mount(event_project(bench, warehouse, "big"), f"jobs={jobs}") as mount:
            times[jobs] = [build_range(mount, "big", "2023-01-01--2023-03-02") for _ in range(bench.rounds)]
        assert warehouse.count("big") == 60 * 10000
    bench.row("60 batches of 10,000 rows, jobs=2 / jobs=1", statistics.median(times[2]), statistics.median(times[1]))


def bench_ls(bench):
    """Listings against tmpfs with as many files of the same names."""
    sizes = [("1,100 days", "day", "2023-01-01", "2026-01-05T12:00:00"),
             ("26,000 hours", "hour", "2023-01-01", "2025-12-19T07:30:00")]
    for title, size, begin, now in sizes:
        warehouse = bench.warehouse()
        warehouse.sql("CREATE TABLE an.events (id bigint, event_time timestamptz, val int)")
        project = Project(bench.home / "target", warehouse)
        project.source("events", event_time="event_time")
        project.model("m", "select id, event_time, val from {events}", ["events"], begin=begin, batch_size=size)
        cold_ours, cold_tmpfs, warm_ours, warm_tmpfs = [], [], [], []
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        with bench.mount(project, f"now={now}") as mount:
            names = os.listdir(mount / "m")
        for _ in range(bench.rounds):
            with bench.mount(project, f"now={now}") as mount, tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
                for name in names:
                    Path(shm, name).touch()
                cold_ours.append(seconds(lambda: subprocess.run(["ls", "-l", mount / "m"], **quiet)))
                cold_tmpfs.append(seconds(lambda: subprocess.run(["ls", "-l", shm], **quiet)))
                for _ in range(5):
                    warm_ours.append(seconds(lambda: subprocess.run(["ls", mount / "m"], **quiet)))
                    warm_tmpfs.append(seconds(lambda: subprocess.run(["ls", shm], **quiet)))
        bench.row(f"ls -l, {title}, cold / tmpfs", statistics.median(cold_ours), statistics.median(cold_tmpfs), 2)
        bench.row(f"ls, {title}, warm / tmpfs", statistics.median(warm_ours), statistics.median(warm_tmpfs), 1.3)


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


def bench_memory(bench):
    """1,000 models of 1,100 days, all of them built."""
    warehouse = bench.warehouse()
    warehouse.sql("CREATE TABLE an.events (id bigint, event_time timestamptz, val int)")
    project = Project(bench.home / "target", warehouse)
    project.source("events", event_time="event_time")
    for i in range(1000):
        project.model(f"m{i:03}", "select id, event_time, val from {events}", ["events"], begin=FIRST_DAY)
    with bench.mount(project, "now=2026-01-05T12:00:00"):
        pass
    warehouse.sql("INSERT INTO batchfs.state (model, window_start, run, outcome, attempt, started, finished, built,"
                  " rows_deleted, rows_inserted, rows_outside, adopted, code, request, served, interruptions)"
                  f" SELECT m.id, timestamptz '{FIRST_DAY} 00:00+00' + d * interval '1 day', 0, 1, 1,"
                  " timestamptz '2026-01-05 06:00+00', timestamptz '2026-01-05 06:00:03+00',"
                  " timestamptz '2026-01-05 06:00:03+00', 0, 24, 0, false, 'x', 0, 0, 0"
                  " FROM batchfs.model m, generate_series(0, 1099) d")
    with bench.mount(project, "now=2026-01-05T12:00:00") as mount:
        size = resident(mount.pid)
        built = mount.document(".status")["states"]["done"]
        assert built == 1000 * 1100, built
    megabytes = size / 2**20
    print(f"  memory, 1,000 models x 1,100 built days: {megabytes:.1f} MB resident (at most 40)", flush=True)
    bench.table.append(("memory, 1,000 models x 1,100 built days / 40 MB", megabytes, 40, megabytes / 40, 1))


BENCHES = {"days": bench_days, "rows": bench_rows, "ls": bench_ls, "memory": bench_memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    unknown = set(args.names) - set(BENCHES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    with tempfile.TemporaryDirectory(prefix="batchfs-bench-") as home:
        bench = Bench(args.build.resolve(), args.rounds, Path(home))
        try:
            for name in args.names or BENCHES:
                print(f"{name}: {BENCHES[name].__doc__}", flush=True)
                BENCHES[name](bench)
        finally:
            if bench.pg:
                bench.pg.close()
    width = max(len(row[0]) for row in bench.table)
    print(f"\n{'':{width}}    ratio  at most")
    for what, _, _, ratio, limit in bench.table:
        verdict = "" if limit is None else f"{limit:8}" + ("" if ratio <= limit else "  MISSED")
        print(f"{what:{width}}  {ratio:7.2f} {verdict}")


if __name__ == "__main__":
    main()
