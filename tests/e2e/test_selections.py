# SPDX-License-Identifier: Apache-2.0
"""Selections at the root: dbt's syntax, several models as one directory."""
import errno
import os
import signal
import stat
import sys

import pytest

from lib.command import (errno_of, finish, is_locked_out, parked_sync, run, shell, start, wait_parked,
                         waits_for_fuse)
from lib.thread import announcer_of, standing_still
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.truth import asked_for, built, check_rows
from lib.wait import wait_until

NOW = "2024-09-07T12:00:00"
RANGE = "2024-09-01--2024-09-04"
REST = "2024-09-02--2024-09-04"
DAYS = ["2024-09-01", "2024-09-02", "2024-09-03"]
READS = "select id, event_time, val from {sessions}"


@pytest.fixture
def family(project):
    """sessions, which may fail, is read by daily and by monthly."""
    add_troubled(project, tags=["nightly"])
    project.model("daily", READS, inputs=["sessions"], tags=["nightly"])
    project.model("monthly", READS, inputs=["sessions"], batch_size="month", begin="2024-08-01")
    project.view("recent", "select * from {daily}", inputs=["daily"], tags=["nightly"])
    return project


@pytest.fixture
def m(family, mount, fault_binary, fault):
    return mount(family, "timeout=3600", "jobs=1", now=NOW, binary=fault_binary, env=fault.env())


def test_it_lists_its_models(m):
    expected = {"tag:nightly": ["daily", "sessions"], "sessions+": ["daily", "monthly", "sessions"],
                "+daily": ["daily", "sessions"], "1+recent": ["daily"], "monthly daily": ["daily", "monthly"],
                "sessions+,tag:nightly": ["daily", "sessions"], "tag:nightly --exclude daily": ["sessions"],
                "config.batch_size:month": ["monthly"], "@daily": ["daily", "sessions"],
                "d*": ["daily"], "resource_type:model": ["daily", "monthly", "sessions"]}
    assert {text: m.ls(text) for text in expected} == expected
    assert not set(expected) & set(os.listdir(m.path))
    assert sorted(os.listdir(m / "tag:nightly")) == [".adopt", ".calendar", ".full-refresh", ".run", ".status", ".validate",
                                                       "daily", "sessions"]
    link = m / "tag:nightly" / "daily"
    assert os.readlink(link) == "../daily" and stat.S_ISLNK(os.lstat(link).st_mode)
    assert os.lstat(link).st_size == len("../daily")
    assert os.path.samefile(link, m / "daily") and m.ls("tag:nightly", "daily") == m.ls("daily")
    assert os.stat(m / "tag:nightly").st_mode == stat.S_IFDIR | 0o755
    listed = {e.name: e.inode() for e in os.scandir(m / "tag:nightly")}
    assert listed == {name: os.lstat(m / "tag:nightly" / name).st_ino for name in listed}


def test_what_selects_nothing_is_not_there(m):
    assert errno_of(os.stat, m / ".git") == errno.ENOENT
    assert m.document(".status")["last_refusal"] is None
    for name, why in (("new", "nothing of the project"), ("tag:new", "nothing of the project"),
                      ("recent", "no microbatch model, only what dbt builds (1 node"),
                      ("tag:nightly,monthly", "nothing"), ("source:raw", "no microbatch model"),
                      ("sessions,daily", "nothing")):
        assert errno_of(os.stat, m / name) == errno.ENOENT, name
        refusal = m.document(".status")["last_refusal"]
        assert refusal["errno"] == "ENOENT" and refusal["message"].startswith(name) and why in refusal["message"]
    # A mistake is told apart from what selects nothing.
    for name, why in (("tags:nightly", "tags"), ("state:modified", "state"), ("sessions --exclude", "--exclude")):
        assert errno_of(os.stat, m / name) == errno.ENOENT, name
        refusal = m.document(".status")["last_refusal"]
        assert refusal["errno"] == "ENOENT" and why in refusal["message"], name


