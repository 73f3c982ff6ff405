# SPDX-License-Identifier: Apache-2.0
"""engine=dbt with a dbt that is played (lib/fake_dbt.py): what it says, leaves unsaid, and how it dies."""
import errno
import json
import os
import shutil
import signal

import pytest

from lib.command import finish, start
from lib.dbt_played import DAYS, FAKE, MISLEADING, NOW, DbtWarehouse, alive, played_project
from lib.wait import wait_until


@pytest.fixture
def engine():
    return "dbt"


@pytest.fixture
def warehouse(tmp_path):
    return DbtWarehouse(tmp_path / "project")


@pytest.fixture
def project(tmp_path, warehouse):
    return played_project(tmp_path, warehouse)


@pytest.fixture
def m(mount, project):
    m = mount(project, "chunk=10", now=NOW)
    wait_until(lambda: "unknown" not in m.states("sessions").values(), what="the table was looked at")
    return m


def test_a_month_of_batches_is_one_run(mount, project, warehouse):
    """chunk= alone says how many go together."""
    project.model("sessions", "select * from {events}", inputs=["events"], begin="2024-07-01")
    m = mount(project, "chunk=100", now=NOW)
    m.build("sessions", "2024-07--2024-09")
    assert len(warehouse.calls()) == 1
    assert list(m.states("sessions").values()).count("done") == len(warehouse.table()) == 62


def failing(m, *names):
    with pytest.raises(OSError) as e:
        m.build(*names)
    return e.value.errno


def settled(m):
    return wait_until(lambda: (s := m.states("sessions")) and not {"queued", "running"} & set(s.values()) and s,
                      what="all has settled")


def truthful(m, warehouse):
    """What is shown as built was built."""
    built = {d for d, s in m.states("sessions").items() if s in ("done", "partial")}
    assert built <= set(warehouse.table()), (built, warehouse.table())


def option(call, name):
    return call["words"][call["words"].index(name) + 1]


def test_a_batch_and_a_range(m, warehouse):
    m.build("sessions", "2024-09-01")
    assert warehouse.table() == {"2024-09-01": 1}
    batch = m.document("sessions", "2024-09-01")
    assert (batch["state"], batch["builder"], batch["rows_inserted"], batch["rows_outside"], batch["code"]) == (
        "done", "dbt", 4, None, "same")
    m.build("sessions", "2024-09-02--2024-09-05")
    assert m.states("sessions") == {**dict.fromkeys(DAYS[:4], "done"), **dict.fromkeys(DAYS[4:], "pending")}
    first, second = warehouse.calls()
    # chunk= allows for all of the range: one invocation.
    assert (option(second, "--event-time-start"), option(second, "--event-time-end")) == (
        "2024-09-02T00:00:00", "2024-09-05T00:00:00")
    assert option(first, "--select") == "fqn:proj.sessions,path:models/sessions.sql"
    assert not any("--full-refresh" in c["words"] or set(MISLEADING) & set(c["environment"]) for c in (first, second))
    assert first["pid"] == first["group"] != os.getpgid(m.pid)
    assert not (warehouse.place / "target").exists() and not (warehouse.place / "logs").exists()
    history = [json.loads(line) for line in (m / "sessions" / ".history").read_text().splitlines()]
    assert [(h["batch"], h["outcome"]) for h in history] == [(d, "done") for d in DAYS[:4]]
    assert "--event-time-start 2024-09-01T00:00:00" in (m / "sessions" / "2024-09-01.sql").read_text()


def test_a_failure_is_shown_and_retried(m, warehouse):
    warehouse.fake(batches={"2024-09-02": "fail no such column"})
    assert failing(m, "sessions", "2024-09-01--2024-09-04") == errno.EIO
    states = m.states("sessions")
    assert [states[d] for d in DAYS[:3]] == ["done", "failed", "done"]
    error = m.document("sessions", "2024-09-02")["error"]
    assert error["message"] == "Runtime Error\n  no such column"
    warehouse.fake()
    m.build("sessions", "2024-09-02.failed")
    assert m.states("sessions")["2024-09-02"] == "done"
    assert warehouse.table() == dict.fromkeys(DAYS[:3], 1)


