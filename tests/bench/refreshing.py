# SPDX-License-Identifier: Apache-2.0
"""What a full refresh costs: beside the same range by touch, and those who read the table."""
import os
import threading
import time

from kit import build_range, event_project, make_events, seconds

DAYS = 1100


def refresh(mount, model):
    def run():
        os.utime(mount / model / ".full-refresh")
        mount.sync(model, ".full-refresh")
    return seconds(run)


def bench_refresh(bench):
    """A full refresh of 1,100 days against the same range by touch; and with 100,000 rows to be deleted first."""
    warehouse = bench.warehouse()
    make_events(warehouse, DAYS, 24)
    whole, ranges, cleared = [], [], []
    with bench.mount(event_project(bench, warehouse, "tiny"), "now=2026-01-04T12:00:00") as mount:
        build_range(mount, "tiny", "2023-01-01--2026-01-05")
        for _ in range(bench.rounds):
            whole.append(refresh(mount, "tiny"))
            ranges.append(build_range(mount, "tiny", "2023-01-01--2026-01-05"))
        # Behind them: what is deleted has to be vacuumed.
        for _ in range(bench.rounds):
            warehouse.sql("INSERT INTO an.tiny SELECT -1, CASE WHEN n % 2 = 0 THEN timestamptz '2020-01-01' END, n"
                          " FROM generate_series(1, 100000) n")
            cleared.append(refresh(mount, "tiny"))
            said = mount.document("tiny", ".full-refresh")
            assert [said[k] for k in ("done", "rows_outside", "rows_without_event_time")] == [1100, 50000, 50000], said
    assert warehouse.count("tiny") == DAYS * 24
    bench.row("full refresh of 1,100 days / the same range by touch", whole, ranges, 1.1)
    bench.row("the same with 100,000 rows to be deleted / the range", cleared, ranges)


class Reader(threading.Thread):
    """Somebody who reads one day through a view, all the time; how long each time took, and when."""

    def __init__(self, warehouse):
        super().__init__(daemon=True)
        self.connection = warehouse.pg.connect()
        self.over = False
        self.times = []

    def run(self):
        cursor = self.connection.cursor()
        while not self.over:
            self.times.append(seconds(lambda: cursor.execute(
                "SELECT count(*) FROM an.seen WHERE event_time >= '2023-06-01' AND event_time < '2023-06-02'")))
            time.sleep(0.0005)
        self.connection.close()

    def end(self):
        self.over = True
        self.join()
        return self.times


def bench_exchange(bench):
    """The longest wait of a reader through a view while a table of a million rows is exchanged, against 200 ms."""
    warehouse = bench.warehouse()
    make_events(warehouse, 100, 10000)
    project = event_project(bench, warehouse, "m", meta={"batchfs": {"refresh": "atomic"}})
    with bench.mount(project, "now=2023-04-10T12:00:00") as mount:
        os.utime(mount / "m" / "2023")
        mount.sync("m", "2023")
        warehouse.sql("CREATE VIEW an.seen AS SELECT * FROM an.m")
        warehouse.sql("CREATE MATERIALIZED VIEW an.totals AS SELECT event_time::date AS day, sum(val) FROM an.m GROUP BY 1")
        longest = []
        for _ in range(bench.rounds):
            reader = Reader(warehouse)
            reader.start()
            took = seconds(lambda: (os.utime(mount / "m" / ".full-refresh"), mount.sync("m", ".full-refresh")))
            longest.append(max(reader.end()))
            print(f"  refreshed in {took:.1f} s, the longest read took {longest[-1] * 1000:.0f} ms", flush=True)
    bench.row("the longest read during an exchange / 200 ms", longest, [0.2], 1)
