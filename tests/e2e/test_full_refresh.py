# SPDX-License-Identifier: Apache-2.0
"""touch .full-refresh rebuilds a model from begin to now, in place, and deletes what is in no batch of it."""
import errno
import json
import os

from lib.command import errno_of, finish, shell, start, wait_parked
from lib.events import add_sessions, make_events
from lib.project import Project
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.truth import built, check_rows, requests
from lib.wait import wait_until

NOW = "2024-09-05T12:00:00"
DAYS = [f"2024-09-0{d}" for d in range(1, 6)]
KEYS = ["model", "protected", "phase", "batches", "done", "failed", "would_build", "rows_outside",
        "rows_without_event_time", "frozen", "since", "requested_by", "reason", "last", "message", "last_refusal"]


def document(m, model="sessions"):
    return m.document(model, ".full-refresh")


def add_rows(warehouse, *times, model="sessions"):
    for time in times:
        warehouse.sql(f"INSERT INTO {warehouse.relation(model)} VALUES (-1, {time}, 0)")


def test_everything(ready, warehouse, mount):
    m = mount(ready, now=NOW)
    before = document(m)
    assert list(before) == KEYS
    assert before["phase"] is before["last"] is before["since"] is before["done"] is before["rows_outside"] is None
    assert before["batches"] == before["would_build"]["batches"] == 5 and before["would_build"]["why"] == {"requested": 5}
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.ENODATA
    m.build("sessions", "2024-09")
    add_rows(warehouse, "'2019-01-01'", "'2024-08-31'", "'2024-09-06'", "'2031-01-01'", "NULL", "NULL", "NULL")
    assert shell(m / "sessions", "echo INC-1 > .full-refresh && sync .full-refresh").returncode == 0
    after = document(m)
    assert built(warehouse, "sessions") == {day: 2 for day in DAYS}
    check_rows(warehouse, "sessions")
    assert warehouse.count("sessions", "id = -1") == 0
    assert (after["phase"], after["done"], after["failed"]) == (None, 5, 0)
    assert (after["rows_outside"], after["rows_without_event_time"]) == (4, 3)
    assert after["reason"] == "INC-1" and after["requested_by"]["uid"] == os.geteuid()
    assert after["last"]["result"] == "done" and after["last"]["error"] is None
    assert after["last"]["finished_at"] >= after["since"] >= NOW
    lines = [json.loads(line) for line in (m / "sessions" / ".history").read_text().splitlines()]
    assert sorted((x["batch"], x["outcome"], x["reason"]) for x in lines[-5:]) == [(day, "done", "INC-1") for day in DAYS]
    # It is durable.
    m.unmount()
    again = mount(ready, now=NOW)
    assert document(again) == {**after, "last_refusal": None}
    again.sync("sessions", ".full-refresh")


def test_a_failure(project, warehouse, mount):
    add_troubled(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    set_days(warehouse, FAILS, DAYS[1], DAYS[3])
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    assert errno_of(m.sync, "sessions", ".full-refresh") == errno.EIO
    d = document(m)
    assert (d["done"], d["failed"], d["last"]["result"]) == (3, 2, "failed")
    assert DAYS[1] in d["last"]["error"]
    assert m.states("sessions") == {**dict.fromkeys(DAYS, "done"), DAYS[1]: "failed", DAYS[3]: "failed", DAYS[4]: "partial"}
    # What a touch completes is complete.
    set_days(warehouse, FINE)
    assert shell(m / "sessions", "touch *.failed && sync 2024-09 && sync .full-refresh").returncode == 0
    assert document(m)["done"] == 5 and document(m)["last"]["result"] == "failed"
