# SPDX-License-Identifier: Apache-2.0
"""What it costs to look at everything at once: .metrics and .calendar of 1,000 models."""
import os
import threading
import time

from crowds import percentile
from kit import seconds
from looking import record_as_built, thousand_models


def bench_scrape(bench):
    """.metrics of 1,000 models of 1,100 days: the first, one after the other, and what a stat waits for meanwhile."""
    project = thousand_models(bench)
    with bench.mount(project, "now=2026-01-05T12:00:00"):
        pass
    record_as_built(project.warehouse)
    with bench.mount(project, "now=2026-01-05T12:00:00") as mount:
        scrape = lambda: (mount / ".metrics").read_bytes()
        first = seconds(scrape)
        size = len(scrape())
        calendar = [seconds((mount / ".calendar").read_bytes) for _ in range(bench.rounds)]
        times, done = [], threading.Event()

        def keep_scraping():
            while not done.is_set():
                times.append(seconds(scrape))
                # Something has changed each time, as on a mount that builds.
                os.chmod(mount / "m000" / "2023-01-01", 0o444 if len(times) % 2 else 0o644)
        thread = threading.Thread(target=keep_scraping)
        thread.start()
        beside, end = [], time.perf_counter() + bench.rounds
        while time.perf_counter() < end:
            day = len(beside) % 1000
            beside.append(seconds(lambda: os.stat(mount / f"m{day:03}" / f"2023-01-{1 + len(beside) // 1000 % 28:02}")))
            time.sleep(0.001)
        done.set()
        thread.join()
    print(f"  {size / 2**20:.1f} MB; the first scrape {first * 1000:.0f} ms, the slowest of {len(times) - 1} later ones"
          f" {max(times[1:]) * 1000:.1f} ms", flush=True)
    bench.row("a scrape of 1,000 models / 50 ms", times[1:], [0.050], 1)
    bench.row("the calendar of 1,000 models / 50 ms", calendar, [0.050], 1)
    bench.row("the first scrape after a mount / 1 s", [first], [1], 1)
    bench.row("p99 of stat beside scrapes / 20 ms", [percentile(beside, 0.99)], [0.020], 1)
