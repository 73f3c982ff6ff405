# SPDX-License-Identifier: Apache-2.0
"""Who waits: sync and its answers, what a reader sees meanwhile, and requests that are parked in the daemon."""
import contextlib
import errno
import json
import os
import signal
import subprocess
from datetime import datetime, timezone

import pytest

from lib.command import errno_of, finish, run, shell, start, state, wait_parked, waits_for_fuse
from lib.events import add_sessions, make_events
from lib.trouble import FAILS, NEVER_ENDS, add_troubled, set_days
from lib.truth import asked_for, built, check_rows
from lib.wait import SLOWER, wait_until

NOW = "2024-09-07T12:00:00"
DAY, OTHER = "2024-09-01", "2024-09-02"
# Fewer where a sanitizer makes each several times longer.
ROUNDS = 2000 // SLOWER


@pytest.fixture
def slow(project, warehouse, mount, fault_binary, fault):
    """A mount that takes rules of the fault layer; requests are not given up."""
    add_troubled(project)
    return mount(project, "timeout=3600", now=NOW, binary=fault_binary, env=fault.env())


@contextlib.contextmanager
def processes():
    """start() with what is left killed in the end."""
    running = []

    def begin(*args, **keys):
        running.append(start(*args, **keys))
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        finish(process)


def test_what_sync_answers(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, FAILS, OTHER)
    m = mount(project, now=NOW)
    m.build("sessions", DAY)
    assert errno_of(m.build, "sessions", OTHER) == errno.EIO
    answers = {name: errno_of(m.sync, "sessions", name) for name in (
        DAY, OTHER, f"{OTHER}.failed", "2024-09-03", "2024-09-03.pending", "2024-09-01--2024-09-02", "2024-09",
        "2024-09-03--2024-09-04", "2024-09-03--2024-09-05")}
    assert answers == {
        DAY: 0, OTHER: errno.EIO, f"{OTHER}.failed": errno.EIO, "2024-09-03": errno.ENODATA,
        "2024-09-03.pending": errno.ENODATA, "2024-09-01--2024-09-02": 0, "2024-09": errno.EIO,
        "2024-09-03--2024-09-04": 0, "2024-09-03--2024-09-05": 0}
    assert [errno_of(m.sync, *path) for path in (("sessions",), ())] == [errno.EINVAL] * 2
    for command, words in ((f"sync {DAY}", ""), (f"sync -d {DAY}", ""), (f"sync {OTHER}", "Input/output error"),
                           ("sync 2024-09-03", "No data available"), ("sync .", "Invalid argument"),
                           (f"busybox sync -d {DAY}", ""), (f"busybox sync -d {OTHER}", "Input/output error")):
        done = shell(m / "sessions", command)
        assert (done.returncode != 0, words in done.stderr) == (words != "", True), command


def test_sync_waits_until_all_has_settled(slow, warehouse, fault):
    set_days(warehouse, FAILS, "2024-09-03")
    with processes() as begin:
        with fault.holding("build"):
            os.utime(slow / "sessions" / "2024-09-01--2024-09-05")
            syncs = {name: begin("sync", slow / "sessions" / name) for name in (
                DAY, f"{OTHER}", "2024-09-03", "2024-09-04.queued", "2024", "2024-09-01--2024-09-03")}
            for process in syncs.values():
                wait_parked(process)
            # Nobody else is kept waiting.
            assert errno_of(slow.sync, "sessions", "2024-09-06") == errno.ENODATA
            assert shell(slow, "ls -l sessions > /dev/null && cat sessions/2024-09-0* > /dev/null").returncode == 0
            wait_until(lambda: {state(p.pid) for p in syncs.values()} == {"S"}, what="all wait, and none in D")
        ended = {name: finish(process) for name, process in syncs.items()}
    assert {name: done.returncode for name, done in ended.items()} == {
        DAY: 0, OTHER: 0, "2024-09-03": 1, "2024-09-04.queued": 0, "2024": 1, "2024-09-01--2024-09-03": 0}
    assert "Input/output error" in ended["2024"].stderr
    check_rows(warehouse, "sessions")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_waiting_sync_can_be_ended(slow, warehouse, fault, number):
    with processes() as begin:
        with fault.holding("build"):
            os.utime(slow / "sessions" / DAY)
            waiting = [begin("sync", slow / "sessions" / name) for name in (DAY, DAY, "2024-09")]
            for process in waiting:
                wait_parked(process)
            for process in waiting[1:]:
                process.send_signal(number)
                assert finish(process).returncode == -number
            assert waits_for_fuse(waiting[0].pid), "the other one waits on"
        assert finish(waiting[0]).returncode == 0
    assert built(warehouse, "sessions") == {DAY: 1}


