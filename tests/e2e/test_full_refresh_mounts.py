# SPDX-License-Identifier: Apache-2.0
"""A full refresh on several mounts, over crashes of the server, and beside others who write to the table."""
import errno
import os
import threading

import pytest

from lib.command import errno_of, finish, parked_sync, shell
from lib.events import add_sessions, make_events
from lib.hold import add_held, make_hold
from lib.truth import built, check_rows
from lib.wait import wait_until

NOW = "2024-09-05T12:00:00"
DAYS = [f"2024-09-0{d}" for d in range(1, 6)]


@pytest.fixture
def engine():
    return "postgres"


def document(m, model="sessions"):
    return m.document(model, ".full-refresh")


def wait_phase(m, phase, model="sessions"):
    wait_until(lambda: document(m, model)["phase"] == phase, what=f"{m.path}: the phase is {phase}")


def owner(warehouse):
    return warehouse.sql("SELECT owner FROM batchfs.refresh WHERE phase = 'clear' AND owner <> 0")


class Blocked:
    """Somebody holds the rows that are to be deleted."""

    def __init__(self, pg, warehouse, model="sessions"):
        warehouse.sql(f"INSERT INTO {warehouse.relation(model)} VALUES (-1, NULL, 0), (-1, '2020-01-01', 0)")
        self.session = pg.connect()
        self.session.cursor().execute(f"BEGIN; SELECT FROM {warehouse.relation(model)} WHERE id = -1 FOR UPDATE")

    def free(self):
        self.session.cursor().execute("ROLLBACK")


def test_two_mounts(ready, warehouse, mount, pg):
    a, b = mount(ready, now=NOW), mount(ready, now=NOW)
    a.build("sessions", "2024-09")
    others = Blocked(pg, warehouse)
    assert shell(a / "sessions", "echo both see it > .full-refresh").returncode == 0
    wait_phase(b, "clear")
    wait_until(lambda: document(b)["reason"] == "both see it", what="the other mount knows why")
    assert document(b)["since"] == document(a)["since"]
    assert errno_of(os.utime, b / "sessions" / ".full-refresh") == errno.EBUSY
    waiting = parked_sync(b / "sessions" / ".full-refresh")
    # One of them clears.
    wait_until(lambda: len(owner(warehouse)) == 1, what="a mount clears")
    others.free()
    assert finish(waiting).returncode == 0
    a.sync("sessions", ".full-refresh")
    assert {**document(a), "last_refusal": None} == {**document(b), "last_refusal": None}
    assert document(b)["last"]["result"] == "done"
    assert (document(b)["rows_outside"], document(b)["rows_without_event_time"]) == (1, 1)
    assert built(warehouse, "sessions") == {day: 2 for day in DAYS}
    check_rows(warehouse, "sessions")


def test_the_other_mount_takes_over(ready, warehouse, mount, pg):
    a = mount(ready, now=NOW)
    a.build("sessions", "2024-09")
    others = Blocked(pg, warehouse)
    os.utime(a / "sessions" / ".full-refresh")
    [first] = wait_until(lambda: owner(warehouse), what="a mount clears")
    b = mount(ready, now=NOW)
    wait_phase(b, "clear")
    a.kill()
    wait_until(lambda: owner(warehouse) not in ([], [first]), what="the other one clears")
    others.free()
    b.sync("sessions", ".full-refresh")
    assert built(warehouse, "sessions") == {day: 2 for day in DAYS} and warehouse.count("sessions", "id = -1") == 0


def test_the_other_mount_cancels(ready, warehouse, mount, pg):
    a, b = mount(ready, now=NOW), mount(ready, now=NOW)
    a.build("sessions", "2024-09")
    others = Blocked(pg, warehouse)
    os.utime(a / "sessions" / ".full-refresh")
    wait_phase(b, "clear")
    waiting = parked_sync(a / "sessions" / ".full-refresh")
    os.unlink(b / "sessions" / ".full-refresh")
    assert "canceled" in finish(waiting).stderr.lower()
    assert errno_of(a.sync, "sessions", ".full-refresh") == errno.ECANCELED
    wait_phase(b, None)
    others.free()
    assert built(warehouse, "sessions") == {day: 1 for day in DAYS} and warehouse.count("sessions", "id = -1") == 2


