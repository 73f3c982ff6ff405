# SPDX-License-Identifier: Apache-2.0
"""touch .validate && sync .validate: what is built is compared with what was recorded, and with what it reads."""
import errno
import os

import pytest

from lib.command import errno_of, finish, parked_sync, run
from lib.events import add_sessions, make_events
from lib.wait import wait_until
from test_adoption import DAYS, NOW, make_target, on

KEYS = ["at", "batches", "found", "problems", "pending"]
PROBLEM_KEYS = ["model", "batch", "kind", "rows", "recorded", "input_rows", "detail"]


@pytest.fixture(autouse=True)
def events(warehouse):
    make_events(warehouse)


def touch(mount, *names):
    os.utime(mount.path.joinpath(*names))


def validate(mount, *names):
    """touch and sync; the errno that sync answers with, 0 for none."""
    touch(mount, *names)
    return synced(mount, *names)


def synced(mount, *names):
    try:
        mount.sync(*names)
    except OSError as e:
        return e.errno
    return 0


def problems(mount, *names):
    d = mount.document(*names)
    assert list(d) == KEYS and all(list(p) == PROBLEM_KEYS for p in d["problems"])
    assert d["found"] == len(d["problems"])
    return [(p["batch"], p["kind"]) for p in d["problems"]]


def insert(warehouse, at, number=1, id_="9000", table="sessions"):
    value = "NULL" if at is None else f"'{at}'"
    for _ in range(number):
        warehouse.sql(f"INSERT INTO {warehouse.relation(table)} (id, event_time, val) VALUES ({id_}, {value}, 0)")


def delete(warehouse, *days):
    for day in days:
        warehouse.sql(f"DELETE FROM {warehouse.relation('sessions')} WHERE {on(day)}")


def table(mount, *names):
    """The report for people: its lines, blanks run together."""
    return [" ".join(line.split()) for line in mount.path.joinpath(*names).read_text().splitlines()]


def test_nothing_is_found(project, warehouse, mount):
    add_sessions(project, unique_key="id")
    m = mount(project, now=NOW)
    assert ".validate" in os.listdir(m / "sessions") and ".validate" in os.listdir(m.path)
    assert ".validate.json" not in os.listdir(m / "sessions")
    assert synced(m, "sessions", ".validate") == errno.ENODATA
    assert table(m, "sessions", ".validate") == \
        ["Not validated yet: sessions. Touching this file starts it, sync waits for it."]
    assert m.document("sessions", ".validate.json") == dict.fromkeys(KEYS) | {"problems": []}
    m.build("sessions", "2024-09-01--2024-09-04")
    assert validate(m, "sessions", ".validate") == 0
    d = m.document("sessions", ".validate.json")
    assert (d["batches"], d["found"], d["problems"], d["pending"]) == (3, 0, [], 2)
    assert table(m, "sessions", ".validate") == \
        [f"{d['at']}: 3 batches looked at, nothing found, 2 not built."]
    # Of a set that is empty all is known.
    assert synced(m, "sessions", ".failed.validate") == 0
    assert m.document("sessions", ".failed.validate.json") == {
        "at": None, "batches": 0, "found": 0, "problems": [], "pending": 0}
    # A part of it was looked at with it; a batch shows its numbers where it was looked at alone.
    assert synced(m, "sessions", "2024-09-02.validate") == 0
    assert table(m, "sessions", "2024-09-02.validate")[1] == "2024-09-02 - - - - ok"
    assert validate(m, "sessions", "2024-09-02.validate") == 0
    assert table(m, "sessions", "2024-09-02.validate")[1] == "2024-09-02 4 4 - - ok"
    assert table(m, "sessions", "2024-09-05.validate")[1] == "2024-09-05 - - - - not built"


