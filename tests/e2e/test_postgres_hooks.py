# SPDX-License-Identifier: Apache-2.0
"""Hooks run once a request and model: before its first batch, after its last one, whatever becomes of either."""
import errno
import os

import pytest

from lib.events import make_events
from lib.hold import make_hold
from lib.wait import wait_until

NOW = "2024-09-05T12:00:00"
LOG = "CREATE TABLE an.log (id serial, what text, rows bigint)"


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def warehouse(warehouse):
    make_events(warehouse)
    warehouse.sql(LOG)
    return warehouse


def note(what, transaction=True):
    """A hook that notes down how much there is when it runs."""
    return {"sql": f"insert into an.log (what, rows) select '{what}', count(*) from {{{{ this }}}}",
            "transaction": transaction, "index": None}


def hook(sql, transaction=True):
    return {"sql": sql, "transaction": transaction, "index": None}


ALL = {"pre-hook": [note("pre outside", False), note("pre")], "post-hook": [note("post"), note("post outside", False)]}


def add_model(project, sql="select id, event_time, val from {events}", **config):
    project.source("events", event_time="event_time")
    project.model("sessions", sql, inputs=["events"], **config)


def log(warehouse):
    return warehouse.sql("SELECT what, rows FROM an.log ORDER BY id")


def errno_of(call, *args):
    try:
        call(*args)
    except OSError as e:
        return e.errno
    return 0


def error_of(m, batch):
    return m.document("sessions", batch)["error"]["message"]


def around(before, after):
    return [("pre outside", before), ("pre", before), ("post", after), ("post outside", after)]


def test_once_a_request(project, warehouse, mount):
    add_model(project, **ALL)
    m = mount(project, "jobs=4", now=NOW)
    m.build("sessions", "2024-09")
    assert log(warehouse) == around(0, 20)
    m.build("sessions", "2024-09-02--2024-09-04")
    assert log(warehouse)[4:] == around(20, 20)
    m.build("sessions", "2024-09-03")
    assert log(warehouse)[8:] == around(20, 20)
    assert set(m.states("sessions").values()) <= {"done", "partial"}
    text = (m / "sessions" / "2024-09-03.sql").read_text()
    assert "-- before the first batch of a touch, in its transaction: insert into an.log" in text
    assert "-- after the last batch of a touch: insert into an.log" in text


def test_a_touch_of_several_ranges_is_one_request(project, warehouse, mount):
    add_model(project, **ALL)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-02")
    m.build("sessions", "2024-09-04")
    warehouse.sql("TRUNCATE an.log")
    m.build("sessions", ".pending")
    assert log(warehouse) == around(8, 20)


def test_a_batch_that_fails_between_them(project, warehouse, mount):
    """The request has its post-hooks all the same; asking again is another request."""
    add_model(project, "select id, event_time, 1 / (val - 3) as val from {events}", **ALL)
    m = mount(project, now=NOW)
    os.utime(m / "sessions" / "2024-09")
    assert errno_of(m.sync, "sessions", "2024-09") == errno.EIO
    failed = [batch for batch, state in m.states("sessions").items() if state == "failed"]
    assert len(failed) == 1 and log(warehouse) == around(0, 16)
    warehouse.sql("UPDATE an.events SET val = 9 WHERE val = 3")
    m.build("sessions", failed[0])
    assert log(warehouse)[4:] == around(16, 20)


def test_a_pre_hook_that_fails(project, warehouse, mount):
    add_model(project, **{"pre-hook": [note("pre"), hook("select 1 / (select count(*) from an.ready)")]})
    warehouse.sql("CREATE TABLE an.ready (x int)")
    m = mount(project, now=NOW)
    os.utime(m / "sessions" / "2024-09-01--2024-09-03")
    assert errno_of(m.sync, "sessions", "2024-09-01--2024-09-03") == errno.EIO
    assert "pre-hook \"select 1 /" in error_of(m, "2024-09-01") and "division by zero" in error_of(m, "2024-09-01")
    assert m.document("sessions", "2024-09-01")["error"]["sqlstate"] == "22012"
    assert log(warehouse) == [] and warehouse.count("sessions") == 0
    warehouse.sql("INSERT INTO an.ready VALUES (1)")
    m.build("sessions", "2024-09-01--2024-09-03")
    assert log(warehouse) == [("pre", 0)]


