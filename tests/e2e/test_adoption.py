# SPDX-License-Identifier: Apache-2.0
"""A target that was built by somebody else: seen, told apart from what is missing, never rebuilt unasked."""
import os

import pytest

from lib.command import shell
from lib.events import add_sessions, make_events
from lib.truth import built, check_rows, stored
from lib.wait import wait_until

NOW = "2024-09-05T12:00:00"
DAYS = [f"2024-09-0{day}" for day in range(1, 6)]


@pytest.fixture(autouse=True)
def sessions(project, warehouse):
    make_events(warehouse)
    add_sessions(project)


def on(day):
    return f"event_time >= '{day} 00:00:00' AND event_time <= '{day} 23:59:59'"


def drop(warehouse):
    warehouse.sql(f"DROP TABLE {warehouse.relation('sessions')}")


def make_target(warehouse, days, index=False):
    """As dbt would have built it."""
    sessions, events = warehouse.relation("sessions"), warehouse.relation("events")
    warehouse.sql(f"CREATE TABLE {sessions} (id integer, event_time {warehouse.time_type}, val integer)")
    if index:
        name = "" if warehouse.engine == "postgres" else "by_time"
        warehouse.sql(f"CREATE INDEX {name} ON {'sessions' if name else sessions} (event_time)")
    for day in days:
        warehouse.sql(f"INSERT INTO {sessions} SELECT id, event_time, 1000 + val FROM {events} WHERE {on(day)}")


def images(warehouse):
    """The rows where they are: a rebuilt one is another."""
    where = "ctid, xmin::text" if warehouse.engine == "postgres" else "rowid"
    return warehouse.sql(f"SELECT {where}, id, val FROM {warehouse.relation('sessions')} ORDER BY 1")


def wait_states(mount, expected):
    wait_until(lambda: mount.states("sessions") == expected, what=f"{expected}")


def states_of(done):
    """The window of the last one is still open."""
    return {day: "pending" if day not in done else "partial" if day == DAYS[-1] else "done" for day in DAYS}


def test_nothing_is_stale_because_it_was_adopted(project, warehouse, mount):
    """When the two were built nobody knows."""
    project.model("daily", "select id, event_time, val from {sessions}", inputs=["sessions"])
    make_target(warehouse, DAYS)
    warehouse.sql(f"CREATE TABLE {warehouse.relation('daily')} AS SELECT * FROM {warehouse.relation('sessions')}")
    m = mount(project, now=NOW)
    wait_until(lambda: m.states("daily") == m.states("sessions") == states_of(DAYS), what="all of both is adopted")
    m.build("sessions", DAYS[1])
    wait_until(lambda: m.states("daily") == {**states_of(DAYS), DAYS[1]: "stale"}, what="what it reads was rebuilt")


@pytest.mark.parametrize("index", [False, True], ids=["no index", "index"])
@pytest.mark.parametrize("days", [[], ["2024-09-03"], ["2024-09-01", "2024-09-02", "2024-09-05"]],
                         ids=["0", "1", "3"])
def test_adoption(project, warehouse, mount, days, index):
    make_target(warehouse, days, index)
    before = images(warehouse)
    m = mount(project, now=NOW)
    wait_states(m, states_of(days))
    for day in DAYS:
        document = m.document("sessions", day)
        assert document["adopted"] == (day in days)
        assert document["attempt"] == 0 and document["rows_inserted"] is None and document["requested_by"] is None
        assert (os.stat(m / "sessions" / day).st_mtime > 0) == (day in days)
    m.build("sessions", "2024-09-04")
    after = images(warehouse)
    assert [row for row in after if row in before] == before and len(after) == len(before) + 4
    assert built(warehouse, "sessions") == {"2024-09-04": 1}
    assert m.document("sessions", "2024-09-04")["adopted"] is False
    # Asked for, what was adopted is built like any other.
    m.build("sessions", "2024-09-01")
    assert warehouse.count("sessions", on("2024-09-01") + " AND val < 1000") == 4
    assert warehouse.count("sessions", on("2024-09-01")) == 4
    assert m.document("sessions", "2024-09-01")["adopted"] is False