def test_a_slash_is_written_as_percent_2f(m):
    assert m.ls("path:models%2Fsessions.sql") == m.ls("models%2fsessions.sql") == ["sessions"]
    assert m.ls("path:models%2F* --exclude models%2Fdaily.sql") == ["monthly", "sessions"]
    assert errno_of(os.stat, m / "path:models%2Fnone.sql") == errno.ENOENT
    assert "path:models/none.sql" in m.document(".status")["last_refusal"]["message"]


def test_a_range_that_names_nothing_says_why(m):
    def says(where, name):
        number = errno_of(os.stat, m / where / name)
        refusal = m.document(where, ".status")["last_refusal"]
        assert refusal["errno"] == errno.errorcode[number] and refusal["message"].startswith(name + ":"), name
        return refusal["message"]

    assert "the first one is 2024-09-01, the last one 2024-09-07" in says("sessions", "2030-1")
    assert "the first one is 2024-09-01" in says("sessions", "2024-08-01--2024-09-01")
    assert "the first one is 2024-09-01" in says("sessions", "2024-08-31")
    assert "start" in says("sessions", "2024-9-4--2024-9-1")
    assert "no model of this selection" in says("tag:nightly", "1999")
    assert "start" in says("tag:nightly", "2024-10--2024-9")
    # What is no name at all, or is not in that state, nobody has asked for.
    before = m.document("sessions", ".status")["last_refusal"]
    for name in ("x", ".git", "2024-09-01.failed", "2024-9-1"):
        assert errno_of(os.stat, m / "sessions" / name) == errno.ENOENT
    assert m.document("sessions", ".status")["last_refusal"] == before


def test_ranges_may_be_written_short(m):
    same = [("sessions", "2024-9-2--2024-9-4", "2024-09-02--2024-09-04"), ("sessions", "2024-9", "2024-09"),
            ("tag:nightly", "2024-9-1", "2024-09-01"), ("sessions", "2024-9.pending", "2024-09.pending")]
    for where, short, full in same:
        assert m.document(where, short) == m.document(where, full)


def test_a_models_own_name_wins(project, mount):
    add_troubled(project)
    project.model("parent", READS, inputs=["sessions"], package="proj")
    m = mount(project, now=NOW)
    assert "2024-09-01.pending" in m.ls("sessions")
    assert m.ls("proj.sessions") == ["sessions"]


def test_names_that_resolve(m, warehouse):
    there = ("2024-09-01", "2024-09-01T05", "2024-09", "2024", RANGE, ".failed", "2024-09.failed", "1999.failed",
             "2024-09-01.done", ".pending", ".run")
    for name in there:
        assert os.stat(m / "tag:nightly" / name).st_mode == stat.S_IFREG | 0o644, name
    for name in (".progress", ".run.progress", "2024-09.progress", ".failed.progress", ".status"):
        assert os.stat(m / "tag:nightly" / name).st_mode == stat.S_IFREG | 0o444, name
        assert errno_of(os.utime, m / "tag:nightly" / name) == errno.EPERM, name
    for name in ("1999", "2030-01", "new", "monthly", ".model", "2024.sql", "2024.new", "1999.progress"):
        assert errno_of(os.stat, m / "tag:nightly" / name) == errno.ENOENT, name
    assert errno_of(os.stat, m / "tag:nightly" / "2024-09--2024-08") == errno.EINVAL
    for call in (lambda: os.utime(m / "tag:nightly"), lambda: os.mkdir(m / "tag:nightly" / "x"),
                 lambda: os.rmdir(m / "tag:nightly"), lambda: os.rename(m / "tag:nightly", m / "x"),
                 lambda: os.unlink(m / "tag:nightly" / "daily"), lambda: os.unlink(m / "tag:nightly" / ".run"),
                 lambda: os.symlink("x", m / "tag:nightly" / "x")):
        assert errno_of(call) == errno.EPERM
    assert errno_of(open, m / "tag:nightly" / "x", "w") == errno.ENOENT
    assert run("sync", m / "tag:nightly").returncode == 1
    assert asked_for(warehouse) == {}