def test_what_dbt_skips_goes_on_in_the_next_chunk(m, warehouse):
    warehouse.fake(batches={"2024-09-01": "fail once"})
    assert failing(m, "sessions", "2024-09") == errno.EIO
    states = settled(m)
    assert states["2024-09-01"] == "failed"
    assert {states[d] for d in DAYS[1:]} == {"done", "partial"}
    assert warehouse.table() == dict.fromkeys(DAYS[1:], 1)


def test_the_same_error_in_three_runs_is_enough(m, warehouse):
    warehouse.fake(batches={d: f"fail no such column, in {d} of x__dbt_tmp{d}" for d in DAYS})
    assert failing(m, "sessions", "2024-09") == errno.EIO
    states = settled(m)
    assert sorted(states.values()) == ["failed"] * 3 + ["skipped"] * 3
    assert len(warehouse.calls()) == 3
    assert "the same error" in m.document("sessions", "2024-09-06")["error"]["message"]


def test_the_same_error_ten_times_is_enough(mount, project, warehouse):
    """In one run of dbt, which goes on after a failure that is not its first batch's: what comes after it is skipped."""
    project.model("sessions", "select * from {events}", inputs=["events"], begin="2024-08-01")
    m = mount(project, "chunk=12", now=NOW)
    days = m.ls("sessions")
    assert len(days) == 37
    warehouse.fake(batches={f"2024-08-{d:02}": f"fail no such column, in {d} of x__dbt_tmp{d}" for d in range(2, 32)})
    assert failing(m, "sessions", "2024-08--2024-09") == errno.EIO
    states = settled(m)
    assert [states[f"2024-08-{d:02}"] for d in range(1, 13)] == ["done"] + ["failed"] * 11
    assert {states[f"2024-08-{d:02}"] for d in range(13, 32)} == {"skipped"}
    assert len(warehouse.calls()) == 1 and len(warehouse.table()) == 1


def test_a_chatterbox(m, warehouse):
    """What has no end of line is no event, however long it is, and keeps nothing in memory."""
    warehouse.fake(flood=70 << 20, batches={"2024-09-02": "fail it"})
    assert failing(m, "sessions", "2024-09-01--2024-09-04") == errno.EIO
    assert [m.states("sessions")[d] for d in DAYS[:3]] == ["done", "failed", "done"]
    truthful(m, warehouse)


def test_garbage_changes_nothing(m, warehouse):
    warehouse.fake(garbage=["x"], batches={"2024-09-02": "fail it"})
    assert failing(m, "sessions", "2024-09-01--2024-09-04") == errno.EIO
    assert [m.states("sessions")[d] for d in DAYS[:3]] == ["done", "failed", "done"]
    truthful(m, warehouse)


@pytest.mark.parametrize("how", ("missing", "cut", "foreign"))
def test_events_without_results(m, warehouse, how):
    warehouse.fake(results=how)
    m.build("sessions", "2024-09-01--2024-09-03")
    assert warehouse.table() == dict.fromkeys(DAYS[:2], 1)
    # Neither an event nor the file vouches for it, although it was built.
    warehouse.fake(results=how, batches={"2024-09-03": "silent"})
    assert failing(m, "sessions", "2024-09-03") == errno.EIO
    assert m.states("sessions")["2024-09-03"] == "failed"


def test_results_without_events(m, warehouse):
    warehouse.fake(batches={"2024-09-02": "silent"})
    m.build("sessions", "2024-09-01--2024-09-03")
    assert warehouse.table() == dict.fromkeys(DAYS[:2], 1)


