# SPDX-License-Identifier: Apache-2.0
"""The schema batchfs is dropped and made anew below a mount: by another one, or by nobody."""
import os
import subprocess

import pytest

from lib.events import add_sessions, make_events
from lib.project import Project
from lib.truth import stored
from lib.wait import LIMIT, wait_until

NOW = "2024-09-06T12:00:00"


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def other(tmp_path, warehouse):
    """A project of one model, which sorts before those of the first."""
    project = Project(tmp_path / "other", warehouse)
    project.source("events", event_time="event_time")
    project.model("accounts", "select id, event_time, val from {events}", inputs=["events"])
    return project


def sync_ends(path):
    return subprocess.run(["sync", path], capture_output=True, text=True, check=False, timeout=LIMIT)


def settled(mount, model="sessions"):
    return {"queued", "running", "unknown"}.isdisjoint(mount.states(model).values())


def test_requests_go_to_the_right_model(project, other, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    warehouse.sql("DROP SCHEMA batchfs CASCADE")
    n = mount(other, now=NOW)
    n.build("accounts", "2024-09-01")
    os.utime(m / "sessions" / "2024-09-03")
    done = sync_ends(m / "sessions" / "2024-09-03")
    assert done.returncode == 0, done
    wait_until(lambda: settled(m), what="all was read anew")
    assert warehouse.sql("SELECT count(*) FROM batchfs.request r JOIN batchfs.model m ON m.id = r.model"
                         " WHERE m.target_table = 'accounts'") == [(1,)]
    # What the first had built is found in its table, as at a mount that meets it for the first time.
    states = m.states("sessions")
    assert {b for b, s in states.items() if s == "done"} == {"2024-09-01", "2024-09-02", "2024-09-03"}, states
    assert m.document("sessions", "2024-09-01")["adopted"] and not m.document("sessions", "2024-09-03")["adopted"]
    assert {b for b, s in n.states("accounts").items() if s == "done"} == {"2024-09-01"}
    m.build("sessions", ".run")
    assert stored(warehouse, "sessions") == {f"2024-09-0{day}": 4 for day in range(1, 7)}


def test_schema_that_nobody_has_made_anew(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    os.chmod(m / "sessions" / "2024-09-02", 0o444)
    warehouse.sql("DROP SCHEMA batchfs CASCADE")
    wait_until(lambda: m.document("sessions", "2024-09-01")["adopted"], what="the mount has made it and looked")
    assert os.stat(m / "sessions" / "2024-09-02").st_mode & 0o200, "what was frozen there is frozen no more"
    m.build("sessions", "2024-09-02")
    assert stored(warehouse, "sessions") == {"2024-09-01": 4, "2024-09-02": 4}


def test_a_newer_program_has_come(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    [(ours,)] = warehouse.sql("SELECT version FROM batchfs.meta")
    warehouse.sql("UPDATE batchfs.meta SET version = 9000")
    with pytest.raises(OSError):
        os.utime(m / "sessions" / "2024-09-02")
    wait_until(lambda: "version 9000" in m.document(".status")["mount"]["warehouse"], what="it says so")
    assert f"knows version {ours}" in m.document(".status")["mount"]["warehouse"]
    assert m.states("sessions")["2024-09-01"] == "done"
    warehouse.sql("UPDATE batchfs.meta SET version = %s", ours)
    wait_until(lambda: m.document(".status")["mount"]["warehouse"] == "connected", what="it is back")
    m.build("sessions", "2024-09-02")
