# SPDX-License-Identifier: Apache-2.0
"""What SQLite costs: its file against the same transactions by hand."""
import sqlite3
import sys
from datetime import date, timedelta

from kit import FIRST_DAY, ROOT, build_range, event_project, seconds

sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from lib.warehouse import SqliteWarehouse  # noqa: E402

DAYS = 365


def day(n):
    return (date.fromisoformat(FIRST_DAY) + timedelta(days=n)).isoformat()


def make_warehouse(bench):
    path = bench.home / f"warehouse-{len(bench.table)}.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE events (id INTEGER, event_time TEXT, val INTEGER)")
        db.executemany("INSERT INTO events VALUES (?, ?, ?)",
                       ((d * 24 + h, f"{day(d)} {h:02}:00:00", h) for d in range(DAYS) for h in range(24)))
        db.execute("CREATE INDEX events_time ON events (event_time)")
        db.execute("CREATE TABLE plain (id INTEGER, event_time TEXT, val INTEGER)")
        db.execute("CREATE INDEX plain_time ON plain (event_time)")
        db.execute("CREATE TABLE plain_state (day TEXT PRIMARY KEY, attempt INTEGER)")
    return SqliteWarehouse(path)


def by_hand(db, days):
    for n in days:
        window = (day(n), day(n + 1))
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO plain_state VALUES (?, 1) ON CONFLICT DO UPDATE SET attempt = attempt + 1", window[:1])
        db.execute("DELETE FROM plain WHERE event_time >= ? AND event_time < ?", window)
        db.execute("INSERT INTO plain SELECT id, event_time, val FROM events WHERE event_time >= ? AND event_time < ?",
                   window)
        db.execute("COMMIT")


def bench_sqlite(bench):
    """365 tiny days and single touches in an SQLite file, against the same transactions with durable commits by hand."""
    warehouse = make_warehouse(bench)
    db = sqlite3.connect(warehouse.path, isolation_level=None, timeout=60)
    db.execute("PRAGMA synchronous = FULL")
    ours, plain, one, one_plain = [], [], [], []
    with bench.mount(event_project(bench, warehouse, "tiny")) as mount:
        build_range(mount, "tiny", "2023-01-01--2023-01-03")
        for _ in range(bench.rounds):
            ours.append(build_range(mount, "tiny", "2023"))
            plain.append(seconds(lambda: by_hand(db, range(DAYS))))
            for n in range(20):
                one.append(build_range(mount, "tiny", day(n)))
                one_plain.append(seconds(lambda n=n: by_hand(db, [n])))
    db.close()
    assert warehouse.count("tiny") == warehouse.count("plain") == DAYS * 24
    bench.row("SQLite: 365 tiny days, one range / by hand", ours, plain)
    bench.row("SQLite: a single touch to done / by hand", one, one_plain)
