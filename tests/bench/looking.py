# SPDX-License-Identifier: Apache-2.0
"""How fast one sees what there is, and what that costs in memory."""
import contextlib
import os
import subprocess
import tempfile
import time
from pathlib import Path

from kit import FIRST_DAY, Project, build_range, event_project, make_events, seconds


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
        bench.row(f"ls -l, {title}, cold / tmpfs", cold_ours, cold_tmpfs, 2)
        bench.row(f"ls, {title}, warm / tmpfs", warm_ours, warm_tmpfs, 1.3)


@contextlib.contextmanager
def fake_mount(bench, *options):
    """fs/ over states in memory: what a listing costs without a warehouse behind it."""
    with tempfile.TemporaryDirectory(dir=bench.home) as at:
        with subprocess.Popen([bench.build / "tests" / "fake_backend" / "fake_mount", at, *options],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as daemon:
            assert daemon.stdout.readline() == "serving\n"
            try:
                yield Path(at)
            finally:
                daemon.stdin.write("quit\n")
                daemon.stdin.flush()
                daemon.wait()


def bench_find(bench):
    """`find .` over 1,000 models of 1,100 days, all that it finds looked at by nobody before, and again."""
    def find(at):
        done = subprocess.run(["find", "."], cwd=at, check=True, capture_output=True)
        assert done.stdout.count(b"\n") > 1_100_000
    cold, warm = [], []
    for _ in range(bench.rounds):
        with fake_mount(bench, "thousand") as at:
            cold.append(seconds(lambda: find(at)))
            warm += [seconds(lambda: find(at)) for _ in range(3)]
    bench.row("find, 1.1 million files, cold / warm", cold, warm, 2)


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


def thousand_models(bench):
    """1,000 models of 1,100 days, of which nothing is built."""
    warehouse = bench.warehouse()
    warehouse.sql("CREATE TABLE an.events (id bigint, event_time timestamptz, val int)")
    project = Project(bench.home / "target", warehouse)
    project.source("events", event_time="event_time")
    for i in range(1000):
        project.model(f"m{i:03}", "select id, event_time, val from {events}", ["events"], begin=FIRST_DAY)
    return project


def record_as_built(warehouse):
    """All 1,100 days of all models that a mount has met."""
    warehouse.sql("INSERT INTO batchfs.state (model, window_start, run, outcome, attempt, started, finished, built,"
                  " rows_deleted, rows_inserted, rows_outside, adopted, code, request, served, interruptions)"
                  f" SELECT m.id, timestamptz '{FIRST_DAY} 00:00+00' + d * interval '1 day', 0, 1, 1,"
                  " timestamptz '2026-01-05 06:00+00', timestamptz '2026-01-05 06:00:03+00',"
                  " timestamptz '2026-01-05 06:00:03+00', 0, 24, 0, false, 'x', 0, 0, 0"
                  " FROM batchfs.model m, generate_series(0, 1099) d")


def bench_memory(bench):
    """1,000 models of 1,100 days, all of them built."""
    project = thousand_models(bench)
    with bench.mount(project, "now=2026-01-05T12:00:00") as mount:
        empty = resident(mount.pid)
    record_as_built(project.warehouse)
    with bench.mount(project, "now=2026-01-05T12:00:00") as mount:
        size = resident(mount.pid)
        built = mount.document(".status")["states"]["done"]
        assert built == 1000 * 1100, built
    each = (size - empty) / built
    print(f"  memory, 1,000 models x 1,100 days: {empty / 2**20:.1f} MB resident, {size / 2**20:.1f} MB when they are built:"
          f" {each:.1f} bytes a batch (at most 32)", flush=True)
    bench.table.append(("memory of a built batch, of 1,000 models x 1,100 days / 32 bytes", each, 32, each / 32, 1))


def bench_news(bench):
    """From a commit on one mount until `ls` on another shows it; a second is what surface allows."""
    warehouse = bench.warehouse()
    make_events(warehouse, 30, 24)
    project = event_project(bench, warehouse, "tiny")
    times = []
    with bench.mount(project, "now=2023-01-30T12:00:00") as here:
        with bench.mount(project, "now=2023-01-30T12:00:00", at="other") as there:
            for day in range(1, 2 + 4 * bench.rounds):
                name = f"2023-01-{day:02}"
                build_range(here, "tiny", name)
                start = time.perf_counter()
                while name not in os.listdir(there / "tiny"):
                    time.sleep(0.0005)
                times.append(time.perf_counter() - start)
    bench.row("a commit on one mount to ls on another / 1 s", times[1:], [1.0], 1)


def bench_look(bench):
    """A look at 1,100 days of a million rows, in which nothing has changed, against the bare grouped query."""
    for title, index, limit in (("an index leads with event_time", True, 0.5), ("no index", False, 2)):
        warehouse = bench.warehouse()
        make_events(warehouse, 1100, 910)
        warehouse.sql("CREATE TABLE an.m AS SELECT * FROM an.events")
        if index:
            warehouse.sql("CREATE INDEX ON an.m (event_time)")
        warehouse.sql("VACUUM ANALYZE an.m")
        project = event_project(bench, warehouse, "m")
        with bench.mount(project, "now=2026-01-05T12:00:00", "look=0") as mount:
            def look(mount=mount):
                os.utime(mount / "m" / ".adopt")
                mount.sync("m", ".adopt")

            def count(warehouse=warehouse):
                warehouse.sql("SELECT date_trunc('day', event_time), count(*) FROM an.m GROUP BY 1")
            look()
            assert list(mount.states("m").values()).count("done") == 1100
            ours, other = [], []
            for _ in range(bench.rounds):
                ours.append(seconds(look))
                other.append(seconds(count))
        bench.row(f"a look, {title} / grouped query", ours, other, limit)