def test_touching_while_one_waits(slow, warehouse, fault):
    """A waiting fsync holds the inode's lock in the kernel: every other command has to get past it."""
    with processes() as begin:
        with fault.holding("build"):
            os.utime(slow / "sessions" / DAY)
            first = begin("sync", slow / "sessions" / DAY)
            wait_parked(first)
            wait_until(lambda: slow.states("sessions")[DAY] == "running", what=f"{DAY} runs")
            check_others_get_past(slow, DAY)
            second = begin("sync", slow / "sessions" / DAY)
            wait_parked(second)
            wait_until(lambda: state(first.pid) == state(second.pid) == "S", what="both wait, and none in D")
        assert [finish(p).returncode for p in (first, second)] == [0, 0]
    assert slow.document("sessions", DAY)["attempt"] == 2


def check_others_get_past(m, day):
    where = m / "sessions"
    for command, status in ((f"touch {day}", 0), (f"echo why > {day}", 0), (f"truncate -s 0 {day}", 0),
                            (f"chmod +x {day}", 1), (f"mv {day} new", 1), ("ls -l", 0),
                            (f"cat {day}", 0), (f"tail -n 1 {day}", 0), (f"stat {day}", 0), (f"cp {day} /dev/null", 0)):
        done = shell(where, command)
        assert done.returncode == status, f"{command}: {done.stderr}"


def test_many_wait_for_one(slow, fault):
    with processes() as begin:
        with fault.holding("build"):
            os.utime(slow / "sessions" / DAY)
            waiting = [begin("sync", slow / "sessions" / DAY) for _ in range(20)]
            for process in waiting:
                wait_parked(process)
            waiting[3].kill()
            assert finish(waiting[3]).returncode == -signal.SIGKILL
        assert {finish(p).returncode for n, p in enumerate(waiting) if n != 3} == {0}


def test_what_waits_when_the_mount_goes_is_answered(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, NEVER_ENDS, DAY)
    m = mount(project, "drain=0", now=NOW)
    os.utime(m / "sessions" / DAY)
    with processes() as begin:
        waiting = begin("sync", m / "sessions" / DAY)
        wait_parked(waiting)
        m.terminate()
        done = finish(waiting)
    assert done.returncode == 1 and "sync: error syncing" in done.stderr


def instant(ns):
    """As the documents write it."""
    text = f"{datetime.fromtimestamp(ns // 10**9, timezone.utc):%Y-%m-%dT%H:%M:%S}"
    fraction = ns // 1000 % 10**6
    return text + (f".{fraction:06}Z" if fraction else "Z")