def test_results_that_deny_an_event(m, warehouse):
    """A batch is done when an event says so, and failed when run_results.json of the run denies that."""
    warehouse.fake(denied=["2024-09-02"])
    os.utime(m / "sessions" / "2024-09-01--2024-09-04")
    wait_until(lambda: m.states("sessions")["2024-09-02"] == "failed", what="it is taken back")
    assert [settled(m)[d] for d in DAYS[:3]] == ["done", "failed", "done"]
    batch = m.document("sessions", "2024-09-02")
    assert "run_results.json of the same run that it failed" in batch["error"]["message"]
    assert batch["rows_inserted"] is None
    history = [json.loads(line) for line in (m / "sessions" / ".history").read_text().splitlines()]
    assert [(h["attempt"], h["outcome"]) for h in history if h["batch"] == "2024-09-02"] == [(1, "done"), (1, "failed")]
    # It is remembered so.
    m.unmount()
    m.start()
    assert m.states("sessions")["2024-09-02"] == "failed"
    warehouse.fake()
    m.build("sessions", "2024-09-02.failed")
    assert m.states("sessions")["2024-09-02"] == "done"


@pytest.mark.parametrize("how", ("die", "exit 1", "exit 0"))
def test_dbt_dies_in_a_batch(m, warehouse, how):
    warehouse.fake(batches={"2024-09-02": how})
    os.utime(m / "sessions" / "2024-09-01--2024-09-04")
    wait_until(lambda: len(warehouse.calls()) > 1, what="it was tried again")
    warehouse.fake()
    assert {settled(m)[d] for d in DAYS[:3]} == {"done"}
    assert warehouse.table()["2024-09-01"] == 1
    truthful(m, warehouse)
    failed = [h for h in map(json.loads, (m / "sessions" / ".history").read_text().splitlines()) if h["outcome"] == "failed"]
    assert failed and ("signal 9" in failed[0]["message"] if how == "die" else "my last words" in failed[0]["message"])


def test_a_project_that_has_moved_on_is_not_built(m, project, warehouse):
    """dbt would build other SQL than the mount shows, and the states would call it by the wrong name."""
    file = warehouse.place / "models" / "sessions.sql"
    file.parent.mkdir()
    file.write_text(project.nodes["model.proj.sessions"]["raw_code"] + "\n")
    m.build("sessions", "2024-09-01")
    project.model("sessions", "select 2 from {events}", inputs=["events"])
    file.write_text(project.nodes["model.proj.sessions"]["raw_code"] + "\n")
    assert failing(m, "sessions", "2024-09-02") == errno.EIO
    message = m.document("sessions", "2024-09-02")["error"]["message"]
    assert message.startswith("models/sessions.sql is not what the manifest was made from")
    assert warehouse.table() == {"2024-09-01": 1}
    project.write()
    wait_until(lambda: m.document("sessions", "2024-09-01")["code"] == "changed", what="the new manifest is in force")
    m.build("sessions", "2024-09-02.failed")
    assert warehouse.table() == dict.fromkeys(DAYS[:2], 1)


def test_dbt_that_cannot_begin(m, warehouse):
    warehouse.fake(error="Could not find profile named 'x'")
    assert failing(m, "sessions", "2024-09-01") == errno.EIO
    assert m.document("sessions", "2024-09-01")["error"]["message"] == "Could not find profile named 'x'"
    assert warehouse.table() == {}


def test_another_table_is_not_built(m, warehouse):
    warehouse.fake(relation='"warehouse"."other"."sessions"')
    assert failing(m, "sessions", "2024-09-01") == errno.EIO
    assert "and the manifest says" in m.document("sessions", "2024-09-01")["error"]["message"]
    assert m.states("sessions")["2024-09-01"] == "failed"


