# SPDX-License-Identifier: Apache-2.0
"""What others do to a table while it is mounted: seen by the clock and when somebody asks, told in .history."""
import errno
import json
import os
import stat

import pytest

from lib.command import errno_of, run, shell
from lib.events import add_sessions, make_events
from lib.truth import built, stored
from lib.wait import wait_until
from test_adoption import DAYS, NOW, drop, make_target, on, states_of


@pytest.fixture(autouse=True)
def sessions(project, warehouse):
    make_events(warehouse)
    add_sessions(project)


def write_day(warehouse, day, table="sessions"):
    """As somebody else would have built it."""
    warehouse.sql(f"INSERT INTO {warehouse.relation(table)} SELECT id, event_time, 1000 + val"
                  f" FROM {warehouse.relation('events')} WHERE {on(day)}")


def outcomes(m, model="sessions"):
    lines = (m / model / ".history").read_text().splitlines()
    return [(line["batch"], line["outcome"]) for line in map(json.loads, lines)]


def adopt(m, *names):
    done = shell(m.path.joinpath(*names), "touch .adopt && sync .adopt")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("where", [["sessions"], ["config.batch_size:day"], []], ids=["model", "selection", "root"])
def test_touch_adopt(warehouse, project, mount, where):
    m = mount(project, "look=0", now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    write_day(warehouse, "2024-09-03")
    write_day(warehouse, "2024-09-05")
    warehouse.sql(f"DELETE FROM {warehouse.relation('sessions')} WHERE {on('2024-09-02')}")
    adopt(m, *where)
    assert m.states("sessions") == states_of(["2024-09-01", "2024-09-03", "2024-09-05"])
    assert m.document("sessions", "2024-09-03")["adopted"] and not m.document("sessions", "2024-09-01")["adopted"]
    assert sorted(o for o in outcomes(m) if o[1] != "done") == [
        ("2024-09-02", "gone"), ("2024-09-03", "adopted"), ("2024-09-05", "adopted")]
    d = m.document(*where, ".adopt")
    d = d if where == ["sessions"] else d["models"]["sessions"]
    # The first look at a table that the mount itself has made may have come between the writes.
    found = d["found"]["adopted"], d["found"]["gone"]
    assert (0, 0) < found <= (2, 1) and d["why_not"] is None
    assert d["looked_at"] == m.document("sessions", ".model")["looked_at"]
    # What is there is not built again, what has gone is.
    m.build("sessions", ".run")
    assert built(warehouse, "sessions") == {"2024-09-01": 1, "2024-09-02": 2, "2024-09-04": 1, "2024-09-05": 1}


def test_the_clock_looks(warehouse, project, mount):
    make_target(warehouse, ["2024-09-01"], index=True)
    m = mount(project, "look=1", now=NOW)
    wait_until(lambda: m.states("sessions") == states_of(["2024-09-01"]), what="the first look")
    write_day(warehouse, "2024-09-03")
    wait_until(lambda: m.states("sessions") == states_of(["2024-09-01", "2024-09-03"]), what="the clock's look")
    warehouse.sql(f"DELETE FROM {warehouse.relation('sessions')} WHERE {on('2024-09-03')}")
    # What was adopted had rows.
    wait_until(lambda: m.states("sessions") == states_of(["2024-09-01"]), what="the clock's next look")


def test_a_read_only_mount_looks_in_memory(warehouse, project, mount):
    mount(project, now=NOW).unmount()
    make_target(warehouse, ["2024-09-01", "2024-09-05"], index=True)
    m = mount(project, "ro", "look=1", now=NOW)
    wait_until(lambda: m.states("sessions") == states_of(["2024-09-01", "2024-09-05"]), what="it is looked at")
    write_day(warehouse, "2024-09-03")
    wait_until(lambda: m.states("sessions")["2024-09-03"] == "done", what="it is looked at again")
    assert errno_of(os.utime, m / "sessions" / ".adopt") == errno.EROFS
    m.sync("sessions", ".adopt")
    assert built(warehouse, "sessions") == {}


def test_who_may_ask_for_a_look(project, mount):
    project.model("broken", "select id, event_time, val from {sessions}", inputs=["sessions"],
                  contract={"enforced": True})
    m = mount(project, now=NOW)
    for names in (["sessions"], ["broken"], ["sessions+"], []):
        path = m.path.joinpath(*names, ".adopt")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o644, names
        assert run("touch", path).returncode == 0
        assert run("sync", path).returncode == 0
        assert errno_of(os.unlink, path) == errno.EPERM
        assert errno_of(os.chmod, path, 0o444) == errno.EPERM
    assert ".adopt" in os.listdir(m / "sessions") and ".adopt" in os.listdir(m / "sessions+")


def test_a_model_that_cannot_be_built_shows_its_table(warehouse, project, mount):
    project.model("broken", "select id, event_time, val from {events}", inputs=["events"],
                  contract={"enforced": True})
    make_target(warehouse, [])
    warehouse.sql(f"CREATE TABLE {warehouse.relation('broken')} AS SELECT id, event_time, val"
                  f" FROM {warehouse.relation('events')} WHERE {on('2024-09-02')}")
    m = mount(project, "look=0", now=NOW)
    wait_until(lambda: m.states("broken") == states_of(["2024-09-02"]), what="it is looked at")
    assert stat.S_IMODE(os.stat(m / "broken" / "2024-09-02").st_mode) == 0o444
    assert m.document("broken", "2024-09-02")["adopted"]
    write_day(warehouse, "2024-09-03", "broken")
    adopt(m, "broken")
    assert m.states("broken") == states_of(["2024-09-02", "2024-09-03"])
    assert [b for b, _ in outcomes(m, "broken")] == ["2024-09-02", "2024-09-03"]
    d = m.document(".status")
    assert d["states"]["done"] == 2 and d["would_build"]["batches"] == 5 and d["models"]["broken"]["lag"] is None
    assert errno_of(os.utime, m / "broken" / ".run") == errno.EOPNOTSUPP


@pytest.mark.parametrize("days", [["2024-09-04"], []], ids=["replaced", "emptied"])
def test_a_replaced_table_is_noticed(warehouse, project, mount, days):
    """Without a touch; what was frozen stays so."""
    m = mount(project, "look=0", now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    os.chmod(m / "sessions" / "2024-09-01", 0o444)
    os.chmod(m / "sessions" / ".full-refresh", 0o444)
    drop(warehouse)
    make_target(warehouse, days)
    wait_until(lambda: m.states("sessions") == states_of(days), what="it is seen")
    assert stat.S_IMODE(os.stat(m / "sessions" / "2024-09-01").st_mode) == 0o444
    assert m.document("sessions", ".model")["protected"] == "chmod"
    assert errno_of(m.sync, "sessions", "2024-09-02") == errno.ENODATA
    m.build("sessions", ".run")
    # The lookback takes in what is there.
    assert built(warehouse, "sessions") == {"2024-09-01": 1, "2024-09-02": 2, "2024-09-03": 1, "2024-09-04": 1,
                                            "2024-09-05": 1}


def test_a_dropped_table_is_noticed(warehouse, project, mount):
    m = mount(project, "look=0", now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    drop(warehouse)
    wait_until(lambda: m.states("sessions") == states_of([]), what="it is seen")
    assert m.document("sessions", ".run")["would_build"]["batches"] == 5
    adopt(m, "sessions")


def test_the_known_table_comes_back(warehouse, project, mount):
    """A view stands in its place for a while: nothing that the table holds is built again."""
    m = mount(project, now=NOW)
    m.build("sessions", ".run")
    before, name = built(warehouse, "sessions"), warehouse.relation("sessions")
    kept = name.replace("sessions", "kept")
    rename = "ALTER TABLE {} RENAME TO {}"
    warehouse.sql(rename.format(name, "kept"))
    warehouse.sql(f"CREATE VIEW {name} AS SELECT * FROM {kept}")
    wait_until(lambda: set(m.states("sessions").values()) == {"unknown"}, what="nobody can look")
    warehouse.sql(f"DROP VIEW {name}")
    warehouse.sql(rename.format(kept, "sessions"))
    wait_until(lambda: "unknown" not in m.states("sessions").values(), what="it has been looked at")
    assert "pending" not in m.states("sessions").values()
    m.build("sessions", ".pending")
    assert built(warehouse, "sessions") == before


def test_a_mount_that_finds_a_view_in_the_place_of_its_table(warehouse, project, mount):
    """What was recorded is of the table, and the view is not that."""
    m = mount(project, now=NOW)
    m.build("sessions", ".run")
    m.unmount()
    before, name = built(warehouse, "sessions"), warehouse.relation("sessions")
    kept = name.replace("sessions", "kept")
    warehouse.sql(f"ALTER TABLE {name} RENAME TO kept")
    warehouse.sql(f"CREATE VIEW {name} AS SELECT * FROM {kept}")
    m = mount(project, now=NOW)
    assert set(m.states("sessions").values()) == {"unknown"}
    assert "is a view" in m.document("sessions", ".model")["why_not"]
    warehouse.sql(f"DROP VIEW {name}")
    warehouse.sql(f"ALTER TABLE {kept} RENAME TO sessions")
    wait_until(lambda: "unknown" not in m.states("sessions").values(), what="it has been looked at")
    m.build("sessions", ".pending")
    assert built(warehouse, "sessions") == before


def exchange(warehouse, days):
    drop(warehouse)
    make_target(warehouse, days)


@pytest.mark.parametrize("change", [drop, lambda warehouse: exchange(warehouse, DAYS[1:2])],
                         ids=["dropped", "exchanged"])
@pytest.mark.parametrize("name", [".run", ".pending", "2024-09.pending"])
def test_what_is_asked_at_once_is_answered_by_the_table_that_is_there(warehouse, project, mount, change, name):
    """Nobody waits until somebody has noticed: neither .run nor sync go by the states of a table that has gone."""
    m = mount(project, "look=0", now=NOW)
    for _ in range(3):
        m.build("sessions", "2024-09")
        change(warehouse)
        assert shell(m, f"touch 'sessions/{name}' && sync 'sessions/{name}'").returncode in (0, 1)
        m.sync("sessions", "2024-09")
        assert set(stored(warehouse, "sessions")) == set(DAYS)


def test_sync_says_at_once_that_a_table_has_gone(warehouse, project, mount):
    m = mount(project, "look=0", now=NOW)
    for _ in range(3):
        m.build("sessions", "2024-09-01")
        drop(warehouse)
        assert errno_of(m.sync, "sessions", "2024-09-01") == errno.ENODATA