def test_each_kind_is_found(project, warehouse, mount):
    sessions = warehouse.relation("sessions")
    add_sessions(project, unique_key="id")
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-06")
    # One lost a row, one was emptied, one shares a key with another and has twins of its own.
    warehouse.sql(f"DELETE FROM {sessions} WHERE id = 8")
    delete(warehouse, "2024-09-02")
    warehouse.sql(f"UPDATE {sessions} SET id = 16 WHERE id = 21")
    warehouse.sql(f"UPDATE {sessions} SET id = 22 WHERE id = 23")
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    d = m.document("sessions", ".validate.json")
    assert problems(m, "sessions", ".validate.json") == [
        ("2024-09-01", "count"), ("2024-09-02", "empty"), ("2024-09-02", "count"), ("2024-09-03", "duplicate"),
        ("2024-09-04", "duplicate")]
    by = {(p["batch"], p["kind"]): p for p in d["problems"]}
    assert (by["2024-09-01", "count"]["rows"], by["2024-09-01", "count"]["recorded"]) == (3, 4)
    assert (by["2024-09-02", "empty"]["rows"], by["2024-09-02", "empty"]["input_rows"]) == (0, 4)
    assert by["2024-09-03", "duplicate"]["detail"] == "1 row shares the unique_key with another one: 16"
    assert "3 rows share" in by["2024-09-04", "duplicate"]["detail"]
    assert table(m, "sessions", ".validate") == [
        "batch rows now recorded inputs duplicates verdict",
        "2024-09-01 3 4 - - count",
        "2024-09-02 0 4 4 - empty, count",
        "2024-09-03 4 4 - 1 duplicate (1 row shares the unique_key with another one: 16)",
        "2024-09-04 4 4 - 3 duplicate (3 rows share the unique_key with another one: 16)",
        f"{d['at']}: 5 batches looked at, 5 problems found, 0 not built."]
    # What lies in no batch.
    m.build("sessions", "2024-09-01--2024-09-06")
    insert(warehouse, "2024-08-30 10:00:00", id_=1000)
    insert(warehouse, "2024-09-06 10:00:00", id_=1001)
    insert(warehouse, None, id_=1002)
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    assert problems(m, "sessions", ".validate.json") == [(None, "outside"), (None, "no_event_time")]
    d = m.document("sessions", ".validate.json")
    assert [p["rows"] for p in d["problems"]] == [2, 1]
    assert "from 2024-08-30 to 2024-09-06" in d["problems"][0]["detail"]
    # A period is not asked what lies outside of everything, whatever the whole table's report says.
    assert synced(m, "sessions", "2024-09-01--2024-09-03.validate") == 0
    assert validate(m, "sessions", "2024-09-01--2024-09-03.validate") == 0


def test_a_part_is_looked_at_once_more(project, warehouse, mount):
    """X.validate is of X; the model's report shows each batch as it was found last."""
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-06")
    insert(warehouse, "2024-09-01 01:00:00")
    insert(warehouse, "2024-09-04 01:00:00")
    assert validate(m, "sessions", "2024-09-01--2024-09-03.validate") == errno.EUCLEAN
    # Nobody has looked at all of it.
    assert synced(m, "sessions", ".validate") == errno.ENODATA
    assert synced(m, "sessions", "2024-09-04.validate") == errno.ENODATA
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    at = m.document("sessions", ".validate.json")["at"]
    assert problems(m, "sessions", ".validate.json") == [("2024-09-01", "count"), ("2024-09-04", "count")]
    assert problems(m, "sessions", "2024-09-04.validate.json") == [("2024-09-04", "count")]
    assert synced(m, "sessions", "2024-09-02--2024-09-04.validate") == 0
    # A name of the batch itself, and a set of states.
    m.build("sessions", "2024-09-01")
    assert validate(m, "sessions", "2024-09-01.validate") == 0
    assert problems(m, "sessions", ".validate.json") == [("2024-09-04", "count")]
    assert m.document("sessions", ".validate.json")["at"] == at
    assert validate(m, "sessions", "2024-09.done.validate") == errno.EUCLEAN
    assert problems(m, "sessions", ".done.validate.json") == [("2024-09-04", "count")]
    assert validate(m, "sessions", ".failed.validate") == 0
    for name in ("2024-09-07.validate", "2024-09-01.done.validate", "2024-09-01.sql.validate", "x.validate"):
        assert errno_of(os.stat, m / "sessions" / name) == errno.ENOENT, name


def test_what_was_adopted_has_no_number(project, warehouse, mount):
    add_sessions(project)
    make_target(warehouse, DAYS)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-02")
    insert(warehouse, "2024-09-01 01:00:00")
    insert(warehouse, "2024-09-02 01:00:00")
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    assert problems(m, "sessions", ".validate.json") == [("2024-09-02", "count")]


@pytest.mark.parametrize("key", [["id", "val"], ["id", "val + 1"], "id || '-' || val"])
def test_keys_as_dbt_has_them(project, warehouse, mount, key):
    """Composite ones, and expressions; a row that is alike in a part of the key only is none."""
    add_sessions(project, unique_key=key)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    warehouse.sql(f"UPDATE {warehouse.relation('sessions')} SET id = 9 WHERE id = 13")
    assert validate(m, "sessions", ".validate") == 0
    warehouse.sql(f"UPDATE {warehouse.relation('sessions')} SET id = 10 WHERE id = 11")
    warehouse.sql(f"UPDATE {warehouse.relation('sessions')} SET id = NULL WHERE id > 16")
    assert validate(m, "sessions", "2024-09-01.validate") == errno.EUCLEAN
    assert problems(m, "sessions", "2024-09-01.validate.json") == [("2024-09-01", "duplicate")]
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    assert problems(m, "sessions", ".validate.json") == [("2024-09-01", "duplicate")]