def test_documents_name_what_is_not_rebuilt(m):
    d = m.document("tag:nightly", ".status")
    assert (d["batches"], d["states"]["pending"], list(d["not_rebuilt"])) == (14, 14, ["recent"])
    assert "no microbatch model" in d["not_rebuilt"]["recent"]
    assert d["would_build"]["batches"] == 14 and d["would_build"]["why"] == {"pending": 14}
    assert (d["running"], d["last_failures"]) == ([], [])
    run_says = m.document("tag:nightly", ".run")
    assert list(run_says["not_rebuilt"]) == ["recent"] and run_says.items() <= d.items()
    assert m.document("sessions", ".status").keys() | {"not_rebuilt"} == d.keys()
    # The month has a batch more, and takes in what lies in it.
    assert m.document("+monthly", "2024-08")["batches"] == 1
    assert m.document("+monthly", "2024-09-03--2024-09-05")["batches"] == 3
    assert m.document("+monthly", "2024-09")["would_build"]["why"] == {"requested": 8}
    assert "not_rebuilt" not in m.document("+monthly", "2024-09")
    # Of one model, what is named is named.
    m.build("sessions", "2024-09-01")
    d = m.document("tag:nightly --exclude daily", ".status")
    assert (d["states"]["done"], d["would_build"]["first"]) == (1, "2024-09-02")


@pytest.mark.parametrize("command", ["touch {f} && sync {f}", "echo INC-4711 > {f} && sync {f}",
                                     "touch {f} && cat {f}.progress"])
def test_a_range(m, warehouse, command):
    done = shell(m / "tag:nightly", command.format(f=RANGE))
    assert (done.returncode, done.stderr) == (0, "")
    for model in ("sessions", "daily"):
        assert built(warehouse, model) == dict.fromkeys(DAYS, 1)
        check_rows(warehouse, model)
        if "INC" in command:
            assert {m.document(model, d)["reason"] for d in DAYS} == {"INC-4711"}
    assert set(m.states("monthly").values()) == {"pending"}
    oldest = min(os.stat(m / model / d).st_mtime_ns for d in DAYS for model in ("sessions", "daily"))
    assert os.stat(m / "tag:nightly" / "2024-09").st_mtime_ns == oldest
    assert os.stat(m / "tag:nightly" / "2024-09-05").st_mtime_ns == 0


def test_run(m, warehouse):
    m.build("sessions", RANGE)
    # In one shell, as it is typed.
    done = shell(m, "echo nightly > sessions+/.run && sync sessions+/.run")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(m.states("daily").values()) == set(m.states("sessions").values()) == {"done", "partial"}
    assert m.states("monthly") == {"2024-08": "done", "2024-09": "partial"}
    assert m.document("monthly", "2024-08")["reason"] == "nightly"
    # The lookback of the day that is open, too.
    assert built(warehouse, "sessions") == {f"2024-09-0{d}": 1 for d in range(1, 8)}
    assert m.document("sessions+", ".status")["states"]["pending"] == 0