@pytest.mark.parametrize("deaf", (False, True))
def test_cancel_ends_the_chunk_and_the_rest_goes_on(m, warehouse, deaf):
    warehouse.fake(deaf=deaf, batches={"2024-09-02": "hang"})
    os.utime(m / "sessions" / "2024-09-01--2024-09-05")
    wait_until(lambda: warehouse.hangs("2024-09-02") and m.states("sessions")["2024-09-02"] == "running", what="it hangs")
    wait_until(lambda: m.states("sessions")["2024-09-01"] == "done", what="the batch before is recorded")
    os.unlink(m / "sessions" / "2024-09-02.running")
    states = settled(m)
    assert [states[d] for d in DAYS[:4]] == ["done", "pending", "done", "done"]
    assert warehouse.table() == {"2024-09-01": 1, "2024-09-03": 1, "2024-09-04": 1}


def test_kill_of_batchfs_takes_dbt_with_it(m, warehouse):
    warehouse.fake(deaf=True, batches={"2024-09-02": "hang"})
    os.utime(m / "sessions" / "2024-09-01--2024-09-04")
    wait_until(lambda: warehouse.hangs("2024-09-02"), what="it hangs")
    wait_until(lambda: m.states("sessions")["2024-09-01"] == "done", what="the first is recorded")
    pid = warehouse.calls()[-1]["pid"]
    m.kill()
    wait_until(lambda: not alive(pid), what="dbt died with batchfs")
    warehouse.fake()
    m.start()
    assert {settled(m)[d] for d in DAYS[:3]} == {"done"}
    assert warehouse.table() == dict.fromkeys(DAYS[:3], 1)


def test_kill_of_a_wrapper_leaves_a_dbt_that_is_found(mount, project, warehouse, tmp_path):
    """What the wrapper has started lives on; the next mount ends it before it starts another one."""
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f"#!/bin/sh\n{FAKE} \"$@\"\n")
    wrapper.chmod(0o755)
    m = mount(project, f"dbt={wrapper}", now=NOW)
    m.build("sessions", "2024-09-01")
    warehouse.fake(deaf=True, batches={"2024-09-02": "hang"})
    os.utime(m / "sessions" / "2024-09-02")
    wait_until(lambda: warehouse.hangs("2024-09-02"), what="it hangs")
    pid = warehouse.calls()[-1]["pid"]
    m.kill()
    assert alive(pid)
    warehouse.fake()
    m.start()
    assert settled(m)["2024-09-02"] == "done"
    assert not alive(pid)
    assert warehouse.table() == dict.fromkeys(DAYS[:2], 1)


def test_unmount_ends_what_runs(m, warehouse):
    warehouse.fake(deaf=True, batches={"2024-09-02": "hang"})
    os.utime(m / "sessions" / "2024-09-02")
    wait_until(lambda: warehouse.hangs("2024-09-02"), what="it hangs")
    pid = warehouse.calls()[-1]["pid"]
    m.process.send_signal(signal.SIGTERM)
    m.process.send_signal(signal.SIGTERM)
    assert m.wait_exit() == 0
    assert not alive(pid)
    warehouse.fake()
    m.start()
    assert settled(m)["2024-09-02"] == "done"


def test_frozen_batches_are_cut_out(m, warehouse):
    os.chmod(m / "sessions" / "2024-09-03", 0o444)
    m.build("sessions", "2024-09")
    assert warehouse.table() == dict.fromkeys([d for d in DAYS if d != "2024-09-03"], 1)


def test_freeze_of_what_dbt_has_is_refused(m, warehouse):
    """dbt has been told to build it, and cannot be told otherwise."""
    warehouse.fake(batches={"2024-09-01": "hang"})
    os.utime(m / "sessions" / "2024-09-01--2024-09-04")
    wait_until(lambda: warehouse.hangs("2024-09-01"), what="it hangs")
    with pytest.raises(OSError) as e:
        os.chmod(m / "sessions" / "2024-09-03", 0o444)
    assert e.value.errno == errno.EBUSY
    warehouse.go()
    assert {settled(m)[d] for d in DAYS[:3]} == {"done"}


