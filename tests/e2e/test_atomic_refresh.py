# SPDX-License-Identifier: Apache-2.0
"""meta.batchfs.refresh: atomic: a full refresh is built beside the table, and exchanged at its end."""
import errno
import json
import os

import pytest

from lib.command import errno_of, finish, shell, start, wait_parked
from lib.events import add_sessions, make_events
from lib.hold import PostgresHold, add_held
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.truth import built, check_rows
from lib.wait import wait_until

NOW = "2024-09-05T12:00:00"
DAYS = [f"2024-09-0{d}" for d in range(1, 6)]
STATES = {**dict.fromkeys(DAYS, "done"), DAYS[4]: "partial"}
ATOMIC = {"batchfs": {"refresh": "atomic"}}
OURS = "SELECT count(*) FROM pg_class WHERE relname LIKE 'batchfs_beside%%'"


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def held(project, warehouse):
    """The model's query waits while hold.close(). It is open."""
    make_events(warehouse)
    hold = PostgresHold(warehouse)
    add_held(project, hold, meta=ATOMIC)
    yield hold
    hold.open()


def document(m):
    return m.document("sessions", ".full-refresh")


def oid(warehouse):
    return warehouse.sql("SELECT 'an.sessions'::regclass::oid")[0][0]


def values(warehouse, relation="an.sessions"):
    return sorted({v for v, in warehouse.sql(f"SELECT val FROM {relation}")})


def wait_phase(m, phase, done=0):
    return wait_until(lambda: (d := document(m))["phase"] == phase and d["done"] >= done and d, what=f"{phase} {done}")


def nothing_left(warehouse):
    for query in OURS, "SELECT count(*) FROM batchfs.beside", "SELECT count(*) FROM batchfs.beside_state":
        wait_until(lambda query=query: warehouse.sql(query) == [(0,)], what=query)


def change(warehouse, value=99):
    warehouse.sql(f"UPDATE an.events SET val = {value}")


def refresh_until_exchange(m, hold, reader):
    """A refresh that all is built for, and a reader whom the exchange waits for."""
    hold.close(DAYS[4], "2100-01-01")
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    wait_phase(m, "build", 4)
    r = reader()
    hold.open()
    wait_phase(m, "exchange", 5)
    return r


def begin(m, hold, reader, phase):
    """A refresh that stays in this phase until hold.open(), or until the reader that is returned goes."""
    if phase == "exchange":
        return refresh_until_exchange(m, hold, reader)
    hold.close(DAYS[2], DAYS[3])
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    wait_phase(m, "build", 2)
    return None


class Reader:
    """Somebody who has read the table, and whose transaction is open."""

    def __init__(self, warehouse):
        self.connection = warehouse.pg.connect()
        self.connection.autocommit = False
        self.connection.cursor().execute("SELECT count(*) FROM an.sessions")

    def close(self):
        self.connection.rollback()
        self.connection.close()


@pytest.fixture
def reader(warehouse):
    readers = []

    def make():
        readers.append(Reader(warehouse))
        return readers[-1]

    yield make
    for r in readers:
        if not r.connection.closed:
            r.close()


def test_everything(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, meta=ATOMIC)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    warehouse.sql("CREATE ROLE analyst; GRANT SELECT ON an.sessions TO analyst; COMMENT ON TABLE an.sessions IS 'kept';"
                  " CREATE UNIQUE INDEX by_id ON an.sessions (id); CREATE VIEW an.seen AS SELECT * FROM an.sessions;"
                  " CREATE MATERIALIZED VIEW an.totals AS SELECT sum(val) AS val FROM an.sessions")
    warehouse.sql("INSERT INTO an.sessions VALUES (-1, '2019-01-01', 0), (-2, '2031-01-01', 0), (-3, NULL, 0)")
    before = oid(warehouse)
    change(warehouse)
    assert any("exchanged" in note for note in m.document("sessions", ".model")["notes"])
    assert shell(m / "sessions", "echo INC-1 > .full-refresh && sync .full-refresh").returncode == 0
    assert oid(warehouse) != before
    assert values(warehouse) == values(warehouse, "an.seen") == [99]
    assert warehouse.sql("SELECT val FROM an.totals") == [(99 * 20,)]
    assert warehouse.sql("SELECT has_table_privilege('analyst', 'an.sessions', 'select'),"
                         " obj_description('an.sessions'::regclass), to_regclass('an.by_id') IS NOT NULL") == [
        (True, "kept", True)]
    after = document(m)
    assert (after["phase"], after["batches"], after["done"], after["failed"]) == (None, 5, 5, 0)
    assert after["last"]["result"] == "done" and after["reason"] == "INC-1"
    check_rows(warehouse, "sessions")
    nothing_left(warehouse)
    # The exchange is nobody else's doing: nothing is looked at anew, and nothing is adopted.
    wait_until(lambda: m.states("sessions") == STATES)
    lines = [json.loads(line) for line in (m / "sessions" / ".history").read_text().splitlines()]
    assert sorted((x["batch"], x["outcome"], x["reason"]) for x in lines[5:]) == [(d, "done", "INC-1") for d in DAYS]
    batch = m.document("sessions", DAYS[0])
    assert (batch["attempt"], batch["rows_inserted"], batch["adopted"], batch["reason"]) == (2, 4, False, "INC-1")
    # And what is asked for next is built into the new table.
    m.build("sessions", DAYS[1])
    check_rows(warehouse, "sessions")
    warehouse.sql("DROP OWNED BY analyst; DROP ROLE analyst")