def test_a_part_finds_its_twins_elsewhere(project, warehouse, mount):
    add_sessions(project, unique_key="id")
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    warehouse.sql(f"UPDATE {warehouse.relation('sessions')} SET id = 9 WHERE id = 17")
    assert validate(m, "sessions", "2024-09-01.validate") == errno.EUCLEAN
    assert validate(m, "sessions", "2024-09-02.validate") == 0


def test_expected_by_a_query_of_the_users(project, warehouse, mount):
    start_of = "date_trunc('day', event_time)" if warehouse.engine == "postgres" else "date(event_time)"
    expect = f"select {start_of} as start, count(*) from {warehouse.relation('events')} group by 1;"
    add_sessions(project, meta={"batchfs": {"expect": expect}})
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    assert validate(m, "sessions", ".validate") == 0
    # More comes in, as it may; the batch is not stale by that.
    insert(warehouse, "2024-09-02 03:00:00", table="events")
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    d = m.document("sessions", ".validate.json")
    assert [(p["batch"], p["kind"], p["rows"], p["input_rows"]) for p in d["problems"]] == \
        [("2024-09-02", "expect", 4, 5)]


@pytest.mark.parametrize("expect, why", [
    ("select something from nowhere", "nowhere"),
    ("select 1", ""),
    ("delete from {sessions}", ""),
    ("select event_time, 1 from {events}", "the start of no batch"),
    ("select null, 1", ""),
])
def test_a_wrong_query_is_named(project, warehouse, mount, expect, why):
    expect = expect.format(sessions=warehouse.relation("sessions"), events=warehouse.relation("events"))
    add_sessions(project, meta={"batchfs": {"expect": expect}})
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    [problem] = m.document("sessions", ".validate.json")["problems"]
    assert (problem["batch"], problem["kind"]) == (None, "expect")
    assert problem["detail"].startswith("the query of meta.batchfs.expect is wrong: ") and why in problem["detail"]
    assert warehouse.count("sessions") == 4


def test_selections_and_the_root(project, warehouse, mount):
    add_sessions(project, tags=["nightly"])
    project.model("daily", "select id, event_time, val from {sessions}", inputs=["sessions"], tags=["nightly"])
    project.model("other", "select id, event_time, val from {events}", inputs=["events"])
    m = mount(project, now=NOW)
    m.build("tag:nightly", "2024-09-01--2024-09-04")
    insert(warehouse, "2024-09-03 01:00:00", table="daily")
    assert validate(m, "tag:nightly", ".validate") == errno.EUCLEAN
    d = m.document("tag:nightly", ".validate.json")
    assert (d["batches"], d["pending"]) == (6, 4)
    assert [(p["model"], p["batch"], p["kind"]) for p in d["problems"]] == [("daily", "2024-09-03", "count")]
    assert table(m, "tag:nightly", ".validate")[1] == "daily/2024-09-03 5 4 - - count"
    assert synced(m, "sessions", ".validate") == 0 and synced(m, "daily", ".validate") == errno.EUCLEAN
    assert synced(m, "tag:nightly", "2024-09-01--2024-09-03.validate") == 0
    # Of the third nothing is known yet; what was found is said all the same.
    assert synced(m, ".validate") == errno.EUCLEAN and m.document(".validate.json")["at"] is None
    assert table(m, ".validate")[-1].startswith("Not validated yet: other.")
    m.build("daily", "2024-09-03")
    assert validate(m, "daily", ".validate") == 0 and synced(m, ".validate") == errno.ENODATA
    assert validate(m, ".validate") == 0
    d = m.document(".validate.json")
    assert (d["batches"], d["found"], d["pending"]) == (6, 0, 9) and d["at"]
    assert validate(m, "tag:nightly", "2024.validate") == 0


def test_a_restart_forgets_nothing(project, warehouse, mount):
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    insert(warehouse, "2024-09-03 01:00:00")
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    before = m.document("sessions", ".validate.json")
    m.unmount()
    m.start()
    assert synced(m, "sessions", ".validate") == errno.EUCLEAN
    assert m.document("sessions", ".validate.json") == before
    m.unmount()
    reader = mount(project, "ro", now=NOW)
    assert reader.document("sessions", ".validate.json") == before
    assert synced(reader, "sessions", ".validate") == errno.EUCLEAN
    assert errno_of(os.utime, reader / "sessions" / ".validate") in (errno.EROFS, errno.EACCES)
    assert errno_of(os.unlink, reader / "sessions" / ".validate") in (errno.EROFS, errno.EACCES)


