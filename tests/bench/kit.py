# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a server with fsync, mounts, projects, the table of results."""
import contextlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from lib.hold import PostgresHold  # noqa: E402, F401
from lib.mount import Mount  # noqa: E402
from lib.pg import Postgres, find_binaries  # noqa: E402
from lib.project import Project  # noqa: E402
from lib.slow_link import SlowLink  # noqa: E402, F401
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
    def mount(self, project, *options, at="mnt", env=None):
        project.write()
        mount = Mount(self.build / "mountopts" / "batchfs", project.target, self.home / at,
                      [*project.warehouse.options(), *options], {**project.warehouse.env(), **(env or {})},
                      self.home / f"{at}.log")
        mount.start()
        # What is slow is measured, not ended.
        mount.watchdog.cancel()
        try:
            yield mount
        finally:
            faults = mount.finish()
            if faults:
                raise RuntimeError("\n".join(faults))

    def row(self, what, ours, other, limit=None):
        """ours, other: lists of seconds, whose medians are compared."""
        ours, other = statistics.median(ours), statistics.median(other)
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


def event_project(bench, warehouse, name, **config):
    project = Project(bench.home / "target", warehouse)
    project.source("events", event_time="event_time")
    project.model(name, "select id, event_time, val from {events}", ["events"], begin=FIRST_DAY, **config)
    return project


def build_range(mount, model, span):
    path = mount / model / span
    def run():
        os.utime(path)
        mount.sync(model, span)
    return seconds(run)


def make_plain(warehouse, batches, unit="day"):
    """What plain_loop() builds into, and its states."""
    warehouse.sql("CREATE TABLE an.plain (id bigint, event_time timestamptz, val int)")
    warehouse.sql("CREATE INDEX ON an.plain (event_time)")
    warehouse.sql("CREATE TABLE an.plain_state (batch timestamptz PRIMARY KEY, status text, finished timestamptz,"
                  " attempt int) WITH (fillfactor = 70)")
    warehouse.sql(f"INSERT INTO an.plain_state SELECT timestamptz '{FIRST_DAY} 00:00+00' + i * interval '1 {unit}',"
                  f" 'pending', null, 0 FROM generate_series(0, {batches - 1}) i")


def plain_loop(bench, batches, unit="day"):
    """Seconds, without the connect: the batches one after the other, each in BEGIN .. COMMIT with its state row."""
    conninfo = f"host={bench.pg.home} user=postgres dbname=warehouse"
    done = subprocess.run([bench.build / "tests" / "bench" / "plain_loop", conninfo, "an.plain", "an.events",
                           "an.plain_state", FIRST_DAY, unit, str(batches)],
                          check=True, capture_output=True, text=True)
    return float(done.stdout)
