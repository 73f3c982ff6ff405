# SPDX-License-Identifier: Apache-2.0
"""What happens to a model while its full refresh is built beside the table (meta.batchfs.refresh: atomic)."""
import errno
import os

import pytest

from lib.atomic import (ATOMIC, DAYS, NOW, begin, change, document, held, nothing_left, oid, reader,  # noqa: F401
                        values, wait_phase)
from lib.command import errno_of, finish, shell, start
from lib.events import add_sessions, make_events
from lib.hold import PostgresHold
from lib.reload import rewrite
from lib.truth import check_rows
from lib.wait import wait_until


@pytest.fixture
def engine():
    return "postgres"


def model(project, sql="select id, event_time, val from {events} where " + PostgresHold.condition, **config):
    project.model("sessions", sql, inputs=["events"], meta=ATOMIC, **config)


def test_progress(held, project, warehouse, mount, reader):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    begin(m, held, reader, "build")
    lines = start("cat", m / "sessions" / ".full-refresh.progress")
    assert "2/5" in lines.stdout.readline()
    held.open()
    said = finish(lines)
    assert said.returncode == 0 and "5/5" in said.stdout.splitlines()[-1]


def test_several_in_one_selection(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, meta=ATOMIC, tags=["x"])
    project.model("others", "select id, event_time, val from {events}", inputs=["events"], meta=ATOMIC, tags=["x"])
    m = mount(project, now=NOW)
    tables = "SELECT oid FROM pg_class WHERE relname IN ('sessions', 'others') ORDER BY relname"
    for name in "sessions", "others":
        m.build(name, "2024-09")
    was = warehouse.sql(tables)
    change(warehouse)
    os.chmod(m / "others" / DAYS[1], 0o444)
    assert errno_of(os.utime, m / "tag:x" / ".full-refresh") == errno.EPERM
    assert document(m)["since"] is None
    os.chmod(m / "others" / DAYS[1], 0o644)
    done = shell(m / "tag:x", "touch .full-refresh && cat .full-refresh.progress && sync .full-refresh")
    assert done.returncode == 0 and "10/10" in done.stdout.splitlines()[-1], done
    assert {oid for oid, in was}.isdisjoint(oid for oid, in warehouse.sql(tables))
    assert values(warehouse) == values(warehouse, "an.others") == [99]
    nothing_left(warehouse)


def test_other_sql(held, project, warehouse, mount, reader):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    begin(m, held, reader, "build")
    model(project, "select id, event_time, 7 as val from {events} where " + held.condition)
    rewrite(m, project)
    held.open()
    m.sync("sessions", ".full-refresh")
    assert values(warehouse) == [7]
    nothing_left(warehouse)


@pytest.mark.parametrize("phase", ["build", "exchange"])
def test_frozen(held, project, warehouse, mount, reader, phase):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    was = oid(warehouse)
    change(warehouse)
    r = begin(m, held, reader, phase)
    os.chmod(m / "sessions" / DAYS[1], 0o444)
    if r:
        r.close()
    held.open()
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.EIO
    assert f"batch {DAYS[1]} of sessions was frozen meanwhile" in document(m)["last"]["error"]
    # No batch has failed.
    assert document(m)["failed"] == 0
    assert oid(warehouse) == was and 99 not in values(warehouse)
    nothing_left(warehouse)


def test_begin_moves_earlier(held, project, warehouse, mount):
    """What is built before the first batch of the refresh meanwhile is there after the exchange."""
    model(project, begin=DAYS[1])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    was = oid(warehouse)
    held.close(DAYS[2], DAYS[3])
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    wait_phase(m, "build", 1)
    model(project, begin=DAYS[0])
    rewrite(m, project)
    m.build("sessions", DAYS[0])
    held.open()
    m.sync("sessions", ".full-refresh")
    assert oid(warehouse) != was
    assert m.states("sessions")[DAYS[0]] == "done"
    check_rows(warehouse, "sessions")
    nothing_left(warehouse)


def test_begin_moves_later(held, project, warehouse, mount, reader):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    was = oid(warehouse)
    begin(m, held, reader, "build")
    model(project, begin=DAYS[3])
    rewrite(m, project)
    held.open()
    m.sync("sessions", ".full-refresh")
    assert oid(warehouse) != was and warehouse.count("sessions") == 20
    assert document(m)["batches"] == document(m)["done"] == 5
    nothing_left(warehouse)


def test_what_was_claimed_before_it_was_built_beside(held, project, warehouse, mount):
    """It begins later, and reads what its input is then: that is in the new table, too."""
    m = mount(project, "jobs=1", now=NOW)
    m.build("sessions", "2024-09")
    was = oid(warehouse)
    held.close(DAYS[1], DAYS[2])
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    wait_phase(m, "build", 1)
    held.close(DAYS[0], DAYS[1])
    os.utime(m / "sessions" / f"{DAYS[0]}--{DAYS[3]}")
    claimed = "SELECT count(*) FROM batchfs.state WHERE run = 1"
    wait_until(lambda: m.states("sessions")[DAYS[0]] == "running" and warehouse.sql(claimed) == [(3,)])
    warehouse.sql(f"DELETE FROM an.held WHERE first = '{DAYS[1]}'")
    wait_phase(m, "exchange", 5)
    change(warehouse)
    held.open()
    m.sync("sessions", ".full-refresh")
    m.sync("sessions", "2024-09")
    assert oid(warehouse) != was
    assert warehouse.count("sessions", f"val = 99 AND event_time >= '{DAYS[2]}' AND event_time < '{DAYS[3]}'") == 4
    nothing_left(warehouse)
