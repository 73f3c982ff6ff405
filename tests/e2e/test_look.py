# SPDX-License-Identifier: Apache-2.0
"""Until a table has been looked at its batches are unknown, and it is not decided what .run builds."""
import errno
import os

import pytest

from lib.command import errno_of, finish, parked_sync, run, shell, start
from lib.events import add_sessions, make_events
from lib.truth import asked_for, built
from lib.wait import wait_until
from test_adoption import DAYS, NOW, make_target, on, states_of

HELD = DAYS[:2] + DAYS[-1:]


@pytest.fixture
def held(project, warehouse, mount, fault_binary, fault):
    """A mount beside a table of which three days are there, and whose looks wait until fault.clear()."""
    make_events(warehouse)
    add_sessions(project)
    make_target(warehouse, HELD)
    fault.set("look:hold")

    def make(*options):
        return mount(project, *options, now=NOW, binary=fault_binary, env=fault.env())

    return make


def test_the_first_touch_rebuilds_nothing_that_is_there(held, warehouse, fault):
    """batchfs && touch .run, however long the look takes."""
    m = held("timeout=3600")
    assert m.states("sessions") == dict.fromkeys(DAYS, "unknown")
    touch = start("touch", m / "sessions" / ".run")
    # What was asked for by name is recorded, and waits.
    assert run("touch", m / "sessions" / "2024-09-01").returncode == 0
    assert run("touch", m / "sessions" / "2024-09-03.unknown").returncode == 0
    assert m.states("sessions") == {**dict.fromkeys(DAYS, "unknown"), "2024-09-01": "queued", "2024-09-03": "queued"}
    assert touch.poll() is None and built(warehouse, "sessions") == {}
    fault.clear()
    assert finish(touch).returncode == 0
    m.sync("sessions", ".run")
    # What is pending, what is open, and what was named; the lookback takes in the day before the open one.
    assert built(warehouse, "sessions") == dict.fromkeys(["2024-09-01", "2024-09-03", "2024-09-04", "2024-09-05"], 1)
    assert warehouse.count("sessions", on("2024-09-02") + " AND val >= 1000") == 4
    assert warehouse.count("sessions", "val >= 1000") == 4
    assert m.states("sessions") == states_of(DAYS)


def test_what_is_unknown(held, fault):
    m = held("timeout=1")
    assert m.ls("sessions") == [f"{day}.unknown" for day in DAYS]
    d = m.document("sessions", DAYS[0])
    assert (d["state"], d["attempt"], d["adopted"], d["finished_at"]) == ("unknown", 0, False, None)
    assert os.stat(m / "sessions" / DAYS[0]).st_mtime_ns == 0
    for names in (["sessions", ".status"], ["sessions", ".run"], ["config.batch_size:day", ".run"], [".run"]):
        d = m.document(*names)
        assert (d["states"]["unknown"], d["would_build"]) == (5, None), names
    d = m.document("sessions", ".status")
    assert (d["built_until"], d["lag"]) == (None, None)
    assert m.document("sessions", "2024-09")["would_build"]["why"] == {"requested": 5}
    assert m.document("sessions", ".unknown")["batches"] == 5 and m.document("sessions", ".pending")["batches"] == 0
    assert m.document("sessions", ".model")["looked_at"] is None and m.document("sessions", ".adopt")["found"] is None
    # Who waits gives up after the timeout; the request goes on.
    assert errno_of(os.utime, m / "sessions" / ".run") == errno.ETIMEDOUT
    assert errno_of(os.utime, m / "sessions" / ".pending") == errno.ETIMEDOUT
    fault.clear()
    wait_until(lambda: m.states("sessions") == states_of(DAYS), what="it is built, and the rest was there")
    assert m.document("sessions", ".model")["looked_at"] is not None
    assert m.document("sessions", ".adopt")["found"]["adopted"] == 3
    assert not os.path.exists(m / "sessions" / f"{DAYS[0]}.unknown")