def test_failures_are_asked_for_again(m, warehouse):
    set_days(warehouse, FAILS, DAYS[1])
    assert errno_of(m.build, "tag:nightly", RANGE) == errno.EIO
    d = m.document("tag:nightly", "2024")
    assert (d["states"]["failed"], d["states"]["skipped"], d["states"]["done"]) == (1, 1, 4)
    last = shell(m / "tag:nightly", "cat 2024-09.progress")
    assert last.returncode == 1 and last.stdout == "[######....] 4/6 done, 2 failed, 8 pending\n"
    assert m.document("tag:nightly", ".failed")["batches"] == 1
    failures = m.document("tag:nightly", ".status")["last_failures"]
    assert [(f["model"], f["batch"]) for f in failures] == [("sessions", DAYS[1])]
    set_days(warehouse, FINE, DAYS[1])
    done = shell(m, "touch 'tag:nightly/.failed' && sync 'tag:nightly/2024'")
    assert (done.returncode, done.stderr) == (0, "")
    assert built(warehouse, "sessions") == built(warehouse, "daily") == dict.fromkeys(DAYS, 1)
    m.sync("tag:nightly", ".failed")
    assert errno_of(m.sync, "tag:nightly", ".pending") == errno.ENODATA
    # In a selection every name is a period, however much is in it.
    for selection in ("tag:nightly", "tag:nightly --exclude daily"):
        assert errno_of(m.sync, selection, "2024-09-05") == 0


def test_freeze(m, warehouse):
    m.build("sessions", "2024-09-05")
    done = shell(m, f"chmod a-w tag:nightly/{RANGE} && ls -l tag:nightly/{RANGE}")
    assert (done.returncode, done.stdout[:10]) == (0, "-r--r--r--")
    assert errno_of(os.utime, m / "tag:nightly" / RANGE) == errno.EPERM
    assert [os.stat(m / model / DAYS[1]).st_mode & 0o777 for model in ("sessions", "daily")] == [0o444] * 2
    assert len(m.document("tag:nightly", ".status")["frozen"]) == 6
    os.chmod(m / "daily" / DAYS[0], 0o644)
    m.build("tag:nightly", RANGE)
    assert (built(warehouse, "sessions"), built(warehouse, "daily")) == ({"2024-09-05": 1}, {DAYS[0]: 1})
    os.chmod(m / "tag:nightly" / RANGE, 0o644)
    m.build("tag:nightly", RANGE)
    assert built(warehouse, "sessions") == dict.fromkeys([*DAYS, "2024-09-05"], 1)


def test_an_empty_set_is_a_success(m, warehouse):
    for command in ("touch {f}", ": > {f}", "sync {f}", "cat {f}", "rm {f}", "touch {f} && sync {f}"):
        for f in (".failed", "2024-09.failed", "1999.failed", ".queued"):
            done = shell(m / "tag:nightly", command.format(f=f))
            assert (done.returncode, done.stderr) == (0, ""), (command, f)
    assert asked_for(warehouse) == {}


@pytest.fixture
def running(m, fault):
    """The first day of sessions runs until the end of the block; the other days of RANGE are queued."""
    with fault.holding("build"):
        os.utime(m / "sessions" / DAYS[0])
        wait_until(lambda: m.states("sessions")[DAYS[0]] == "running", what="it runs")
        os.utime(m / "tag:nightly" / REST)
        yield
        fault.clear()


@pytest.mark.parametrize("name", [".queued", "2024-09", "2024.queued", REST])
def test_rm(m, warehouse, running, name):
    waiting, other = parked_sync(m / "tag:nightly" / REST), parked_sync(m / "daily" / DAYS[1])
    assert shell(m, f"rm 'tag:nightly/{name}' && ls -l tag:nightly > /dev/null").returncode == 0
    for process in (waiting, other):
        done = finish(process)
        assert done.returncode == 1 and "canceled" in done.stderr
    assert {m.states(model)[d] for model in ("sessions", "daily") for d in DAYS[1:]} == {"pending"}
    assert os.path.exists(m / "tag:nightly" / name)
    if name == REST:
        assert errno_of(os.unlink, m / "tag:nightly" / name) == errno.EPERM
        assert "nothing to cancel" in m.document("tag:nightly", name)["last_refusal"]["message"]
    assert set(built(warehouse, "sessions")) <= {DAYS[0]}