@pytest.mark.parametrize("phase", ["clear", "build"])
def test_the_server_dies(project, warehouse, mount, pg, phase):
    make_events(warehouse)
    hold = make_hold(warehouse)
    add_held(project, hold)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    if phase == "clear":
        Blocked(pg, warehouse)
    else:
        hold.close()
    os.utime(m / "sessions" / ".full-refresh")
    wait_phase(m, phase)
    if phase == "build":
        wait_until(lambda: "running" in m.states("sessions").values(), what="a batch runs")
    pg.crash()
    pg.start()
    if phase == "build":
        wait_until(lambda: errno_of(hold.open) == 0, what="the server answers")
    m.sync("sessions", ".full-refresh")
    d = document(m)
    assert (d["phase"], d["done"], d["last"]["result"]) == (None, 5, "done")
    check_rows(warehouse, "sessions")
    assert warehouse.count("sessions", "id = -1") == 0


def places(warehouse, where):
    return warehouse.sql(f"SELECT ctid::text, xmin::text, * FROM an.sessions WHERE {where} ORDER BY 1")


def test_a_bounded_rebuild_leaves_every_other_row_where_it_is(project, warehouse, mount):
    """Also under writers of other windows, and while another model is refreshed in full."""
    make_events(warehouse, first="2024-08-30", days=8, a_day=400)
    add_sessions(project)
    project.model("other", "select id, event_time, val from {events}", inputs=["events"])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    m.build("other", "2024-09")
    warehouse.sql("INSERT INTO an.sessions VALUES (-1, NULL, 0), (-1, '2020-01-01', 0), (-1, '2031-01-01', 0)")
    rest = ("coalesce(event_time, '-infinity') < '2024-09-02' OR "
            "event_time >= '2024-09-04' AND NOT (event_time >= '2024-09-05' AND id = -2)")
    before = places(warehouse, rest)
    assert len(before) == 3 + 2 * 400 + 200 + 200
    stop, written = threading.Event(), []

    def write():
        while not stop.is_set():
            warehouse.sql("INSERT INTO an.sessions VALUES (-2, '2024-09-05 23:00:00', 0)")
            written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert shell(m.path, "touch other/.full-refresh sessions/2024-09-02--2024-09-04 && "
                             "sync sessions/2024-09-02--2024-09-04 && sync other/.full-refresh").returncode == 0
    finally:
        stop.set()
        writer.join()
    assert places(warehouse, rest) == before and written
    assert warehouse.count("sessions", "id = -2") == len(written)
    assert built(warehouse, "sessions") == {**{day: 1 for day in DAYS}, "2024-09-02": 2, "2024-09-03": 2}
    assert built(warehouse, "other") == {day: 2 for day in DAYS}


def test_readers_see_every_batch_at_every_moment(project, warehouse, mount):
    make_events(warehouse, a_day=400)
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    whole, stop, wrong = warehouse.count("sessions"), threading.Event(), []

    def read():
        while not stop.is_set():
            n = warehouse.count("sessions")
            if n != whole:
                wrong.append(n)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        m.build("sessions", ".full-refresh")
    finally:
        stop.set()
        reader.join()
    assert wrong == []