@pytest.mark.parametrize("name", ["2024-09-01", "2024", ".run", ".failed", ".adopt"])
def test_sync_waits_for_the_look(held, fault, name):
    m = held()
    sync = parked_sync(m / "sessions" / name)
    progress = start("cat", m / "sessions" / ".progress")
    m.document("sessions", "2024-09-01")
    assert sync.poll() is None and progress.poll() is None
    fault.clear()
    assert finish(sync).returncode == 0 and finish(progress).returncode == 0


def test_a_reason_reaches_what_has_waited(held, warehouse, fault):
    m = held("timeout=3600")
    echo = start("sh", "-c", "echo INC-4711 > .run", cwd=str(m / "sessions"))
    m.document("sessions", ".run")
    assert echo.poll() is None
    fault.clear()
    assert finish(echo).returncode == 0
    m.sync("sessions", ".run")
    assert m.document("sessions", "2024-09-03")["reason"] == "INC-4711"
    assert set(asked_for(warehouse)) and built(warehouse, "sessions") == dict.fromkeys(DAYS[2:], 1)


def test_the_end_of_the_mount_ends_the_waiting(held, warehouse, fault):
    m = held("timeout=3600")
    touch = start("touch", m / "sessions" / ".run")
    m.document("sessions", ".run")
    assert touch.poll() is None
    m.terminate()
    assert finish(touch).returncode == 1
    fault.clear()
    assert built(warehouse, "sessions") == {}


@pytest.mark.parametrize("engine", ["postgres"])
def test_a_locked_table_is_no_other_models_trouble(project, warehouse, mount):
    """A selection builds what can be decided on; the rest follows when its table is free."""
    make_events(warehouse)
    add_sessions(project)
    make_target(warehouse, HELD)
    project.model("daily", "select id, event_time, val from {events}", inputs=["events"])
    project.model("other", "select id, event_time, val from {events}", inputs=["events"])
    warehouse.sql("CREATE TABLE an.other AS SELECT * FROM an.events WHERE " + on("2024-09-01"))
    locker = warehouse.pg.connect()
    with locker:
        locker.cursor().execute("LOCK TABLE an.sessions IN ACCESS EXCLUSIVE MODE")
        m = mount(project, "timeout=3600", now=NOW)
        wait_until(lambda: m.states("other")["2024-09-01"] == "done", what="the other table is looked at")
        touch = start("touch", m / "daily sessions other" / ".run")
        wait_until(lambda: m.states("daily") == m.states("other") == states_of(DAYS), what="the others are built")
        assert touch.poll() is None and set(m.states("sessions").values()) == {"unknown"}
        assert built(warehouse, "sessions") == {}
    locker.close()
    assert finish(touch).returncode == 0
    m.sync("sessions", ".run")
    assert m.states("sessions") == states_of(DAYS)
    assert built(warehouse, "sessions") == dict.fromkeys(DAYS[2:], 1)


@pytest.mark.parametrize("engine", ["postgres"])
def test_a_table_that_nobody_may_read(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    make_target(warehouse, HELD)
    warehouse.sql("CREATE ROLE looker")
    warehouse.sql("GRANT USAGE, CREATE ON SCHEMA an TO looker")
    warehouse.sql("GRANT CREATE ON DATABASE warehouse TO looker")
    warehouse.sql("GRANT SELECT ON an.events TO looker")
    m = mount(project, "role=looker", now=NOW)
    why = wait_until(lambda: m.document("sessions", ".model")["why_not"], what="the reason")
    assert "sessions" in why and set(m.states("sessions").values()) == {"unknown"}
    assert m.document("sessions", ".model")["looked_at"] is None
    assert errno_of(m.sync, "sessions", "2024-09-01") == errno.ENODATA
    assert errno_of(m.sync, "sessions", "2024") == errno.ENODATA
    for name in (".run", "2024-09-01", "2024-09-01.unknown", ".unknown"):
        assert errno_of(os.utime, m / "sessions" / name) == errno.EOPNOTSUPP, name
    assert shell(m, "touch sessions/.adopt && sync sessions/.adopt").returncode == 1
    assert m.document("sessions", ".adopt")["why_not"]
    warehouse.sql("ALTER TABLE an.sessions OWNER TO looker")
    wait_until(lambda: m.states("sessions") == {**states_of(HELD)}, what="it may be read")