def test_full_refresh_of_every_run_is_refused(mount, project, warehouse):
    project.model("sessions", "select * from {events}", inputs=["events"], full_refresh=True)
    m = mount(project, now=NOW)
    assert failing(m, "sessions", "2024-09-01") == errno.EOPNOTSUPP
    assert "full_refresh: true" in m.document("sessions", ".model")["why_not"]
    assert warehouse.calls() == []


def test_rows_are_not_validated(m, warehouse):
    assert (m / "sessions" / ".validate").read_text().startswith("engine=dbt does not count the rows of batches")
    assert failing(m, "sessions", ".validate") in (errno.EOPNOTSUPP, errno.ENODATA)
    wait_until(lambda: m.document("sessions", ".status")["last_refusal"], what="the refusal is shown")
    assert "engine=dbt does not count the rows" in m.document("sessions", ".status")["last_refusal"]["message"]
    assert warehouse.calls() == []


def test_protected_models(mount, project, warehouse):
    project.model("sessions", "select * from {events}", inputs=["events"], full_refresh=False)
    m = mount(project, now=NOW)
    with pytest.raises(OSError) as e:
        os.utime(m / "sessions" / ".full-refresh")
    assert e.value.errno in (errno.EPERM, errno.EACCES)
    m.build("sessions", "2024-09-01")
    assert warehouse.table() == {"2024-09-01": 1}


def test_what_others_have_built_is_adopted(mount, project, warehouse):
    (warehouse.place / "table.json").write_text(json.dumps({"2024-09-02": 1, "2024-09-04": 1}))
    m = mount(project, now=NOW)
    wait_until(lambda: m.states("sessions")["2024-09-02"] == "done", what="it was looked at")
    assert m.document("sessions", "2024-09-02")["adopted"] is True
    assert m.states("sessions")["2024-09-03"] == "pending"
    m.build("sessions", "2024-09-03")
    # Somebody builds another, and empties one that is adopted.
    (warehouse.place / "table.json").write_text(json.dumps({"2024-09-03": 1, "2024-09-04": 1, "2024-09-05": 1}))
    m.build("sessions", ".adopt")
    states = m.states("sessions")
    assert [states[d] for d in DAYS] == ["pending", "pending", "done", "done", "done", "pending"]
    m.unmount()
    m.start()
    assert m.states("sessions") == states
    # The table has gone.
    (warehouse.place / "table.json").unlink()
    m.build("sessions", ".adopt")
    assert set(m.states("sessions").values()) == {"pending"}
    outcomes = [json.loads(line)["outcome"] for line in (m / "sessions" / ".history").read_text().splitlines()]
    assert outcomes.count("adopted") == 3 and outcomes.count("gone") == 4


def test_a_request_by_state_waits_for_the_first_look(mount, project, warehouse):
    """dbt takes its time: who waits for the request to be recorded may give up, sync waits for it all the same."""
    warehouse.fake(look="hang")
    m = mount(project, "timeout=1", now=NOW)
    # What is asked for by name is recorded at once.
    os.utime(m / "sessions" / "2024-09-02")
    with pytest.raises(OSError) as e:
        os.utime(m / "sessions" / ".run")
    assert e.value.errno == errno.ETIMEDOUT
    sync = start("sync", m / "sessions" / ".run")
    wait_until(lambda: warehouse.hangs("look"), what="it looks")
    assert warehouse.calls() == []
    warehouse.go()
    assert finish(sync).returncode == 0
    assert set(m.states("sessions").values()) == {"done", "partial"}


def test_a_look_that_fails_refuses_with_its_reason(mount, project, warehouse):
    warehouse.fake(error="Could not find profile named 'x'")
    m = mount(project, now=NOW)
    wait_until(lambda: m.document("sessions", ".model")["why_not"], what="the look has failed")
    assert "Could not find profile named 'x'" in m.document("sessions", ".model")["why_not"]
    assert failing(m, "sessions", "2024-09-01") == errno.EOPNOTSUPP
    warehouse.fake()
    wait_until(lambda: m.states("sessions")["2024-09-01"] == "pending", what="it is looked at again")
    m.build("sessions", "2024-09-01")


