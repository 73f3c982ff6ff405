# SPDX-License-Identifier: Apache-2.0
"""Servers that change under a mount: one that loses commits in a crash, a standby that takes over, two at once."""
import os
import subprocess

import pytest

from conftest import need
from lib.events import add_sessions, make_events
from lib.hold import add_held, make_hold
from lib.pg import Postgres, find_binaries
from lib.truth import check_rows, stored
from lib.wait import LIMIT, wait_until
from lib.warehouse import PostgresWarehouse

NOW = "2024-09-06T12:00:00"


@pytest.fixture
def servers():
    """servers(): a server of the test's own; servers(copy_of=...): its standby."""
    binaries = find_binaries()
    if not binaries:
        need("PostgreSQL server")
    made = []

    def make(**how):
        made.append(Postgres(binaries, **how))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def pg(servers):
    return servers()


@pytest.fixture
def engine():
    return "postgres"


def both(first, second):
    """The environment of a mount that may go to either, the first before the second."""
    first.service_file.write_text(f"[warehouse]\nhost={first.home},{second.home}\nuser=postgres\ndbname=warehouse\n")


def on(server):
    """The same warehouse on another server."""
    there = PostgresWarehouse.__new__(PostgresWarehouse)
    there.pg = server
    return there


def warehouse_says(mount):
    return mount.document(".status")["mount"]["warehouse"]


def sync_ends(path):
    """A sync that is not answered would hang the test beyond SIGKILL."""
    return subprocess.run(["sync", path], capture_output=True, text=True, check=False, timeout=LIMIT)


def test_crash_takes_what_was_not_flushed(project, warehouse, pg, mount):
    make_events(warehouse)
    hold = make_hold(warehouse)
    add_held(project, hold)
    warehouse.sql("ALTER DATABASE warehouse SET synchronous_commit = off")
    m, other = mount(project, "jobs=1", now=NOW), mount(project, "ro", now=NOW)
    m.build("sessions", "2024-09-04")
    hold.close()
    os.utime(m / "sessions" / "2024-09-01--2024-09-04")
    wait_until(lambda: m.states("sessions")["2024-09-01"] == "running", what="the first runs")
    pg.stop_flushing()
    warehouse.sql("UPDATE an.held SET first = '2024-09-03'")
    wait_until(lambda: m.states("sessions")["2024-09-03"] == "running", what="two are done, the third runs")
    assert m.states("sessions")["2024-09-02"] == "done"
    wait_until(lambda: other.states("sessions")["2024-09-02"] == "done", what="who looks on has seen it")
    pg.crash()
    pg.start()
    # On a busy machine somebody's commit may have flushed it all the same: then nothing is lost, and it stays done.
    lost = "2024-09-02" not in stored(warehouse, "sessions")
    for each in m, other:
        wait_until(lambda: (each.states("sessions")["2024-09-02"] != "done") == lost, what="what was lost is shown as lost")
    hold.open()
    done = sync_ends(m / "sessions" / "2024-09-01--2024-09-04")
    assert done.returncode == 0, done
    for each in m, other:
        wait_until(lambda: {s for b, s in each.states("sessions").items() if b < "2024-09-05"} == {"done"},
                   what="all is done")
    assert check_rows(warehouse, "sessions") == {f"2024-09-0{day}": 4 for day in range(1, 5)}


def test_standby_that_was_behind(project, warehouse, pg, servers, mount):
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, now=NOW, start=False)
    m.start()
    m.build("sessions", "2024-09-01")
    m.unmount()
    behind = servers(copy_of=pg)
    both(pg, behind)
    m.start()
    m.build("sessions", "2024-09-02--2024-09-05")
    assert set(stored(warehouse, "sessions")) == {f"2024-09-0{day}" for day in range(1, 5)}
    pg.crash()
    behind.start()
    behind.promote()
    there = on(behind)
    wait_until(lambda: m.states("sessions")["2024-09-04"] == "pending", what="what never came over is shown as lost")
    assert m.states("sessions")["2024-09-01"] == "done"
    os.utime(m / "sessions" / "2024-09-03")
    done = sync_ends(m / "sessions" / "2024-09-03")
    assert done.returncode == 0, done
    assert check_rows(there, "sessions") == {"2024-09-01": 4, "2024-09-03": 4}
    assert [s for b, s in sorted(m.states("sessions").items())][:4] == ["done", "pending", "done", "pending"]


def test_two_primaries_at_once(project, warehouse, pg, servers, mount):
    """The old one was not fenced: it is first in the list, answers, and is not where requests go."""
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, "jobs=2", now=NOW, start=False)
    copy = servers(copy_of=pg)
    copy.start()
    both(pg, copy)
    m.start()
    m.build("sessions", "2024-09-01--2024-09-03")
    wait_until(lambda: on(copy).sql("SELECT count(*) FROM batchfs.state WHERE outcome = 1") == [(2,)],
               what="the standby has followed")
    copy.promote()
    watch = pg.connect()
    with pg.unreachable(), watch.cursor() as old:
        old.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'batchfs:%:control'")
        wait_until(lambda: on(copy).sql("SELECT count(*) FROM pg_stat_activity"
                                        " WHERE application_name LIKE 'batchfs:%%:control'") == [(1,)],
                   what="requests go to the new one")
    watch.close()
    wait_until(lambda: warehouse_says(m) == "connected", what="the mount is back")
    os.utime(m / "sessions" / "2024-09-03--2024-09-05")
    done = sync_ends(m / "sessions" / "2024-09-03--2024-09-05")
    assert done.returncode == 0, done
    assert set(check_rows(on(copy), "sessions")) == {f"2024-09-0{day}" for day in range(1, 5)}
    assert set(stored(warehouse, "sessions")) == {"2024-09-01", "2024-09-02"}