def test_what_was_never_built_is_built_in_place(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, meta=ATOMIC)
    m = mount(project, now=NOW)
    assert shell(m / "sessions", "touch .full-refresh && sync .full-refresh").returncode == 0
    assert m.states("sessions") == STATES
    check_rows(warehouse, "sessions")


def test_what_was_dropped_a_moment_ago_is_built_in_place(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, meta=ATOMIC)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    # The mount notices that within two seconds, and is asked before.
    warehouse.sql("DROP TABLE an.sessions")
    assert shell(m / "sessions", "touch .full-refresh && sync .full-refresh").returncode == 0
    assert document(m)["last"]["result"] == "done" and m.states("sessions") == STATES
    check_rows(warehouse, "sessions")


def test_readers_come_first(held, project, warehouse, mount, reader):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    change(warehouse)
    r = refresh_until_exchange(m, held, reader)
    tries = 0
    while tries < 3:
        # Whoever comes while it waits for its locks waits no longer than it does.
        assert values(warehouse) != [99]
        tries += warehouse.sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
                               " AND relation = 'an.sessions'::regclass")[0][0]
    assert document(m)["phase"] == "exchange" and m.states("sessions") == STATES
    r.close()
    m.sync("sessions", ".full-refresh")
    assert values(warehouse) == [99]
    nothing_left(warehouse)


def test_asked_for_meanwhile(held, project, warehouse, mount, reader):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    before = oid(warehouse)
    r = refresh_until_exchange(m, held, reader)
    change(warehouse)
    m.build("sessions", DAYS[1])
    # In the old table, which still is in its place.
    assert warehouse.count("sessions", "val = 99") == 4 and oid(warehouse) == before
    r.close()
    m.sync("sessions", ".full-refresh")
    assert oid(warehouse) != before
    # And again in the new one.
    assert warehouse.count("sessions", "val = 99") == 4
    check_rows(warehouse, "sessions")


def test_what_ends_while_the_exchange_waits_for_it(held, project, warehouse, mount, reader):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    r = refresh_until_exchange(m, held, reader)
    change(warehouse)
    held.close(DAYS[1], DAYS[2])
    assert shell(m / "sessions", f"touch {DAYS[1]}").returncode == 0
    wait_until(lambda: m.states("sessions")[DAYS[1]] == "running")
    r.close()
    wait_until(lambda: warehouse.sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
                                     ) != [(0,)])
    held.open()
    m.sync("sessions", ".full-refresh")
    m.sync("sessions", DAYS[1])
    assert warehouse.count("sessions", "val = 99") == 4
    check_rows(warehouse, "sessions")


def test_what_lies_behind_the_refresh(held, project, warehouse, mount):
    """A batch that a later clock has built keeps its rows, also where an attempt after that has failed."""
    warehouse.sql("INSERT INTO an.events (id, event_time, val) VALUES (1000, '2024-09-07 05:00', 1)")
    m = mount(project, now="2024-09-08T00:00:00")
    m.build("sessions", "2024-09")
    m.unmount()
    warehouse.sql("UPDATE batchfs.state SET outcome = 2, attempt = 2 WHERE window_start = '2024-09-07 00:00+00'")
    m = mount(project, now=NOW)
    change(warehouse)
    was = oid(warehouse)
    assert shell(m / "sessions", "touch .full-refresh && sync .full-refresh").returncode == 0
    assert oid(warehouse) != was
    assert warehouse.count("sessions", "event_time >= '2024-09-07' AND val = 99") == 1
    nothing_left(warehouse)


@pytest.mark.parametrize("phase", ["build", "exchange"])
def test_killed(held, project, warehouse, mount, reader, phase):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    change(warehouse)
    r = begin(m, held, reader, phase)
    started = warehouse.sql("SELECT started FROM batchfs.beside_state ORDER BY window_start LIMIT 2")
    m.kill()
    assert values(warehouse) != [99]
    again = mount(project, now=NOW)
    wait_phase(again, phase, 2)
    # It goes on where it was.
    assert warehouse.sql("SELECT started FROM batchfs.beside_state ORDER BY window_start LIMIT 2") == started
    if phase == "build":
        held.open()
    else:
        r.close()
    again.sync("sessions", ".full-refresh")
    assert values(warehouse) == [99]
    check_rows(warehouse, "sessions")
    nothing_left(warehouse)


