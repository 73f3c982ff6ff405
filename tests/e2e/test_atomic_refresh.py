# SPDX-License-Identifier: Apache-2.0
"""meta.batchfs.refresh: atomic: a full refresh is built beside the table, and exchanged at its end."""
import errno
import json
import os

import pytest

from lib.atomic import (ATOMIC, DAYS, NOW, STATES, begin, change, document, held, nothing_left, oid, reader,  # noqa: F401
                        refresh_until_exchange, values, wait_phase)
from lib.command import errno_of, finish, shell, start, wait_parked
from lib.events import add_sessions, make_events
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.truth import built, check_rows
from lib.wait import wait_until

@pytest.fixture
def engine():
    return "postgres"


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


@pytest.mark.parametrize("then", ["outcome = 2, attempt = 2", "run = 1, attempt = 2, owner = (SELECT max(id) FROM batchfs.owner)"],
                         ids=["failed", "claimed"])
def test_what_lies_behind_the_refresh(held, project, warehouse, mount, then):
    """A batch that a later clock has built keeps its rows, also where an attempt after that has failed, or may never begin."""
    warehouse.sql("INSERT INTO an.events (id, event_time, val) VALUES (1000, '2024-09-07 05:00', 1)")
    m = mount(project, now="2024-09-08T00:00:00")
    m.build("sessions", "2024-09")
    m.unmount()
    m = mount(project, now=NOW)
    warehouse.sql(f"UPDATE batchfs.state SET {then} WHERE window_start = '2024-09-07 00:00+00'")
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
    assert (document(m)["done"], document(m)["failed"]) == (0, 1)
    line = json.loads((m / "sessions" / ".history").read_text().splitlines()[-1])
    assert (line["batch"], line["outcome"], line["attempt"], line["message"], line["sqlstate"]) == (
        DAYS[1], "failed", 2, "division by zero", "22012")
    assert shell(m / "sessions", "cat .full-refresh.progress").returncode == 1
    nothing_left(warehouse)
    assert oid(warehouse) == before and [m.document("sessions", d) for d in DAYS] == documents
    set_days(warehouse, FINE)
    assert shell(m / "sessions", "touch .full-refresh && sync .full-refresh").returncode == 0
    assert oid(warehouse) != before


@pytest.mark.parametrize("is_made, then, why", [
    (" PARTITION BY RANGE (event_time)", "CREATE TABLE an.rest PARTITION OF an.sessions DEFAULT", "it is a partitioned table"),
    ("", "CREATE RULE watch AS ON DELETE TO an.sessions DO ALSO NOTIFY x", "the rule watch")])
def test_what_cannot_be_kept_refuses(project, warehouse, mount, is_made, then, why):
    make_events(warehouse)
    warehouse.sql(f"CREATE TABLE an.sessions (id integer, event_time timestamp, val integer){is_made}; {then}")
    add_sessions(project, meta=ATOMIC)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.EIO
    assert f"an.sessions cannot be exchanged, because that would not keep: {why}" in document(m)["last"]["error"].replace('"', "")
    assert document(m)["failed"] == 0
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