def test_who_waits_waits_for_all_of_it(m, fault, running):
    waiting = [parked_sync(m / "tag:nightly" / name) for name in (REST, ".run", ".queued")]
    reader = start("cat", m / "tag:nightly" / f"{REST}.progress")
    wait_parked(reader)
    # Nobody is kept from anything else, of the same files too.
    done = shell(m / "tag:nightly", f"touch {REST} && ls -l {REST} .run && cat {REST} .run > /dev/null")
    assert (done.returncode, done.stderr) == (0, "")
    other = parked_sync(m / "daily" / DAYS[2])
    os.unlink(m / "daily" / DAYS[2])
    assert "canceled" in finish(other).stderr
    for process in (*waiting, reader):
        wait_parked(process)
    fault.clear()
    assert ["canceled" in finish(process).stderr for process in waiting] == [True] * 3
    assert finish(reader).returncode == 0
    assert {model: [m.states(model)[d] for d in DAYS[1:]] for model in ("sessions", "daily")} == {
        "sessions": ["done", "done"], "daily": ["done", "pending"]}


@pytest.mark.parametrize("name", [RANGE, ".run"])
def test_an_interrupted_wait(m, fault, name):
    with fault.holding("claim"):
        os.utime(m / "tag:nightly" / RANGE)
        waiting = start("sync", m / "tag:nightly" / name)
        wait_parked(waiting)
        waiting.terminate()
        assert finish(waiting).returncode == -15
    m.sync("tag:nightly", name)


def test_o_sync(family, warehouse, mount):
    set_days(warehouse, FAILS, DAYS[1])
    m = mount(family, "sync", now=NOW)
    assert errno_of(os.utime, m / "tag:nightly" / RANGE) == errno.EIO
    assert errno_of(os.utime, m / "tag:nightly" / ".failed") == errno.EIO
    set_days(warehouse, FINE, DAYS[1])
    os.utime(m / "tag:nightly" / ".failed")
    assert m.states("daily")[DAYS[1]] == "done"
    assert shell(m, "echo why > tag:nightly/2024-09-04").returncode == 0
    assert {model: m.states(model)["2024-09-04"] for model in ("sessions", "daily")} == {
        "sessions": "done", "daily": "done"}


def test_read_only(family, mount):
    m = mount(family, "ro", now=NOW)
    done = shell(m / "tag:nightly", "touch .failed; rm .queued; touch .run; cat .run 2024 .status > /dev/null")
    assert done.stderr.count("Read-only file system") == 3
    assert os.stat(m / "tag:nightly").st_mode & 0o777 == 0o555
    assert os.stat(m / "tag:nightly" / "2024").st_mode & 0o777 == 0o444


def test_what_cannot_be_built_is_named_and_stands_in_nobodys_way(project, warehouse, mount):
    add_troubled(project)
    project.model("broken", READS, inputs=["sessions"], contract={"enforced": True})
    set_days(warehouse, FAILS, DAYS[1])
    m = mount(project, now=NOW)
    assert m.ls("sessions+") == ["broken", "sessions"]
    assert "2 models: 1 can be built here, 1 cannot (see .model)" in m.log_text()
    for name in (RANGE, ".run", ".pending", "2024-09.pending"):
        assert os.stat(m / "sessions+" / name).st_mode & 0o777 == 0o644, name
    d = m.document("sessions+", ".status")
    assert list(d["not_rebuilt"]) == ["broken"] and "contract" in d["not_rebuilt"]["broken"]
    assert d["batches"] == 14 and d["would_build"]["batches"] == 7
    assert m.document("broken", ".status")["would_build"]["batches"] == 0
    assert m.document("broken", ".status")["lag"] is None and m.document(".status")["lag"] == d["lag"]
    assert errno_of(m.build, "sessions+", RANGE) == errno.EIO
    assert asked_for(warehouse).keys() == set(DAYS)
    set_days(warehouse, FINE, DAYS[1])
    m.build("sessions+", ".failed")
    assert built(warehouse, "sessions") == dict.fromkeys(DAYS, 1)
    os.utime(m / "sessions+" / ".run")
    m.sync("sessions", ".run")
    assert set(built(warehouse, "sessions")) == {f"2024-09-0{d}" for d in range(1, 8)}


