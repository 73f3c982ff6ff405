# SPDX-License-Identifier: Apache-2.0
"""What a full refresh costs beside the same range by touch."""
import os

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
