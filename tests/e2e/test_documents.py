# SPDX-License-Identifier: Apache-2.0
"""The documents: which keys, of which types, what is null and what false, and sizes that hold."""
import errno
import json
import os
import re

import pytest

from lib.command import errno_of, run, shell
from lib.events import add_sessions, make_events
from lib.fault import Fault
from lib.trouble import FAILS, FINE, NEVER_ENDS, add_troubled, set_days
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
STATES = {"running", "queued", "failed", "skipped", "unknown", "pending", "partial", "stale", "done"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")

BATCH = {"model", "batch", "state", "start", "end", "attempt", "rows_deleted", "rows_inserted", "rows_outside",
         "started_at", "finished_at", "seconds", "requested_by", "reason", "error", "because", "adopted", "frozen",
         "code", "requested_again", "builder", "last_refusal"}
RANGE = {"batches", "states", "would_build", "first_failed", "last_failed", "frozen", "last_finished_at",
         "last_refusal"}
STATUS = RANGE | {"built_until", "lag", "running", "last_failures"}
WOULD_BUILD = {"batches", "rows", "seconds", "first", "last", "why"}
MODEL = {"name", "package", "unique_id", "relation", "event_time", "event_time_type", "batch_size", "begin", "lookback",
         "strategy", "unique_key", "concurrent_batches", "full_refresh", "protected", "tags", "inputs", "builder", "runnable",
         "why_not", "looked_at", "sql", "notes"}
MOUNT = {"version", "engine", "store", "pid", "since", "manifest", "manifest_loaded_at", "manifest_error", "warehouse"}


@pytest.fixture
def sessions(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    return mount(project, now=NOW)


def check_size(path):
    """st_size says what a reader gets: JSON, a key a line, no byte more."""
    size = os.stat(path).st_size
    data = path.read_bytes()
    assert len(data) == size
    assert data == (json.dumps(json.loads(data), indent=2, ensure_ascii=False) + "\n").encode()
    return data


def test_a_batch_never_built(sessions, warehouse):
    check_size(sessions / "sessions" / "2024-09-01")
    d = sessions.document("sessions", "2024-09-01")
    assert d == {
        "model": "sessions", "batch": "2024-09-01", "state": "pending", "start": "2024-09-01T00:00:00Z",
        "end": "2024-09-02T00:00:00Z", "attempt": 0, "rows_deleted": None, "rows_inserted": None,
        "rows_outside": None, "started_at": None, "finished_at": None, "seconds": None, "requested_by": None,
        "reason": None, "error": None, "because": None, "adopted": False, "frozen": False, "code": None,
        "requested_again": False, "builder": warehouse.engine, "last_refusal": None}


def test_a_batch_that_is_done(sessions, warehouse):
    path = sessions / "sessions" / "2024-09-01"
    assert run("sh", "-c", f"echo 'late events' > {path} && sync {path}").returncode == 0
    check_size(path)
    d = sessions.document("sessions", "2024-09-01")
    assert set(d) == BATCH
    assert (d["state"], d["attempt"], d["code"]) == ("done", 1, "same")
    assert (d["rows_deleted"], d["rows_inserted"], d["rows_outside"]) == (0, 4, 0)
    assert d["requested_by"] == {"uid": os.geteuid(), "command": "sh"} and d["reason"] == "late events"
    assert TIME.fullmatch(d["started_at"]) and TIME.fullmatch(d["finished_at"])
    assert NOW <= d["started_at"] <= d["finished_at"] and isinstance(d["seconds"], float) and d["seconds"] >= 0
    nothing = {"error", "because", "last_refusal"}
    assert {k for k in BATCH if d[k] is None} == nothing
    assert {k for k in BATCH if d[k] is False} == {"adopted", "frozen", "requested_again"}
    sessions.build("sessions", "2024-09-01")
    again = sessions.document("sessions", "2024-09-01")
    assert (again["attempt"], again["rows_deleted"], again["rows_inserted"], again["reason"]) == (2, 4, 4, None)
    assert d["finished_at"] <= again["started_at"]


def test_a_batch_that_failed(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, FAILS, "2024-09-01")
    m = mount(project, now=NOW)
    assert errno_of(m.build, "sessions", "2024-09-01") == errno.EIO
    check_size(m / "sessions" / "2024-09-01.failed")
    d = m.document("sessions", "2024-09-01.failed")
    assert set(d) == BATCH and d["state"] == "failed" and d["batch"] == "2024-09-01"
    assert set(d["error"]) == {"sqlstate", "message"}
    if warehouse.engine == "postgres":
        assert d["error"]["sqlstate"] == "22012" and "division by zero" in d["error"]["message"]
    else:
        assert "overflow" in d["error"]["message"]
    assert d["rows_inserted"] is None and d["rows_deleted"] is None and TIME.fullmatch(d["finished_at"])
    set_days(warehouse, 7)
    m.build("sessions", "2024-09-01.failed")
    repaired = m.document("sessions", "2024-09-01")
    assert (repaired["state"], repaired["error"], repaired["attempt"]) == ("done", None, 2)


def test_running_and_queued_and_requested_again(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, NEVER_ENDS, "2024-09-01")
    m = mount(project, "drain=0", "jobs=1", now=NOW)
    os.utime(m / "sessions" / "2024-09-01")
    running = wait_until(lambda: (d := m.document("sessions", "2024-09-01"))["state"] == "running" and d,
                         what="2024-09-01 runs")
    assert (running["attempt"], running["requested_again"]) == (1, False)
    assert TIME.fullmatch(running["started_at"])
    assert [running[k] for k in ("finished_at", "seconds", "rows_inserted", "error")] == [None] * 4
    os.utime(m / "sessions" / "2024-09-01")
    assert m.document("sessions", "2024-09-01")["requested_again"] is True
    os.utime(m / "sessions" / "2024-09-02")
    check_size(m / "sessions" / "2024-09-02.queued")
    queued = m.document("sessions", "2024-09-02")
    assert (queued["state"], queued["attempt"], queued["started_at"]) == ("queued", 0, None)


def test_what_was_there_before_is_adopted(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    warehouse.sql(f"CREATE TABLE {warehouse.relation('sessions')} AS SELECT * FROM {warehouse.relation('events')} "
                  "WHERE event_time >= '2024-09-02' AND event_time < '2024-09-03'")
    m = mount(project, now=NOW)
    wait_until(lambda: m.states("sessions")["2024-09-02"] == "done", what="2024-09-02 is adopted")
    d = m.document("sessions", "2024-09-02")
    assert set(d) == BATCH and d["adopted"] is True and d["attempt"] == 0
    assert [d[k] for k in ("requested_by", "reason", "seconds", "code", "error")] == [None] * 5
    assert d["finished_at"] >= NOW and os.stat(m / "sessions" / "2024-09-02").st_mtime > 0
    m.build("sessions", "2024-09-02")
    rebuilt = m.document("sessions", "2024-09-02")
    assert (rebuilt["adopted"], rebuilt["rows_deleted"], rebuilt["rows_inserted"]) == (False, 4, 4)
    assert warehouse.count("sessions") == 4


def test_a_refusal_is_kept_where_it_belongs(sessions):
    with pytest.raises(PermissionError):
        os.chmod(sessions / "sessions" / "2024-09-01", 0o755)
    refusal = sessions.document("sessions", "2024-09-01")["last_refusal"]
    assert set(refusal) == {"at", "errno", "message"} and refusal["errno"] == "EPERM"
    assert TIME.fullmatch(refusal["at"]) and refusal["message"]
    assert sessions.document("sessions", "2024-09-02")["last_refusal"] is None
    for where in (("sessions", ".status"), (".status",), ("sessions", "2024-09")):
        assert sessions.document(*where)["last_refusal"] == refusal


def check_range(d, batches):
    assert set(d) >= RANGE and set(d["would_build"]) == WOULD_BUILD and set(d["states"]) == STATES
    assert d["batches"] == batches == sum(d["states"].values())
    assert d["frozen"] == [] and sum(d["would_build"]["why"].values()) == d["would_build"]["batches"]


def test_a_range(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, FAILS, "2024-09-02", "2024-09-03")
    m = mount(project, now=NOW)
    before = m.document("sessions", "2024-09")
    check_range(before, 4)
    assert set(before) == RANGE
    assert (before["first_failed"], before["last_failed"], before["last_finished_at"]) == (None, None, None)
    assert before["would_build"]["rows"] is None and before["would_build"]["seconds"] is None
    assert errno_of(m.build, "sessions", "2024-09") == errno.EIO
    path = m / "sessions" / "2024-09"
    check_size(path)
    d = m.document("sessions", "2024-09")
    check_range(d, 4)
    assert d["states"] == {**dict.fromkeys(STATES, 0), "done": 1, "failed": 2, "partial": 1}
    assert (d["first_failed"], d["last_failed"]) == ("2024-09-02", "2024-09-03")
    assert TIME.fullmatch(d["last_finished_at"])
    would = d["would_build"]
    assert (would["batches"], would["first"], would["last"], would["rows"]) == (4, "2024-09-01", "2024-09-04", 16)
    assert isinstance(would["seconds"], float)


def test_the_status_of_a_model_is_what_run_would_do(project, warehouse, mount):
    add_troubled(project, lookback=1)
    set_days(warehouse, FAILS, "2024-09-02")
    m = mount(project, now=NOW)
    assert errno_of(m.build, "sessions", "2024-09-01--2024-09-04") == errno.EIO
    check_size(m / "sessions" / ".status")
    d = m.document("sessions", ".status")
    check_range(d, 4)
    assert set(d) == STATUS
    assert d["would_build"]["why"] == {"failed": 1, "pending": 1, "lookback": 1}
    assert (d["would_build"]["first"], d["would_build"]["last"]) == ("2024-09-02", "2024-09-04")


def test_how_far_a_model_is(project, warehouse, mount, fault_binary, tmp_path):
    fault = Fault(tmp_path / "fault")
    add_troubled(project, lookback=1)
    set_days(warehouse, FAILS, "2024-09-02", "2024-09-03")
    m = mount(project, "jobs=1", now=NOW, binary=fault_binary, env=fault.env())

    def standing(*names):
        d = m.document(*names, ".status")
        return d["built_until"], d["lag"] // 3600, [x["batch"] for x in d["last_failures"]]

    day = 24
    # NOW is at noon.
    assert standing() == standing("sessions") == ("2024-09-01T00:00:00Z", 3 * day + 12, [])
    assert errno_of(m.build, "sessions", "2024-09") == errno.EIO
    assert standing("sessions") == ("2024-09-02T00:00:00Z", 2 * day + 12, ["2024-09-03", "2024-09-02"])
    failure = m.document(".status")["last_failures"][0]
    assert list(failure) == ["model", "batch", "at", "sqlstate", "message"] and failure["model"] == "sessions"
    error = m.document("sessions", "2024-09-03")["error"]
    assert {k: failure[k] for k in error} == error and error["message"]
    set_days(warehouse, FINE)
    m.build("sessions", "2024-09-03")
    assert standing("sessions") == ("2024-09-02T00:00:00Z", 2 * day + 12, ["2024-09-02"])
    m.build("sessions", "2024-09-02")
    # What is built before its window has closed is not built as a whole; what is built once more still is.
    assert standing() == standing("sessions") == ("2024-09-04T00:00:00Z", 12, [])
    assert m.document(".status")["running"] == []
    with fault.holding("build"):
        os.utime(m / "sessions" / "2024-09-02")
        wait_until(lambda: m.states("sessions")["2024-09-02"] == "running", what="2024-09-02 runs")
        (running,) = m.document("sessions", ".status")["running"]
        assert running == {"batch": "2024-09-02", "since": m.document("sessions", "2024-09-02")["started_at"]}
        assert m.document(".status")["running"] == [{"model": "sessions", **running}]
        assert standing("sessions")[0] == "2024-09-04T00:00:00Z"
    m.sync("sessions", "2024-09-02")


def test_the_status_of_the_root(sessions, project, warehouse):
    sessions.build("sessions", "2024-09-01")
    check_size(sessions / ".status")
    d = sessions.document(".status")
    check_range(d, 4)
    assert set(d) == STATUS | {"models", "mount"}
    model = sessions.document("sessions", ".status")
    assert d["models"]["sessions"] | {"lag": 0} == model | {"lag": 0} and list(d["models"]) == ["sessions"]
    assert (d["built_until"], d["last_failures"]) == (model["built_until"], [])
    mount = d["mount"]
    assert set(mount) == MOUNT
    assert (mount["engine"], mount["store"], mount["pid"]) == (warehouse.engine, warehouse.engine, sessions.pid)
    assert mount["warehouse"] == "connected"
    assert re.fullmatch(r"\d+\.\d+\.\d+", mount["version"]) and mount["manifest_error"] is None
    assert TIME.fullmatch(mount["since"]) and TIME.fullmatch(mount["manifest_loaded_at"])
    assert mount["manifest"] == str(project.target / "manifest.json")


def test_a_model(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, unique_key=["id", "val"], concurrent_batches=False, full_refresh=False, lookback=3,
                 tags=["nightly", "web"])
    project.model("bare", "select id, event_time from {events}", inputs=["events"])
    m = mount(project, now=NOW)
    check_size(m / "sessions" / ".model")
    m.build("sessions", "2024-09-01")
    d = m.document("sessions", ".model")
    assert set(d) == MODEL
    assert d.pop("event_time_type") == ("timestamp" if warehouse.engine == "postgres" else "text")
    assert isinstance(d.pop("notes"), list)
    wait_until(lambda: TIME.fullmatch(m.document("sessions", ".model")["looked_at"] or ""), what="it is looked at")
    d.pop("looked_at")
    sql = d.pop("sql")
    assert sql["from"] == "manifest" and TIME.fullmatch(sql["compiled_at"])
    assert d == {
        "name": "sessions", "package": "proj", "unique_id": "model.proj.sessions",
        "relation": warehouse.relation("sessions"), "event_time": "event_time", "batch_size": "day",
        "begin": "2024-09-01T00:00:00Z", "lookback": 3, "strategy": "delete+insert", "unique_key": ["id", "val"],
        "concurrent_batches": False, "full_refresh": False, "protected": "config", "tags": ["nightly", "web"],
        "inputs": [{"relation": warehouse.relation("events"), "event_time": "event_time", "filtered": True}],
        "builder": warehouse.engine, "runnable": True, "why_not": None}
    bare = m.document("bare", ".model")
    assert set(bare) == MODEL
    assert [bare[k] for k in ("unique_key", "concurrent_batches", "full_refresh", "why_not", "event_time_type")] == [
        None] * 5
    assert (bare["protected"], bare["tags"]) == (False, [])


def test_what_differs_from_dbt_is_noted(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, unique_key="id", full_refresh=True)
    project.model("bare", "select id, event_time from {events}", inputs=["events"])

    def noted(name):
        notes = " ".join(m.document(name, ".model")["notes"])
        return [words for words in ("unique_key is not enforced", "full_refresh: true", "on-run-start",
                                    "frozen for batchfs") if words in notes]

    m = mount(project, now=NOW)
    assert noted("sessions") == ["unique_key is not enforced", "full_refresh: true"]
    assert noted("bare") == []
    os.chmod(m / "bare" / "2024-09-01", 0o444)
    assert noted("bare") == ["frozen for batchfs"]
    os.chmod(m / "bare" / "2024-09-01", 0o644)
    assert noted("bare") == []
    m.unmount()
    project.nodes["operation.proj.start"] = {
        "resource_type": "operation", "name": "proj-on-run-start-0", "package_name": "proj", "tags": ["on-run-start"],
        "unique_id": "operation.proj.start", "original_file_path": "./dbt_project.yml", "fqn": ["proj", "hooks"],
        "depends_on": {"macros": [], "nodes": []}, "config": {"enabled": True}}
    m = mount(project, now=NOW)
    assert noted("bare") == ["on-run-start"]


@pytest.mark.parametrize("engine", ["postgres"])
def test_a_missing_index_is_noted(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events WHERE false")
    m = mount(project, now=NOW)
    [note] = [note for note in m.document("sessions", ".model")["notes"] if "index" in note]
    assert "event_time" in note
    warehouse.sql("CREATE INDEX ON an.sessions (event_time)")
    assert not any("index" in note for note in mount(project, now=NOW).document("sessions", ".model")["notes"])


def test_the_sql_of_a_batch_says_what_is_sent(sessions, warehouse):
    path = sessions / "sessions" / "2024-09-02.sql"
    text = path.read_text()
    assert len(text) == os.stat(path).st_size and text.endswith("\n")
    assert "2024-09-02" in text and "2024-09-03" in text and "2024-09-04" not in text
    assert re.search(r"insert into", text, re.I) and re.search(r"delete from", text, re.I)
    assert "event_time" in text and "2024-09-03" in (sessions / "sessions" / "2024-09-01--2024-09-04.sql").read_text()
    assert errno_of(os.utime, sessions / "sessions" / "2024-09-02.sql") == errno.EPERM


def test_texts_from_outside_are_made_harmless(sessions):
    path = sessions / "sessions" / "2024-09-01"
    for written, kept in ((b'say "hi"\\ \n', 'say "hi"\\'), (b"bell\x07 \xff caf\xc3\xa9", "bell  ? caf\xe9"),
                          (b"  two\nlines\t\n\n", "two\nlines")):
        with open(path, "wb", buffering=0) as f:
            f.write(written)
        sessions.sync("sessions", "2024-09-01")
        data = check_size(path)
        assert json.loads(data)["reason"] == kept
    with open(path, "wb", buffering=0) as f:
        f.write(("\xe9" * 2000).encode())
    sessions.sync("sessions", "2024-09-01")
    assert json.loads(check_size(path))["reason"] == "\xe9" * 500


def test_everything_listed_can_be_read_by_everything(sessions, tmp_path):
    """Honest sizes: what trusts st_size and what does not read the same."""
    os.utime(sessions / "sessions" / "2024-09-02")
    sessions.sync("sessions", "2024-09")
    command = ('for f in .status sessions/.model sessions/.status sessions/2024-09-0? sessions/2024-09-0?.pending'
               ' sessions/2024-09 sessions/2024-09-01.sql; do [ -e $f ] || continue;'
               ' for r in "cat" "head -c 99999" "tail -c 99999" "dd status=none bs=7 if=" "tar cf - -O" "sed p -n"; do'
               ' case $r in dd*) $r$f;; tar*) tar cf - $f | tar xOf -;; *) $r $f;; esac |'
               # The lag is another one every second.
               ' sed "s/\\"lag\\": [0-9]*/lag/" | cksum; done;'
               ' [ $(wc -c <$f) = $(cat $f | wc -c) ] || echo size of $f; done')
    done = shell(sessions, command)
    assert done.stderr == "" and "size" not in done.stdout
    sums = done.stdout.splitlines()
    assert len(sums) > 36 and all(len(set(sums[i:i + 6])) == 1 for i in range(0, len(sums), 6)), done.stdout