def one_round(path, attempt):
    """What fsync, stat and read say after a build, in one process."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    stat, text = os.stat(path), path.read_text()
    d = json.loads(text)
    assert (d["state"], d["attempt"]) == ("done", attempt), "stale"
    assert len(text) == stat.st_size and text.endswith("\n"), "cut"
    assert d["finished_at"] == instant(stat.st_mtime_ns), "a stale mtime"


def test_nothing_stale_and_nothing_cut_under_listings(project, warehouse, mount, tmp_path):
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, now=NOW)
    path = m / "sessions" / DAY
    stop = tmp_path / "stop"
    loops = [subprocess.Popen(["sh", "-c", f"while [ ! -e {stop} ]; do ls -l {m / 'sessions'} > /dev/null; done"],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        for attempt in range(1, ROUNDS + 1):
            os.utime(path)
            one_round(path, attempt)
    finally:
        stop.touch()
        for loop in loops:
            loop.wait()
    assert built(warehouse, "sessions") == {DAY: ROUNDS}


PARKED = {
    "SETATTR": ["touch", "-c"],
    "WRITE": ["sh", "-c", "echo why >> $0"],
    "OPEN": ["sh", "-c", ": > $0"],
    "truncate": ["truncate", "-c", "-s", "0"],
}


@pytest.mark.parametrize("kind", PARKED)
def test_a_parked_request_keeps_nobody_waiting(slow, warehouse, fault, kind):
    """The store does not answer: what came first waits, and what else comes neither waits in D nor forever."""
    path = slow / "sessions" / DAY
    slow.ls("sessions")
    with processes() as begin:
        with fault.holding("request"):
            parked = [begin(*command, path) for command in (PARKED[kind], ["touch", "-c"])]
            for process in parked:
                wait_parked(process)
            wait_until(lambda: {state(p.pid) for p in parked} == {"S"}, what="both wait, and none in D")
            for command, status in ((f"chmod +x {DAY}", 1), (f"rm -f {DAY}", 1), ("ls -l", 0), (f"cat {DAY}", 0),
                                    (f"stat {DAY}", 0), (f"touch -d 2020-01-01 {DAY}", 1), (f"sync {OTHER}", 1)):
                done = shell(slow / "sessions", command)
                assert done.returncode == status, f"{command}: {done.stderr}"
            for process in parked:
                process.kill()
                assert finish(process).returncode == -signal.SIGKILL
            assert shell(slow, "ls -lR > /dev/null; stat sessions > /dev/null").returncode == 0
        # What was parked was on its way: it may be recorded, and runs then.
        slow.build("sessions", DAY)
        wait_until(lambda: slow.states("sessions")[DAY] == "done", what=f"{DAY} is done")
    assert asked_for(warehouse)[DAY] in (1, 2, 3) and set(asked_for(warehouse)) == {DAY}
    check_rows(warehouse, "sessions")


def test_an_interrupted_touch_ends(slow, warehouse, fault):
    with processes() as begin:
        with fault.holding("request"):
            process = begin("touch", "-c", slow / "sessions" / DAY)
            wait_until(lambda: waits_for_fuse(process.pid), what="touch waits")
            process.send_signal(signal.SIGINT)
            assert finish(process).returncode == -signal.SIGINT
            assert slow.states("sessions")[DAY] == "pending"
        slow.build("sessions", OTHER)


def test_no_answer_within_the_timeout(project, warehouse, mount, fault_binary, fault):
    add_troubled(project)
    m = mount(project, "timeout=1", now=NOW, binary=fault_binary, env=fault.env())
    with fault.holding("request"):
        for command in (f"touch -c {DAY}", f"echo x | tee -a {DAY}", f"truncate -s 0 {DAY}"):
            done = shell(m / "sessions", f"exec 2>&1; {command}")
            assert done.returncode and "timed out" in done.stdout, (command, done.stdout)
    m.build("sessions", DAY)
    check_rows(warehouse, "sessions")


def test_no_warehouse_no_request(slow, warehouse, fault):
    for name in ("EHOSTUNREACH", "ECONNREFUSED"):
        fault.set(f"request:error={name}")
        assert errno_of(os.utime, slow / "sessions" / DAY) == getattr(errno, name)
        assert slow.document("sessions", DAY)["last_refusal"]["errno"] == name
    fault.clear()
    assert asked_for(warehouse) == {} and slow.states("sessions")[DAY] == "pending"
    slow.build("sessions", DAY)


def test_what_fails_in_passing_is_tried_again(slow, warehouse, fault):
    fault.set("build:error=40001*2")
    slow.build("sessions", DAY)
    d = slow.document("sessions", DAY)
    assert (d["state"], d["attempt"]) == ("done", 3)
    fault.set("build:error=40001")
    assert errno_of(slow.build, "sessions", OTHER) == errno.EIO
    failed = slow.document("sessions", OTHER)
    assert (failed["state"], failed["error"]["sqlstate"], failed["attempt"]) == ("failed", "40001", 6)


def test_sync_option_waits_and_can_be_ended(project, warehouse, mount, fault_binary, fault):
    add_troubled(project)
    m = mount(project, "sync", "timeout=3600", now=NOW, binary=fault_binary, env=fault.env())
    with processes() as begin:
        with fault.holding("build"):
            waiting = [begin("touch", m / "sessions" / DAY), begin("sh", "-c", f"echo why > {m / 'sessions' / OTHER}")]
            for process in waiting:
                wait_parked(process)
            wait_until(lambda: m.states("sessions")[DAY] in ("queued", "running"), what="it was recorded")
            assert shell(m, f"ls -l sessions; chmod 0 sessions/{DAY}; mv sessions/{DAY} sessions/x").returncode == 1
            waiting[1].send_signal(signal.SIGINT)
            assert finish(waiting[1]).returncode == -signal.SIGINT
        assert finish(waiting[0]).returncode == 0
        assert m.states("sessions")[DAY] == "done"
    wait_until(lambda: m.states("sessions")[OTHER] == "done", what="what was recorded is built")
    assert asked_for(warehouse) == {DAY: 1, OTHER: 1}
    assert run("ls", m / "sessions").returncode == 0
