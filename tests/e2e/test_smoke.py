# SPDX-License-Identifier: Apache-2.0
"""The first session of a new user, on a real mount, both engines."""
import errno
import os
import subprocess

import pytest

from lib.events import add_sessions, make_events

NOW = "2024-09-04T12:00:00"


@pytest.fixture
def sessions(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    return mount(project, now=NOW)


def shell(mount, command):
    return subprocess.run(["sh", "-c", command], cwd=mount.path, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)


def test_listing_shows_what_was_never_built(sessions):
    assert sessions.ls() == ["sessions"]
    assert sessions.ls("sessions") == ["2024-09-01.pending", "2024-09-02.pending", "2024-09-03.pending",
                                       "2024-09-04.pending"]


def test_touch_and_sync_build_a_day(sessions, warehouse):
    done = shell(sessions, "touch sessions/2024-09-02 && sync sessions/2024-09-02 && cat sessions/2024-09-02")
    assert (done.returncode, done.stderr) == (0, "")
    document = sessions.document("sessions", "2024-09-02")
    assert document["state"] == "done" and document["rows_inserted"] == 4
    assert document["start"] == "2024-09-02T00:00:00Z" and document["end"] == "2024-09-03T00:00:00Z"
    assert warehouse.count("sessions") == 4
    assert warehouse.count("sessions", "event_time >= '2024-09-02' AND event_time < '2024-09-03'") == 4
    assert sessions.ls("sessions") == ["2024-09-01.pending", "2024-09-02", "2024-09-03.pending",
                                       "2024-09-04.pending"]


def test_the_document_is_as_long_as_its_size(sessions):
    path = sessions / "sessions" / "2024-09-01"
    assert len(path.read_bytes()) == os.stat(path).st_size
    sessions.build("sessions", "2024-09-01")
    assert len(path.read_bytes()) == os.stat(path).st_size


def test_a_range_excludes_its_end(sessions, warehouse):
    done = shell(sessions, "touch sessions/2024-09-01--2024-09-03 && sync sessions/2024")
    assert (done.returncode, done.stderr) == (0, "")
    assert sessions.states("sessions") == {"2024-09-01": "done", "2024-09-02": "done", "2024-09-03": "pending",
                                           "2024-09-04": "pending"}
    assert warehouse.count("sessions") == 8
    assert sessions.document("sessions", "2024-09")["states"]["done"] == 2


def test_a_month_builds_its_days_and_the_last_is_partial(sessions, warehouse):
    sessions.build("sessions", "2024-09")
    assert sessions.states("sessions") == {"2024-09-01": "done", "2024-09-02": "done", "2024-09-03": "done",
                                           "2024-09-04": "partial"}
    assert warehouse.count("sessions") == 16


def test_building_again_replaces(sessions, warehouse):
    sessions.build("sessions", "2024-09-01")
    warehouse.sql(f"UPDATE {warehouse.relation('events')} SET val = 77")
    sessions.build("sessions", "2024-09-01")
    assert warehouse.count("sessions") == 4
    assert warehouse.count("sessions", "val = 77") == 4
    assert sessions.document("sessions", "2024-09-01")["attempt"] == 2


def test_a_suffixed_name_is_a_fact(sessions):
    pending = sessions / "sessions" / "2024-09-03.pending"
    assert pending.exists() and not (sessions / "sessions" / "2024-09-03.failed").exists()
    assert (sessions / "sessions" / "2024-09-03").exists()
    os.utime(pending)
    with pytest.raises(OSError) as refused:
        os.utime(sessions / "sessions" / "2024-09-03.failed")
    assert refused.value.errno == errno.ENOENT


def test_failure_and_repair(project, warehouse, mount):
    make_events(warehouse)
    # 1 / 0 is an error in PostgreSQL and NULL in SQLite; abs() of the smallest integer overflows in SQLite only.
    broken = "1 / val" if warehouse.engine == "postgres" else "abs(case when val = 0 then -9223372036854775808 end)"
    project.source("events", event_time="event_time")
    project.model("sessions", "select id, event_time, " + broken + " as x from {events}", inputs=["events"])
    m = mount(project, now=NOW)
    warehouse.sql(f"UPDATE {warehouse.relation('events')} SET val = 0 WHERE event_time >= '2024-09-02' "
                  "AND event_time < '2024-09-03'")
    with pytest.raises(OSError) as failed:
        m.build("sessions", "2024-09")
    assert failed.value.errno == errno.EIO
    assert m.states("sessions") == {"2024-09-01": "done", "2024-09-02": "failed", "2024-09-03": "done",
                                    "2024-09-04": "partial"}
    assert m.document("sessions", "2024-09-02")["error"]["message"]
    warehouse.sql(f"UPDATE {warehouse.relation('events')} SET val = 1")
    done = shell(m, "touch sessions/*.failed && sync sessions/2024-09-02 && ls sessions")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["2024-09-01", "2024-09-02", "2024-09-03", "2024-09-04.partial"]


def test_states_survive_a_new_mount(project, warehouse, mount, sessions):
    sessions.build("sessions", "2024-09-01--2024-09-03")
    before = sessions.document("sessions", "2024-09-02")
    sessions.unmount()
    again = mount(project, now=NOW)
    assert again.document("sessions", "2024-09-02") == before
    assert again.states("sessions")["2024-09-02"] == "done"


def test_nothing_else_can_be_written(sessions):
    for call, number in [(lambda p: os.mkdir(p / "new"), errno.EPERM),
                         (lambda p: os.rename(p / "2024-09-01", p / "2024-09-02"), errno.EPERM),
                         (lambda p: os.link(p / "2024-09-01", p / "x"), errno.EPERM),
                         (lambda p: os.utime(p), errno.EPERM),
                         (lambda p: (p / "new").touch(), errno.ENOENT),
                         (lambda p: os.utime(p / "2024-08-31"), errno.ENOENT),
                         (lambda p: os.utime(p / "2024-09-05"), errno.ENOENT),
                         (lambda p: os.utime(p / "2024-09-03--2024-09-01"), errno.EINVAL)]:
        with pytest.raises(OSError) as refused:
            call(sessions / "sessions")
        assert refused.value.errno == number
    assert set(sessions.states("sessions").values()) == {"pending"}


def test_read_only(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, "ro", now=NOW)
    with pytest.raises(OSError) as refused:
        os.utime(m / "sessions" / "2024-09-01")
    assert refused.value.errno == errno.EROFS
    assert m.states("sessions")["2024-09-01"] == "pending"


def test_root_status(sessions, warehouse):
    status = sessions.document(".status")
    assert status["mount"]["engine"] == warehouse.engine and status["mount"]["pid"] == sessions.pid
    assert status["mount"]["warehouse"] == "connected"
    assert status["models"]["sessions"]["states"]["pending"] == 4
