# SPDX-License-Identifier: Apache-2.0
"""Years in minutes: whether the memory of a daemon stays what it was."""
import os
import re
from pathlib import Path

from kit import Project
from lib.events import make_events
from lib.warehouse import SqliteWarehouse

THIRD = int(os.environ.get("BATCHFS_SOAK", "100000")) // 3


def resident(mount):
    """Bytes, after the kernel has let go of what it can (only root can ask it to)."""
    try:
        Path("/proc/sys/vm/drop_caches").write_text("2")
    except OSError:
        pass
    os.stat(mount / ".status")
    status = Path(f"/proc/{mount.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def soak(bench, mount, what, act):
    """Three thirds of act(i). What the second and the third add to what the first has left."""
    after = []
    for third in range(3):
        for i in range(third * THIRD, (third + 1) * THIRD):
            act(i)
            if i % 20_000 == 0:
                resident(mount)
        after.append(resident(mount))
    print(f"  {what}: " + ", ".join(f"{rss / 2**20:.1f} MB" for rss in after), flush=True)
    bench.table.append((f"memory after {3 * THIRD} {what} / after a third", after[2], after[0], after[2] / after[0], 1.1))


def bench_soak(bench):
    """Memory of one mount over distinct names, texts, requests with reasons of their own, and batches: 100,000 each, or BATCHFS_SOAK."""
    warehouse = SqliteWarehouse(bench.home / "soak.db")
    make_events(warehouse)
    project = Project(bench.home / "soak", warehouse)
    project.source("events", event_time="event_time")
    project.model("hourly", "select id, event_time, val from {events}", ["events"], begin="2024-09-01", batch_size="hour")
    hours = [f"2024-09-{1 + i // 24:02}T{i % 24:02}" for i in range(72)]
    with bench.mount(project, "now=2024-09-04T12:00:00", "history=1000", at="soak-mnt") as mount:
        hourly = mount / "hourly"

        def selection(i):
            os.stat(mount / f"hourly hourly{i}")

        def span(i):
            start = f"2024-9-{1 + i % 3}--"
            os.stat(hourly / f"{start}2024-9-{2 + i % 3}T{i % 24:02}")

        def text(i):
            (hourly / hours[i % 72]).read_text()

        def request(i):
            (hourly / hours[i % 72]).write_text(f"the {i}th reason of this day\n")

        def built(i):
            request(i)
            if i % 72 == 71:
                mount.sync("hourly", "2024")

        soak(bench, mount, "distinct selections", selection)
        soak(bench, mount, "ranges", span)
        soak(bench, mount, "texts read", text)
        soak(bench, mount, "batches asked for, each with a reason of its own, and built", built)
        mount.sync("hourly", "2024")
