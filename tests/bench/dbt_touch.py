# SPDX-License-Identifier: Apache-2.0
"""What batchfs adds to dbt: a batch of a DuckDB project by a touch, and by dbtRunner in a process that has it loaded."""
import json
import os
import time

from kit import seconds
from lib.dbt import Dbt, make_venv
from lib.mount import Mount

EVENTS = """{{ config(materialized='table', event_time='event_time') }}
select timestamp '2024-09-01 00:00:00' + i * interval '6 hours' as event_time, i as id from range(0, 24) t(i)
"""
SESSIONS = """{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='event_time',
    batch_size='day', begin='2024-09-01') }}
select event_time, id from {{ ref('events') }}
"""
DAY = ("--event-time-start", "2024-09-02", "--event-time-end", "2024-09-03")


def make_project(place):
    """Each side has one of its own: DuckDB lets one process write."""
    (place / "models").mkdir(parents=True)
    (place / "dbt_project.yml").write_text("name: shop\nversion: '1.0'\nprofile: shop\n"
                                           "flags: {send_anonymous_usage_stats: false}\n")
    output = {"type": "duckdb", "path": str(place / "shop.duckdb"), "threads": 2}
    (place / "profiles.yml").write_text(json.dumps({"shop": {"target": "dev", "outputs": {"dev": output}}}))
    (place / "models" / "events.sql").write_text(EVENTS)
    (place / "models" / "sessions.sql").write_text(SESSIONS)
    return place


def bench_dbt_touch(bench):
    """A touch on a warm worker until the batch is done, against dbtRunner, which has run before, for the same batch."""
    python = make_venv()
    ours, other = make_project(bench.home / "ours"), make_project(bench.home / "other")
    for place in (ours, other):
        dbt = Dbt(python, place, {})
        dbt("run", "--select", "events")
        dbt("run", "--select", "sessions", *DAY)
        dbt("compile")
        if place == ours:
            dbt.close()
    mount = Mount(bench.build / "mountopts" / "batchfs", ours / "target", bench.home / "dbt",
                  [f"engine=dbt,project={ours},dbt={python.parent / 'dbt'},database={bench.home}/states.db",
                   "now=2024-09-06T12:00"], {}, bench.home / "dbt.log")
    mount.start()
    mount.watchdog.cancel()

    def touch():
        os.utime(mount / "sessions" / "2024-09-02")
        mount.sync("sessions", "2024-09-02")
    try:
        # The worker has its dbt, and that has learned what a run loads.
        touch()
        touch()
        touched, ran = [], []
        for _ in range(max(bench.rounds, 9)):
            ran.append(seconds(lambda: dbt("run", "--select", "sessions", *DAY)))
            touched.append(seconds(touch))
            # What ends behind a touch is the worker's time and not that of the next run of the other side.
            time.sleep(0.5)
        bench.row("a touch until done, dbt on DuckDB", touched, ran, 1.3)
    finally:
        faults = mount.finish()
        dbt.close()
    if faults:
        raise RuntimeError("\n".join(faults))