def test_a_post_hook_that_fails(project, warehouse, mount):
    """The last batch fails, and its rows are rolled back; the others stay."""
    add_model(project, **{"post-hook": [note("post"), hook("select 1 / (select count(*) from an.ready)")]})
    warehouse.sql("CREATE TABLE an.ready (x int)")
    m = mount(project, now=NOW)
    os.utime(m / "sessions" / "2024-09-01--2024-09-03")
    assert errno_of(m.sync, "sessions", "2024-09-01--2024-09-03") == errno.EIO
    states = m.states("sessions")
    assert (states["2024-09-01"], states["2024-09-02"]) == ("done", "failed")
    assert "post-hook" in error_of(m, "2024-09-02") and log(warehouse) == [] and warehouse.count("sessions") == 4
    warehouse.sql("INSERT INTO an.ready VALUES (1)")
    m.build("sessions", "2024-09-02")
    assert log(warehouse) == [("post", 8)]


def test_a_post_hook_outside_that_fails(project, warehouse, mount):
    """The last batch fails, with its rows in place."""
    add_model(project, **{"post-hook": [hook("select 1 / (select count(*) from an.ready)", False), note("post")]})
    warehouse.sql("CREATE TABLE an.ready (x int)")
    m = mount(project, now=NOW)
    os.utime(m / "sessions" / "2024-09-01--2024-09-03")
    assert errno_of(m.sync, "sessions", "2024-09-01--2024-09-03") == errno.EIO
    assert m.states("sessions")["2024-09-02"] == "failed" and "division by zero" in error_of(m, "2024-09-02")
    assert warehouse.count("sessions") == 8 and log(warehouse) == [("post", 8)]
    warehouse.sql("INSERT INTO an.ready VALUES (1)")
    m.build("sessions", "2024-09-02")
    document = m.document("sessions", "2024-09-02")
    assert (document["rows_deleted"], document["rows_inserted"], document["rows_outside"]) == (4, 4, 0)


def test_what_a_transaction_does_not_allow(project, warehouse, mount):
    add_model(project, **{"pre-hook": [hook("set work_mem = '8MB'; vacuum an.events", False)],
                          "post-hook": [hook("vacuum {{ this }}", False)]})
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    assert warehouse.sql("SELECT count(*) FROM an.sessions") == [(20,)]


@pytest.mark.parametrize("sql", ["commit", "/* so */ ROLLBACK", "begin"])
def test_a_hook_cannot_end_the_transaction_that_it_is_in(project, warehouse, mount, sql):
    add_model(project, **{"post-hook": [hook(f"select 1; {sql}")]})
    m = mount(project, now=NOW)
    os.utime(m / "sessions" / "2024-09-01")
    assert errno_of(m.sync, "sessions", "2024-09-01") == errno.EIO
    assert "transaction: false" in error_of(m, "2024-09-01") and warehouse.count("sessions") == 0


def add_held_model(project, hold, day):
    hold.close(f"{day} 00:00", f"{day} 12:00")
    add_model(project, "select id, event_time, val from {events} where " + hold.condition, **ALL)


@pytest.mark.parametrize("day", ["2024-09-01", "2024-09-03", "2024-09-05"])
def test_a_mount_that_is_killed(project, warehouse, mount, day):
    """In its first batch, in one between, in its last: who goes on runs what has not run, and nothing twice."""
    hold = make_hold(warehouse)
    add_held_model(project, hold, day)
    m = mount(project, now=NOW)
    os.utime(m / "sessions" / "2024-09")
    wait_until(lambda: m.states("sessions")[day] == "running", what=f"{day} is running")
    other = mount(project, now=NOW)
    m.kill()
    hold.open()
    wait_until(lambda: set(other.states("sessions").values()) <= {"done", "partial"}, what="the other one goes on")
    assert log(warehouse) == around(0, 20)


def test_two_mounts_at_once(project, warehouse, mount):
    add_model(project, **ALL)
    m, other = mount(project, "jobs=2", now=NOW), mount(project, "jobs=2", now=NOW)
    for i in range(3):
        os.utime(m / "sessions" / "2024-09")
        m.sync("sessions", "2024-09")
        other.sync("sessions", "2024-09")
        assert sorted(what for what, _ in log(warehouse)) == sorted((i + 1) * [what for what, _ in around(0, 0)])
    assert warehouse.count("sessions") == 20


def test_what_was_cancelled_has_no_post_hooks(project, warehouse, mount):
    hold = make_hold(warehouse)
    add_held_model(project, hold, "2024-09-03")
    m = mount(project, now=NOW)
    os.utime(m / "sessions" / "2024-09")
    wait_until(lambda: m.states("sessions")["2024-09-03"] == "running", what="it is running")
    os.unlink(m / "sessions" / "2024-09")
    assert errno_of(m.sync, "sessions", "2024-09") in (0, errno.ECANCELED)
    wait_until(lambda: not {"queued", "running"} & set(m.states("sessions").values()), what="all is cancelled")
    hold.open()
    assert log(warehouse) == around(0, 0)[:2]
    warehouse.sql("TRUNCATE an.log")
    m.build("sessions", "2024-09")
    assert log(warehouse) == around(8, 20)