@pytest.mark.parametrize("engine", ["postgres"])
@pytest.mark.parametrize("index", [False, True], ids=["no index", "index"])
def test_rows_past_the_ends_are_no_batches(project, warehouse, mount, index):
    make_target(warehouse, ["2024-09-02"], index)
    warehouse.sql("INSERT INTO an.sessions VALUES (-1, '2024-08-31', 0), (-2, '2024-09-06', 0), (-3, '0001-01-01 BC', 0),"
                  " (-4, '2924-01-01', 0), (-5, NULL, 0)")
    m = mount(project, now=NOW)
    wait_states(m, states_of(["2024-09-02"]))


def test_adoption_is_kept(project, warehouse, mount):
    make_target(warehouse, ["2024-09-02"])
    m = mount(project, now=NOW)
    wait_states(m, states_of(["2024-09-02"]))
    before = m.document("sessions", "2024-09-02")
    m.unmount()
    # Between two mounts nothing says that these rows are of somebody else: the table is the known one.
    again = mount(project, now=NOW, at=m.path)
    assert again.document("sessions", "2024-09-02") == before


def test_a_request_waits_for_the_adoption(project, warehouse, mount):
    make_target(warehouse, ["2024-09-01", "2024-09-02"])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-03")
    assert m.states("sessions") == states_of(["2024-09-01", "2024-09-02", "2024-09-03"])
    assert built(warehouse, "sessions") == {"2024-09-03": 1}


@pytest.mark.parametrize("days", [[], ["2024-09-02"], ["2024-09-02", "2024-09-03", "2024-09-04"]],
                         ids=["0", "1", "3"])
def test_dbt_replaces_the_table_while_it_is_mounted(project, warehouse, mount, days):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    drop(warehouse)
    make_target(warehouse, days)
    before = images(warehouse)
    m.build("sessions", "2024-09-05")
    wait_until(lambda: m.document("sessions", "2024-09-05")["rows_inserted"] == 4, what="it is built")
    states = {**states_of(days), "2024-09-05": "partial"}
    wait_states(m, states)
    assert [row for row in images(warehouse) if row in before] == before
    assert stored(warehouse, "sessions") == {**dict.fromkeys(days, 4), "2024-09-05": 4}
    assert all(m.document("sessions", day)["adopted"] for day in days)


def test_a_dropped_table_is_made_again(project, warehouse, mount):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    drop(warehouse)
    m.build("sessions", "2024-09-04")
    wait_states(m, states_of(["2024-09-04"]))
    assert check_rows(warehouse, "sessions") == {"2024-09-04": 4}


def test_replaced_between_two_mounts(project, warehouse, mount):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    m.unmount()
    drop(warehouse)
    make_target(warehouse, ["2024-09-04"])
    again = mount(project, now=NOW, at=m.path)
    wait_states(again, states_of(["2024-09-04"]))
    assert again.document("sessions", "2024-09-04")["adopted"] is True
    assert again.document("sessions", "2024-09-01")["rows_inserted"] is None


def test_an_emptied_table_is_the_same_table(project, warehouse, mount):
    """What others delete is seen by a look; what was built before and since is not adopted."""
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    warehouse.sql(f"DELETE FROM {warehouse.relation('sessions')}")
    m.build("sessions", "2024-09-01")
    assert stored(warehouse, "sessions") == {"2024-09-01": 4}
    assert shell(m / "sessions", "touch .adopt && sync .adopt").returncode == 0
    states = m.states("sessions")
    assert [states[f"2024-09-0{n}"] for n in (1, 2, 3)] == ["done", "pending", "pending"]
    assert not m.document("sessions", "2024-09-01")["adopted"]


@pytest.mark.parametrize("engine", ["postgres"])
def test_two_projects_share_a_target(project, warehouse, mount, tmp_path):
    """State belongs to the table, not to the manifest."""
    from lib.project import Project
    other = Project(tmp_path / "other", warehouse, name="other")
    add_sessions(other)
    first, second = mount(project, now=NOW), mount(other, now=NOW)
    first.build("sessions", "2024-09-01--2024-09-03")
    wait_states(second, states_of(["2024-09-01", "2024-09-02"]))
    second.build("sessions", "2024-09-03")
    wait_states(first, states_of(["2024-09-01", "2024-09-02", "2024-09-03"]))
    assert set(built(warehouse, "sessions").values()) == {1}
