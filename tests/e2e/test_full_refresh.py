# SPDX-License-Identifier: Apache-2.0
"""touch .full-refresh rebuilds a model from begin to now, in place, and deletes what is in no batch of it."""
import errno
import json
import os
import stat
from contextlib import contextmanager

import pytest

from lib.command import errno_of, finish, parked_sync, shell, start, wait_parked
from lib.events import add_sessions, make_events
from lib.hold import add_held, make_hold
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.truth import built, check_rows
from lib.wait import wait_until

NOW = "2024-09-05T12:00:00"
DAYS = [f"2024-09-0{d}" for d in range(1, 6)]
KEYS = ["model", "protected", "phase", "batches", "done", "failed", "would_build", "rows_outside",
        "rows_without_event_time", "frozen", "since", "requested_by", "reason", "last", "message", "last_refusal"]
FAULTY = ("timeout=3600", "drain=0")


def document(m, model="sessions"):
    return m.document(model, ".full-refresh")


def wait_phase(m, phase, model="sessions"):
    wait_until(lambda: document(m, model)["phase"] == phase, what=f"the phase is {phase}")


def add_rows(warehouse, *times, model="sessions"):
    for time in times:
        warehouse.sql(f"INSERT INTO {warehouse.relation(model)} VALUES (-1, {time}, 0)")


def strange(warehouse, model="sessions"):
    return warehouse.count(model, "id = -1")


@contextmanager
def held(hold):
    hold.close()
    try:
        yield
    finally:
        hold.open()


@pytest.fixture
def faulty(ready, mount, fault_binary, fault):
    return mount(ready, *FAULTY, now=NOW, binary=fault_binary, env=fault.env())


def test_everything(ready, warehouse, mount):
    m = mount(ready, now=NOW)
    before = document(m)
    assert list(before) == KEYS
    assert {before[k] for k in ("phase", "last", "since", "done", "failed", "rows_outside")} == {None}
    assert before["batches"] == before["would_build"]["batches"] == 5
    assert before["would_build"]["why"] == {"requested": 5} and before["frozen"] == []
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.ENODATA
    m.build("sessions", "2024-09")
    add_rows(warehouse, "'2019-01-01'", "'2024-08-31'", "'2024-09-06'", "'2031-01-01'", "NULL", "NULL", "NULL")
    assert shell(m / "sessions", "echo INC-1 > .full-refresh && sync .full-refresh").returncode == 0
    after = document(m)
    assert built(warehouse, "sessions") == {day: 2 for day in DAYS}
    check_rows(warehouse, "sessions")
    assert strange(warehouse) == 0
    assert (after["phase"], after["done"], after["failed"]) == (None, 5, 0)
    assert (after["rows_outside"], after["rows_without_event_time"]) == (4, 3)
    assert after["reason"] == "INC-1" and after["requested_by"]["uid"] == os.geteuid()
    assert after["last"]["result"] == "done" and after["last"]["error"] is None
    assert after["last"]["finished_at"] >= after["since"] >= NOW
    lines = [json.loads(line) for line in (m / "sessions" / ".history").read_text().splitlines()]
    assert sorted((x["batch"], x["outcome"], x["reason"]) for x in lines[-5:]) == [
        (day, "done", "INC-1") for day in DAYS]
    # It is durable.
    m.unmount()
    again = mount(ready, now=NOW)
    assert document(again) == after
    again.sync("sessions", ".full-refresh")


def test_before_anything_is_there(ready, warehouse, mount):
    m = mount(ready, now=NOW)
    m.build("sessions", ".full-refresh")
    assert built(warehouse, "sessions") == {day: 1 for day in DAYS}
    check_rows(warehouse, "sessions")