def test_an_acknowledged_touch_survives_a_kill(project, warehouse, mount, fault_binary, fault):
    add_sessions(project)
    m = mount(project, now=NOW, binary=fault_binary, env=fault.env())
    m.build("sessions", "2024-09-01--2024-09-04")
    insert(warehouse, "2024-09-03 01:00:00")
    fault.set("validate:hold")
    touch(m, "sessions", ".validate")
    m.kill()
    fault.clear()
    m.start()
    wait_until(lambda: synced(m, "sessions", ".validate") == errno.EUCLEAN, what="it is carried out after all")


def test_cancelled(project, warehouse, mount, fault_binary, fault):
    add_sessions(project)
    m = mount(project, now=NOW, binary=fault_binary, env=fault.env())
    m.build("sessions", "2024-09-01--2024-09-04")
    assert errno_of(os.unlink, m / "sessions" / ".validate") == errno.EPERM
    assert errno_of(os.unlink, m / ".validate") == errno.EPERM
    fault.set("validate:hold")
    touch(m, "sessions", ".validate")
    touch(m, "sessions", "2024-09-01.validate")
    waits = parked_sync(m / "sessions" / ".validate")
    waits_for_other = parked_sync(m / "sessions" / "2024-09-01.validate")
    wait_until(lambda: "is under way" in (m / "sessions" / ".validate").read_text(), what="it has begun")
    os.unlink(m / "sessions" / ".validate")
    done = finish(waits)
    assert done.returncode != 0 and os.strerror(errno.ECANCELED) in done.stderr
    done = finish(waits_for_other)
    assert done.returncode != 0 and os.strerror(errno.ECANCELED) in done.stderr
    assert synced(m, "sessions", ".validate") == errno.ENODATA
    fault.clear()
    assert validate(m, "sessions", ".validate") == 0


def test_a_query_that_runs_is_interrupted(project, warehouse, mount):
    if warehouse.engine == "postgres":
        slow = "select timestamp '2024-09-01', 4 from pg_sleep(3600)"
    else:
        slow = ("with recursive n (i) as (select 1 union all select i + 1 from n) "
                "select '2024-09-01', max(i) from n")
    add_sessions(project, meta={"batchfs": {"expect": slow}})
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    touch(m, "sessions", ".validate")
    waits = parked_sync(m / "sessions" / ".validate")
    wait_until(lambda: "is under way" in (m / "sessions" / ".validate").read_text(), what="it has begun")
    # It holds up nothing: looks, builds, histories.
    m.build("sessions", "2024-09-02")
    touch(m, "sessions", ".adopt")
    m.sync("sessions", ".adopt")
    assert len((m / "sessions" / ".history").read_text().splitlines()) == 2
    os.unlink(m / "sessions" / ".validate")
    assert finish(waits).returncode != 0
    assert synced(m, "sessions", ".validate") == errno.ENODATA


def test_touching_twice_is_one_more_behind_the_one_that_runs(project, warehouse, mount, fault_binary, fault):
    add_sessions(project)
    m = mount(project, now=NOW, binary=fault_binary, env=fault.env())
    m.build("sessions", "2024-09-01--2024-09-04")
    fault.set("validate:hold")
    touch(m, "sessions", ".validate")
    wait_until(lambda: "is under way" in (m / "sessions" / ".validate").read_text(), what="it has begun")
    insert(warehouse, "2024-09-03 01:00:00")
    for _ in range(3):
        touch(m, "sessions", ".validate")
    waits = parked_sync(m / "sessions" / ".validate")
    fault.clear()
    assert os.strerror(errno.EUCLEAN) in finish(waits).stderr
    assert m.log_text().count("validated 3 batches") == 2


def test_every_touch_waits_with_mount_o_sync(project, warehouse, mount):
    add_sessions(project)
    m = mount(project, "sync", now=NOW)
    touch(m, "sessions", "2024-09-01")
    touch(m, "sessions", ".validate")
    insert(warehouse, "2024-09-01 01:00:00")
    assert errno_of(os.utime, m / "sessions" / ".validate") == errno.EUCLEAN
    assert run("sh", "-c", f"echo why > '{m / 'sessions' / '2024-09.validate'}'").returncode != 0
    assert errno_of(os.utime, m / "sessions" / "2024-09-02.validate") == 0