def test_two_mounts(held, project, warehouse, mount):
    m, other = mount(project, now=NOW), mount(project, now=NOW)
    m.build("sessions", "2024-09")
    before = m.document("sessions", DAYS[0])["attempt"]
    change(warehouse)
    held.close(DAYS[2], DAYS[3])
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    wait_phase(other, "build", 2)
    assert errno_of(os.utime, other / "sessions" / ".full-refresh") == errno.EBUSY
    waiting = start("sync", other / "sessions" / ".full-refresh")
    wait_parked(waiting)
    m.kill()
    held.open()
    assert finish(waiting).returncode == 0
    assert values(warehouse) == [99]
    wait_until(lambda: other.states("sessions") == STATES)
    assert other.document("sessions", DAYS[0])["attempt"] == before + 1
    assert document(other)["last"]["result"] == "done"
    nothing_left(warehouse)
    assert built(warehouse, "sessions") == dict.fromkeys(DAYS, 2)


@pytest.mark.parametrize("phase", ["build", "exchange"])
def test_cancelled(held, project, warehouse, mount, reader, phase):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    before, states = oid(warehouse), m.states("sessions")
    documents = [m.document("sessions", d) for d in DAYS]
    change(warehouse)
    begin(m, held, reader, phase)
    waiting = start("sync", m / "sessions" / ".full-refresh")
    wait_parked(waiting)
    assert shell(m / "sessions", "rm .full-refresh").returncode == 0
    assert "canceled" in finish(waiting).stderr.lower()
    wait_phase(m, None)
    assert document(m)["last"]["result"] == "cancelled"
    nothing_left(warehouse)
    assert oid(warehouse) == before and values(warehouse) != [99] and m.states("sessions") == states
    assert [m.document("sessions", d) for d in DAYS] == documents


def test_the_first_failure_ends_it(project, warehouse, mount):
    add_troubled(project, meta=ATOMIC)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    before, documents = oid(warehouse), [m.document("sessions", d) for d in DAYS]
    set_days(warehouse, FAILS, DAYS[1], DAYS[3])
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.EIO
    last = document(m)["last"]
    assert last["result"] == "failed" and DAYS[1] in last["error"] and "division by zero" in last["error"]
    nothing_left(warehouse)
    assert oid(warehouse) == before and [m.document("sessions", d) for d in DAYS] == documents
    set_days(warehouse, FINE)
    assert shell(m / "sessions", "touch .full-refresh && sync .full-refresh").returncode == 0
    assert oid(warehouse) != before


def test_what_cannot_be_kept_refuses(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, meta=ATOMIC)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    warehouse.sql("CREATE RULE watch AS ON DELETE TO an.sessions DO ALSO NOTIFY x")
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.EIO
    assert "the rule watch" in document(m)["last"]["error"]
    nothing_left(warehouse)


@pytest.mark.parametrize("why", ["a hook", "itself"])
def test_not_of_such_a_model(project, warehouse, mount, why):
    make_events(warehouse)
    project.source("events", event_time="event_time")
    if why == "a hook":
        project.model("sessions", "select id, event_time, val from {events}", inputs=["events"], meta=ATOMIC,
                      **{"post-hook": [{"sql": "select 1", "transaction": True, "index": None}]})
    else:
        project.model("sessions", "select id, event_time, val from {events} where not exists"
                      " (select from {sessions} s where s.id = -1)", inputs=["events", "sessions"], meta=ATOMIC)
    m = mount(project, now=NOW)
    assert errno_of(os.utime, m / "sessions" / ".full-refresh") == errno.EOPNOTSUPP
    assert why in document(m)["last_refusal"]["message"]


def test_a_killed_mount_leaves_nothing_for_ever(held, project, warehouse, mount):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    held.close(DAYS[2], DAYS[3])
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    wait_phase(m, "build", 2)
    assert shell(m / "sessions", "rm .full-refresh").returncode == 0
    wait_until(lambda: warehouse.sql("SELECT phase FROM batchfs.refresh") == [("",)])
    m.kill()
    held.open()
    mount(project, now=NOW)
    nothing_left(warehouse)


def test_not_on_sqlite(make_warehouse, tmp_path, mount):
    from lib.project import Project
    warehouse = make_warehouse("sqlite")
    project = Project(tmp_path / "lite", warehouse)
    make_events(warehouse)
    add_sessions(project, meta=ATOMIC)
    m = mount(project, now=NOW)
    assert errno_of(os.utime, m / "sessions" / ".full-refresh") == errno.EOPNOTSUPP
    assert "atomic" in document(m)["last_refusal"]["message"]