def test_many_rows_go_in_small_transactions(ready, warehouse, mount):
    m = mount(ready, now=NOW)
    m.build("sessions", "2024-09")
    warehouse.sql("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 25000) "
                  f"INSERT INTO {warehouse.relation('sessions')} SELECT -1, '2020-01-01', n FROM c")
    if warehouse.engine == "postgres":
        # Each deletion writes down who it is of: so many rows one transaction has deleted.
        warehouse.sql("CREATE TABLE an.gone (by xid8)")
        warehouse.sql("CREATE FUNCTION an.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                      "INSERT INTO an.gone VALUES (pg_current_xact_id()); RETURN OLD; END $$")
        warehouse.sql("CREATE TRIGGER note BEFORE DELETE ON an.sessions FOR EACH ROW WHEN (OLD.id = -1) "
                      "EXECUTE FUNCTION an.note()")
    m.build("sessions", ".full-refresh")
    assert strange(warehouse) == 0 and document(m)["rows_outside"] == 25000
    if warehouse.engine == "postgres":
        assert sorted(n for n, in warehouse.sql("SELECT count(*) FROM an.gone GROUP BY by")) == [5000, 10000, 10000]
    check_rows(warehouse, "sessions")


def test_a_begin_that_has_moved_deletes_nothing(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, begin="2024-08-31")
    m = mount(project, now=NOW)
    m.build("sessions", "2024")
    m.unmount()
    add_rows(warehouse, "'2024-08-30'", "'2024-08-31 01:00:00'")
    add_sessions(project, begin="2024-09-03")
    m = mount(project, now=NOW)
    m.build("sessions", ".full-refresh")
    # What was built stays, with what was written into it; what was never in a batch goes.
    assert warehouse.count("sessions", "event_time < '2024-08-31'") == 0
    assert strange(warehouse) == 1 and warehouse.count("sessions", "event_time < '2024-09-03'") == 13
    assert document(m)["rows_outside"] == 1 and document(m)["done"] == 3


def test_a_failure_does_not_end_it(project, warehouse, mount):
    add_troubled(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    set_days(warehouse, FAILS, DAYS[1], DAYS[3])
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.EIO
    d = document(m)
    assert (d["done"], d["failed"], d["last"]["result"]) == (3, 2, "failed")
    assert DAYS[1] in d["last"]["error"] and "2 batches" in d["last"]["error"]
    assert m.states("sessions") == {**dict.fromkeys(DAYS, "done"), DAYS[1]: "failed", DAYS[3]: "failed",
                                    DAYS[4]: "partial"}
    assert shell(m / "sessions", "cat .full-refresh.progress").returncode == 1
    # What a touch completes is complete.
    set_days(warehouse, FINE)
    assert shell(m / "sessions", "touch *.failed && sync 2024-09 && sync .full-refresh").returncode == 0
    assert document(m)["done"] == 5 and document(m)["last"]["result"] == "failed"


def test_refused(ready, warehouse, faulty, fault):
    m, path = faulty, faulty / "sessions" / ".full-refresh"
    os.chmod(m / "sessions" / DAYS[2], 0o444)
    assert errno_of(os.utime, path) == errno.EPERM
    said = document(m)
    assert said["frozen"] == [DAYS[2]] and said["would_build"]["batches"] == 4
    assert said["last_refusal"]["errno"] == "EPERM" and DAYS[2] in said["last_refusal"]["message"]
    os.chmod(path, 0o444)
    assert errno_of(os.utime, path) == errno.EPERM
    assert "chmod u+w .full-refresh" in document(m)["last_refusal"]["message"] and document(m)["protected"] == "chmod"
    os.chmod(path, 0o644)
    os.chmod(m / "sessions" / DAYS[2], 0o644)
    assert errno_of(os.unlink, path) == errno.EPERM
    with fault.holding("clear"):
        os.utime(path)
        wait_phase(m, "clear")
        assert errno_of(os.utime, path) == errno.EBUSY
        assert "under way" in document(m)["last_refusal"]["message"]
        # Protection and freezes are for what comes: what is under way goes on.
        os.chmod(path, 0o444)
    m.sync("sessions", ".full-refresh")
    assert built(warehouse, "sessions") == {day: 1 for day in DAYS}


def test_read_only(ready, mount):
    mount(ready, now=NOW).unmount()
    m = mount(ready, "ro", now=NOW)
    assert errno_of(os.utime, m / "sessions" / ".full-refresh") == errno.EROFS
    assert errno_of(os.unlink, m / "sessions" / ".full-refresh") == errno.EROFS
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.ENODATA


def test_cancel_while_it_is_cleared(ready, warehouse, faulty, fault):
    m = faulty
    m.build("sessions", "2024-09")
    add_rows(warehouse, "NULL")
    with fault.holding("clear"):
        os.utime(m / "sessions" / ".full-refresh")
        waiting = parked_sync(m / "sessions" / ".full-refresh")
        assert shell(m / "sessions", "rm .full-refresh").returncode == 0
        # The step of the clearing, which would wait for ever, is ended for it.
        assert "canceled" in finish(waiting).stderr.lower()
    wait_phase(m, None)
    assert document(m)["last"]["result"] == "cancelled"
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.ECANCELED
    assert built(warehouse, "sessions") == {day: 1 for day in DAYS} and strange(warehouse) == 1
    m.build("sessions", ".full-refresh")
    assert strange(warehouse) == 0


def test_cancel_while_it_is_built(ready, warehouse, faulty, fault):
    m = faulty
    m.build("sessions", "2024-09")
    with fault.holding("build"):
        os.utime(m / "sessions" / ".full-refresh")
        wait_until(lambda: "running" in m.states("sessions").values(), what="a batch runs")
        os.utime(m / "sessions" / DAYS[4])
        waiting = parked_sync(m / "sessions" / ".full-refresh")
        assert shell(m / "sessions", "rm .full-refresh").returncode == 0
        assert "canceled" in finish(waiting).stderr.lower()
        wait_phase(m, None)
        # What somebody else has asked for, too, is his.
        wait_until(lambda: [m.states("sessions")[day] for day in DAYS[:4]] == ["done"] * 4, what="the rest is as it was")
        assert m.states("sessions")[DAYS[4]] in ("queued", "running")
    m.sync("sessions", DAYS[4])
    assert built(warehouse, "sessions") == {**{day: 1 for day in DAYS[:4]}, DAYS[4]: 2}
    d = document(m)
    assert d["last"]["result"] == "cancelled" and d["failed"] == 0
    assert errno_of(os.unlink, m / "sessions" / ".full-refresh") == errno.EPERM


def test_a_cancel_leaves_what_is_just_being_asked_for(ready, warehouse, faulty, fault):
    m = faulty
    m.build("sessions", "2024-09")
    with fault.holding("build"):
        os.utime(m / "sessions" / ".full-refresh")
        wait_until(lambda: list(m.states("sessions").values()).count("queued") >= 3, what="the rest is queued")
        fault.set("build:hold", "request:hold")
        touch = start("touch", m / "sessions" / DAYS[3])
        wait_parked(touch)
        assert shell(m / "sessions", "rm .full-refresh").returncode == 0
        fault.set("build:hold")
        assert finish(touch).returncode == 0
        wait_phase(m, None)
        assert m.states("sessions")[DAYS[3]] in ("queued", "running")
    m.sync("sessions", DAYS[3])
    assert document(m)["last"]["result"] == "cancelled"
    assert built(warehouse, "sessions") == {**{day: 1 for day in DAYS}, DAYS[3]: 2}


def test_what_is_cancelled_of_it_is_said(ready, warehouse, faulty, fault):
    m = faulty
    with fault.holding("build"):
        os.utime(m / "sessions" / ".full-refresh")
        wait_until(lambda: list(m.states("sessions").values()).count("queued") >= 3, what="the rest is queued")
        assert shell(m / "sessions", f"rm {DAYS[4]}").returncode == 0
        os.chmod(m / "sessions" / DAYS[3], 0o444)
    wait_phase(m, None)
    d = document(m)
    assert d["done"] == 3 and d["last"]["result"] == "cancelled" and DAYS[3] in d["last"]["error"]
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.ECANCELED


@pytest.mark.parametrize("op, phase", [("clear", "clear"), ("refresh", "clear"), ("build", "build")])
def test_killed_in_each_phase(ready, warehouse, mount, fault_binary, fault, op, phase):
    m = mount(ready, *FAULTY, now=NOW, binary=fault_binary, env=fault.env())
    m.build("sessions", "2024-09")
    add_rows(warehouse, "NULL", "'2020-01-01'")
    fault.set(f"{op}:hold")
    assert shell(m / "sessions", "echo why > .full-refresh").returncode == 0
    if op == "build":
        wait_until(lambda: "running" in m.states("sessions").values(), what="a batch runs")
    wait_phase(m, phase)
    m.kill()
    fault.clear()
    again = mount(ready, now=NOW, at=m.path)
    again.sync("sessions", ".full-refresh")
    d = document(again)
    assert (d["phase"], d["done"], d["reason"], d["last"]["result"]) == (None, 5, "why", "done")
    assert (d["rows_outside"], d["rows_without_event_time"]) == (1, 1)
    assert built(warehouse, "sessions") == {day: 2 for day in DAYS} and strange(warehouse) == 0
    check_rows(warehouse, "sessions")


def test_a_selection_is_all_or_nothing(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, tags=["nightly"])
    project.model("daily", "select id, event_time, val from {sessions}", inputs=["sessions"], tags=["nightly"])
    project.model("kept", "select id, event_time, val from {sessions}", inputs=["sessions"], full_refresh=False,
                  tags=["weekly"])
    m = mount(project, now=NOW)
    every = m / "tag:nightly tag:weekly" / ".full-refresh"
    assert stat.S_IMODE(os.stat(every).st_mode) == 0o444
    assert errno_of(os.utime, every) == errno.EPERM
    said = json.loads(every.read_text())
    assert sorted(said["models"]) == ["daily", "kept", "sessions"] and said["models"]["kept"]["protected"] == "config"
    assert said["last_refusal"]["errno"] == "EPERM" and said["last_refusal"]["message"].startswith("kept is protected")
    assert document(m)["since"] is None
    # Frozen, in another one of them.
    os.chmod(m / "daily" / DAYS[0], 0o444)
    nightly = m / "tag:nightly" / ".full-refresh"
    assert errno_of(os.utime, nightly) == errno.EPERM and document(m)["since"] is None
    assert errno_of(os.chmod, nightly, 0o444) == errno.EPERM
    os.chmod(m / "daily" / DAYS[0], 0o644)
    done = shell(m / "tag:nightly", "echo both > .full-refresh && cat .full-refresh.progress && sync .full-refresh")
    assert done.returncode == 0 and "10/10 done, 0 failed" in done.stdout
    for model in ("sessions", "daily"):
        assert built(warehouse, model) == {day: 1 for day in DAYS}
        assert document(m, model)["reason"] == "both" and document(m, model)["last"]["result"] == "done"
    check_rows(warehouse, "sessions")
    assert warehouse.count("daily") == 20
    # A protected one is told before one that is busy.
    assert document(m, "kept")["since"] is None


def test_a_selection_is_busy_or_cancelled_as_a_whole(project, warehouse, mount, fault_binary, fault):
    make_events(warehouse)
    add_sessions(project, tags=["nightly"])
    project.model("daily", "select id, event_time, val from {sessions}", inputs=["sessions"], tags=["nightly"])
    m = mount(project, *FAULTY, now=NOW, binary=fault_binary, env=fault.env())
    nightly = m / "tag:nightly" / ".full-refresh"
    with fault.holding("clear"):
        os.utime(m / "daily" / ".full-refresh")
        assert errno_of(os.utime, nightly) == errno.EBUSY
        assert document(m)["since"] is None
        os.chmod(m / "sessions" / ".full-refresh", 0o444)
        assert errno_of(os.utime, nightly) == errno.EPERM
        os.chmod(m / "sessions" / ".full-refresh", 0o644)
        assert shell(m / "tag:nightly", "rm .full-refresh").returncode == 0
        wait_phase(m, None, "daily")
    assert document(m, "daily")["last"]["result"] == "cancelled"
    assert shell(m / "tag:nightly", "touch .full-refresh && sync .full-refresh").returncode == 0
    assert built(warehouse, "daily") == built(warehouse, "sessions") == {day: 1 for day in DAYS}


def test_mount_o_sync(project, warehouse, mount):
    add_troubled(project)
    m = mount(project, "sync", now=NOW)
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    assert document(m)["last"]["result"] == "done"
    set_days(warehouse, FAILS, DAYS[0])
    done = shell(m / "sessions", "touch .full-refresh")
    assert done.returncode and "Input/output error" in done.stderr


def test_progress(ready, warehouse, faulty, fault):
    m = faulty
    fault.set("clear:hold")
    os.utime(m / "sessions" / ".full-refresh")
    lines = start("cat", m / "sessions" / ".full-refresh.progress")
    assert lines.stdout.readline().endswith("] clearing, 0 rows deleted\n")
    fault.clear()
    done = finish(lines)
    assert done.stdout.splitlines()[-1].startswith("[##########] 5/5 done, 0 failed") and done.returncode == 0


def test_others_go_on(project, warehouse, mount, fault_binary, fault):
    """What else is asked for is built, before and beside it; readers see every batch at every moment."""
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, *FAULTY, now=NOW, binary=fault_binary, env=fault.env())
    m.build("sessions", "2024-09")
    with fault.holding("clear"):
        os.utime(m / "sessions" / ".full-refresh")
        wait_phase(m, "clear")
        m.build("sessions", DAYS[0])
        assert built(warehouse, "sessions")[DAYS[0]] == 2 and document(m)["phase"] == "clear"
    m.sync("sessions", ".full-refresh")
    assert built(warehouse, "sessions") == {**{day: 2 for day in DAYS}, DAYS[0]: 3}


def test_a_new_manifest_meanwhile(ready, warehouse, faulty, fault):
    m = faulty
    m.build("sessions", "2024-09")
    with fault.holding("clear"):
        os.utime(m / "sessions" / ".full-refresh")
        wait_phase(m, "clear")
        ready.model("sessions", "select id, event_time, val + 100 as val from {events}", inputs=["events"])
        ready.write()
        os.utime(ready.target / "manifest.json", ns=(1, 2**60))
        wait_until(lambda: "val + 100" in (m / "sessions" / f"{DAYS[0]}.sql").read_text(), what="the new SQL is in force")
    m.sync("sessions", ".full-refresh")
    assert warehouse.count("sessions", "val >= 100") == 20 == warehouse.count("sessions")


def test_a_model_that_leaves_the_manifest(project, warehouse, mount, fault_binary, fault):
    make_events(warehouse)
    add_sessions(project)
    project.model("other", "select id, event_time, val from {events}", inputs=["events"])
    m = mount(project, *FAULTY, now=NOW, binary=fault_binary, env=fault.env())
    with fault.holding("clear"):
        os.utime(m / "other" / ".full-refresh")
        waiting = parked_sync(m / "other" / ".full-refresh")
        del project.nodes["model.proj.other"]
        project.write()
        assert "canceled" in finish(waiting).stderr.lower()
    project.model("other", "select id, event_time, val from {events}", inputs=["events"])
    project.write()
    wait_until(lambda: "other" in m.ls(), what="it is there again")
    assert document(m, "other")["last"]["result"] == "cancelled"


def test_a_bounded_rebuild_leaves_the_rest_while_another_model_is_refreshed(project, warehouse, mount):
    """Row for row, where it is in the table; test_full_refresh_mounts.py has others write meanwhile."""
    make_events(warehouse)
    add_sessions(project)
    project.model("other", "select id, event_time, val from {events}", inputs=["events"])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    add_rows(warehouse, "NULL", "'2020-01-01'", "'2031-01-01'")
    place = "ctid::text, xmin::text" if warehouse.engine == "postgres" else "rowid"
    query = (f"SELECT {place}, id, event_time FROM {warehouse.relation('sessions')}"
             " WHERE event_time IS NULL OR event_time < '2024-09-02' OR event_time >= '2024-09-04' ORDER BY 1")
    before = warehouse.sql(query)
    assert len(before) == 3 + 3 * 4
    assert shell(m.path, "touch other/.full-refresh sessions/2024-09-02--2024-09-04 && "
                         "sync sessions/2024-09-02--2024-09-04 && sync other/.full-refresh").returncode == 0
    assert warehouse.sql(query) == before
    assert built(warehouse, "sessions") == {**{day: 1 for day in DAYS}, DAYS[1]: 2, DAYS[2]: 2}
    assert built(warehouse, "other") == {day: 1 for day in DAYS}