def test_the_rows_of_partitions_go_too(project, warehouse, mount):
    make_events(warehouse)
    warehouse.sql("CREATE TABLE an.sessions (id int, event_time timestamp, val int) PARTITION BY RANGE (event_time)")
    warehouse.sql("CREATE TABLE an.sessions_2020 PARTITION OF an.sessions FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')")
    warehouse.sql("CREATE TABLE an.sessions_rest PARTITION OF an.sessions DEFAULT")
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    warehouse.sql("INSERT INTO an.sessions VALUES (-1, NULL, 0), (-1, '2020-03-01', 0), (-1, '2031-01-01', 0)")
    m.build("sessions", ".full-refresh")
    assert warehouse.count("sessions", "id = -1") == 0 and document(m)["rows_outside"] == 2
    check_rows(warehouse, "sessions")


def test_a_right_that_is_missing_ends_it(ready, warehouse, mount, pg):
    """What cannot be cleared is no reason to wait for ever."""
    m = mount(ready, now=NOW)
    m.build("sessions", "2024-09")
    warehouse.sql("CREATE FUNCTION an.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                  "RAISE EXCEPTION 'nobody deletes that'; END $$")
    warehouse.sql("CREATE TRIGGER no BEFORE DELETE ON an.sessions FOR EACH ROW WHEN (OLD.id = -1) "
                  "EXECUTE FUNCTION an.no()")
    warehouse.sql("INSERT INTO an.sessions VALUES (-1, NULL, 0)")
    os.utime(m / "sessions" / ".full-refresh")
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.EIO
    d = document(m)
    assert d["last"]["result"] == "failed" and "nobody deletes that" in d["last"]["error"] and d["phase"] is None
    assert built(warehouse, "sessions") == {day: 1 for day in DAYS}


def test_a_mount_that_only_looks_sees_it(ready, warehouse, mount, pg):
    a = mount(ready, now=NOW)
    a.build("sessions", "2024-09")
    b = mount(ready, "ro", now=NOW)
    others = Blocked(pg, warehouse)
    os.utime(a / "sessions" / ".full-refresh")
    wait_phase(b, "clear")
    waiting = parked_sync(b / "sessions" / ".full-refresh")
    others.free()
    assert finish(waiting).returncode == 0
    assert document(b)["last"]["result"] == "done"


def test_a_reader_is_built_behind_what_it_reads(project, warehouse, mount, pg):
    """Whichever of them is cleared first."""
    make_events(warehouse)
    add_sessions(project)
    project.model("daily", "select id, event_time, val from {sessions}", inputs=["sessions"])
    m = mount(project, now=NOW)
    m.build("sessions+", "2024-09")
    others = Blocked(pg, warehouse)
    warehouse.sql("INSERT INTO an.daily VALUES (-1, NULL, 0)")
    warehouse.sql("UPDATE an.events SET val = val + 100")
    os.utime(m / "sessions+" / ".full-refresh")
    wait_until(lambda: document(m, "daily")["rows_without_event_time"] == 1, what="the reader is cleared")
    assert warehouse.count("daily", "id = -1") == 0 and document(m, "daily")["phase"] == "clear"
    others.free()
    m.sync("sessions+", ".full-refresh")
    assert warehouse.count("daily", "val >= 100") == 20 == warehouse.count("daily")
    assert built(warehouse, "daily") == {day: 2 for day in DAYS}
    assert set(m.states("daily").values()) == {"done", "partial"}


def test_hundreds_of_models_stand_and_fall_together(project, warehouse, mount):
    """What another mount has protected a moment ago the store refuses, for all that one touch asks for."""
    make_events(warehouse)
    project.source("events", event_time="event_time")
    for n in range(300):
        project.model(f"m{n:03}", "select id, event_time, val from {events}", inputs=["events"], begin="2024-09-05", tags=["many"])
    m = mount(project, now=NOW)
    warehouse.sql("INSERT INTO batchfs.freeze (model, uid, command, at)"
                  " SELECT id, 7, 'chmod', now() FROM batchfs.model WHERE target_table = 'm299'")
    assert errno_of(os.utime, m / "tag:many" / ".full-refresh") == errno.EPERM
    assert warehouse.sql("SELECT count(*) FROM batchfs.refresh") == [(0,)]