def test_where_nothing_can_be_built(project, warehouse, mount):
    add_troubled(project)
    project.model("broken", READS, inputs=["sessions"], contract={"enforced": True})
    m = mount(project, now=NOW)
    for name in (RANGE, ".run"):
        assert errno_of(os.utime, m / "broken+" / name) == errno.EOPNOTSUPP, name
        assert os.stat(m / "broken+" / name).st_mode & 0o777 == 0o444, name
    assert "broken" in m.document("broken+", ".status")["last_refusal"]["message"]
    assert asked_for(warehouse) == {}


def test_a_selection_lasts_while_somebody_is_in_it(m):
    wanted = ["sessions" + " sessions" * n for n in range(1, 21)] + [f"sessions d{'*' * n}" for n in range(300)]
    held = [os.open(m / text / "2024-09", os.O_RDONLY) for text in wanted[:5]]
    inside = os.open(m / wanted[0], os.O_PATH)
    number = os.stat(m / wanted[0]).st_ino
    assert {tuple(m.ls(text)) for text in wanted[:20]} == {("sessions",)}
    assert {os.stat(m / text / ".run").st_mode & 0o777 for text in wanted} == {0o644}
    # As of a shell that has gone there: it is the same directory, and nobody has to go there again.
    assert os.stat(".", dir_fd=inside).st_ino == os.stat(m / wanted[0]).st_ino == number
    assert os.stat(".run", dir_fd=inside).st_mode & 0o777 == 0o644
    assert {m.document(text, ".status")["batches"] for text in wanted[:20]} == {7}
    m.build("sessions", DAYS[0])
    m.sync(wanted[0], DAYS[0])
    for fd in (inside, *held):
        os.close(fd)


# Opens it, and waits for a signal before it syncs; ends with the errno of that.
OPEN_THEN_SYNC = """
import ctypes, os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
fd = os.open(sys.argv[1], os.O_RDONLY)
print("open", flush=True)
signal.sigwait({signal.SIGUSR1})
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(ctypes.get_errno() if libc.fsync(fd) else 0)
"""


def test_rm_that_came_before_the_waiting_is_no_deadlock(m, fault):
    name = m / "sessions" / DAYS[2]
    # Opened before there was anything to wait for: it has the inode to which the name leads.
    waiting = start(sys.executable, "-c", OPEN_THEN_SYNC, name)
    assert waiting.stdout.readline() == "open\n"
    with fault.holding("build"):
        os.utime(name)
        os.stat(name)
        with standing_still(announcer_of(m)):
            waiting.send_signal(signal.SIGUSR1)
            wait_until(lambda: waits_for_fuse(waiting.pid, "fsync"), what="it waits")
            # It has the directory's lock, by the name that still leads to the inode of which fsync has the lock.
            removing = start("unlink", name)
            wait_until(lambda: is_locked_out(removing), what="it waits for the inode")
        assert finish(waiting).returncode == errno.EINTR
        assert finish(removing).returncode == 0
        assert shell(m / "sessions", f"ls -l {DAYS[2]} > /dev/null").returncode == 0


@pytest.mark.parametrize("directory", ["sessions", "tag:nightly"])
def test_rm_of_a_range_needs_no_announcer(m, running, directory):
    """The kernel asks for the name of a range each time, and is told of the inode that nobody waits for."""
    name = m / directory / REST
    with standing_still(announcer_of(m)):
        waiting = start("sync", name)
        wait_parked(waiting)
        assert finish(start("unlink", name)).returncode == 0
    done = finish(waiting)
    assert done.returncode == 1 and "Operation canceled" in done.stderr