def test_a_python_script_that_is_no_dbt(mount, project, warehouse, tmp_path):
    """The resident program cannot start: the command is called."""
    script = tmp_path / "dbt"
    script.write_text(FAKE.read_text().replace("#!/usr/bin/env python3", "#!/usr/bin/python3"))
    script.chmod(0o755)
    m = mount(project, f"dbt={script}", now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    assert warehouse.table() == dict.fromkeys(DAYS[:2], 1)
    assert "dbt cannot stay resident" in m.log_text()


def test_where_the_states_are(mount, project, warehouse, tmp_path):
    """Without database=, in the user's state directory; the mount says what is missing."""
    options = [f"engine=dbt,project={warehouse.place},dbt={FAKE}"]
    warehouse.options = lambda: options
    m = mount(project, now=NOW, env={"XDG_STATE_HOME": str(tmp_path / "state")})
    m.build("sessions", "2024-09-01")
    assert len(list((tmp_path / "state" / "batchfs").glob("project-*.db"))) == 1
    m.unmount()
    m.start()
    assert m.states("sessions")["2024-09-01"] == "done"


@pytest.mark.parametrize("options, words", (
    ("engine=dbt", "project: engine dbt needs it"),
    ("engine=dbt,project=/nowhere", "/nowhere/dbt_project.yml: No such file"),
    ("engine=dbt,project=PLACE,dbt=no-such-dbt", "no-such-dbt: no such command in PATH"),
    ("engine=dbt,project=PLACE,service=x", "service: engine dbt with store=sqlite has no use for it"),
    ("engine=dbt,project=PLACE,dbt=FAKE,adopt=/nowhere", "/nowhere"),
    ("engine=sqlite,database=x,adopt=PLACE", "adopt: engine sqlite has no use for it"),
    ("engine=sqlite,database=x,project=PLACE", "project: engine sqlite has no use for it"),
))
def test_what_is_refused_at_mount_time(mount, project, warehouse, options, words):
    warehouse.options = lambda: [options.replace("PLACE", str(warehouse.place)).replace("FAKE", str(FAKE))]
    m = mount(project, now=NOW, start=False)
    with pytest.raises(RuntimeError) as e:
        m.start()
    assert words in str(e.value)


def test_states_that_cannot_be_written(mount, project, warehouse, fault_binary, fault):
    """A full disk: what dbt has built is shown as built when that is recorded, and is not built again."""
    m = mount(project, "chunk=10", now=NOW, binary=fault_binary, env=fault.env())
    m.build("sessions", "2024-09-01")
    fault.set("settle:error=ENOSPC")
    os.utime(m / "sessions" / "2024-09-02--2024-09-04")
    wait_until(lambda: len(warehouse.table()) == 3, what="dbt has built them")
    assert {m.states("sessions")[d] for d in DAYS[1:3]} <= {"queued", "running"}
    fault.clear()
    assert {settled(m)[d] for d in DAYS[:3]} == {"done"}
    assert warehouse.table() == dict.fromkeys(DAYS[:3], 1)


def test_a_full_directory_of_a_worker(m, warehouse, tmp_path):
    """Nothing can be written where dbt's target would be: the batch fails with the reason."""
    m.build("sessions", "2024-09-01")
    m.unmount()
    shutil.rmtree(tmp_path / "states.db-dbt")
    (tmp_path / "states.db-dbt").write_text("in the way")
    m.start()
    assert failing(m, "sessions", "2024-09-02") == errno.EIO
    assert "states.db-dbt" in m.document("sessions", "2024-09-02")["error"]["message"]
    assert warehouse.table() == {"2024-09-01": 1}
