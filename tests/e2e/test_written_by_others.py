# SPDX-License-Identifier: Apache-2.0
"""dbt, and people, write beside the mount: what they make, delete and exchange is seen, and nothing is rebuilt for it."""
import json
import os

import pytest

from lib.events import add_sessions, make_events
from lib.hold import add_held, make_hold
from lib.truth import built
from lib.wait import wait_until
from test_adoption import DAYS, NOW, drop, images, make_target, on, wait_states


@pytest.fixture(autouse=True)
def sessions(project, warehouse):
    make_events(warehouse)
    add_sessions(project)


def outcomes(mount):
    lines = [json.loads(line) for line in (mount / "sessions" / ".history").read_text().splitlines()]
    return [(line["batch"], line["outcome"]) for line in lines if line["outcome"] != "done"]


def write_days(warehouse, *days):
    sessions, events = warehouse.relation("sessions"), warehouse.relation("events")
    for day in days:
        warehouse.sql(f"INSERT INTO {sessions} SELECT id, event_time, 1000 + val FROM {events} WHERE {on(day)}")


def delete_days(warehouse, *days):
    for day in days:
        warehouse.sql(f"DELETE FROM {warehouse.relation('sessions')} WHERE {on(day)}")


def states(*letters):
    words = {"d": "done", ".": "pending", "p": "partial"}
    return {day: words[letter] for day, letter in zip(DAYS, letters)}


def look(mount, *names):
    os.utime(mount.path.joinpath(*names, ".adopt"))
    mount.sync(*names, ".adopt")


def test_another_table_is_noticed(project, warehouse, mount):
    """Nobody touches anything: it is dropped, made anew, exchanged."""
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    drop(warehouse)
    wait_states(m, states(*"....."))
    assert outcomes(m) == [(day, "gone") for day in DAYS[:3]]
    wait_until(lambda: [m.document("sessions", ".adopt")["found"][key] for key in ("adopted", "gone")] == [0, 3],
               what=".adopt counts what has gone")
    make_target(warehouse, ["2024-09-02"], index=True)
    wait_states(m, states(*".d..."))
    assert outcomes(m)[3:] == [("2024-09-02", "adopted")]
    sessions = warehouse.relation("sessions")
    warehouse.sql(f"ALTER TABLE {sessions} RENAME TO backup")
    make_target(warehouse, ["2024-09-03", "2024-09-05"])
    wait_states(m, states(*"..d.p"))
    drop(warehouse)
    warehouse.sql(f"ALTER TABLE {sessions.replace('sessions', 'backup')} RENAME TO sessions")
    wait_states(m, states(*".d..."))
    assert set(built(warehouse, "sessions").values()) == {1}


def test_what_was_written_and_deleted(project, warehouse, mount):
    m = mount(project, "look=0", now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    write_days(warehouse, "2024-09-04", "2024-09-05")
    delete_days(warehouse, "2024-09-02")
    before = images(warehouse)
    look(m, "sessions")
    assert m.states("sessions") == states(*"d.ddp")
    assert m.document("sessions", "2024-09-04")["adopted"] is True
    assert sorted(outcomes(m)) == [("2024-09-02", "gone"), ("2024-09-04", "adopted"), ("2024-09-05", "adopted")]
    assert images(warehouse) == before
    look(m)
    assert len(outcomes(m)) == 3
    # .run fills the gap and completes the open window.
    m.build("sessions", ".run")
    assert warehouse.count("sessions", on("2024-09-02")) == 4
    assert warehouse.count("sessions", on("2024-09-04") + " AND val >= 1000") in (0, 4)


def test_by_the_clock(project, warehouse, mount):
    m = mount(project, "look=1", now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    write_days(warehouse, "2024-09-04")
    delete_days(warehouse, "2024-09-01")
    wait_states(m, states(*".d.d."))
    warehouse.sql(f"DELETE FROM {warehouse.relation('sessions')}" if warehouse.engine == "sqlite"
                  else "TRUNCATE an.sessions")
    wait_states(m, states(*"....."))


@pytest.mark.parametrize("engine", ["postgres"])
def test_every_mount_sees_it(project, warehouse, mount):
    a, b = mount(project, "look=0", now=NOW), mount(project, "look=0", now=NOW)
    a.build("sessions", "2024-09-01--2024-09-03")
    write_days(warehouse, "2024-09-04")
    delete_days(warehouse, "2024-09-01")
    look(a, "sessions")
    wait_states(b, states(*".d.d."))
    wait_until(lambda: sorted(outcomes(b)) == [("2024-09-01", "gone"), ("2024-09-04", "adopted")],
               what="the other mount's history tells it")


@pytest.mark.parametrize("engine", ["postgres"])
def test_while_batches_are_built(project, warehouse, mount):
    """What runs and what waits is left alone by a look."""
    hold = make_hold(warehouse)
    add_held(project, hold)
    m = mount(project, "look=0", now=NOW)
    m.build("sessions", "2024-09-01")
    hold.close()
    os.utime(m / "sessions" / "2024-09-02--2024-09-05")
    wait_until(lambda: "running" in m.states("sessions").values(), what="a batch runs")
    delete_days(warehouse, "2024-09-01")
    write_days(warehouse, "2024-09-04")
    look(m, "sessions")
    now = m.states("sessions")
    assert now["2024-09-01"] == "pending" and set(list(now.values())[1:4]) <= {"running", "queued"}
    hold.open()
    m.sync("sessions", "2024-09-02--2024-09-05")
    wait_states(m, states(*".ddd."))
    assert outcomes(m) == [("2024-09-01", "gone")]
