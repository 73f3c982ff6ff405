# SPDX-License-Identifier: Apache-2.0
"""Sets of states: a period, a range or the whole directory, and a state."""
import errno
import os

import pytest

from lib.command import errno_of, finish, shell, start, wait_parked
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.truth import asked_for, built, check_rows

NOW = "2024-09-07T12:00:00"


@pytest.fixture
def m(project, warehouse, mount, fault_binary, fault):
    add_troubled(project)
    return mount(project, "timeout=3600", now=NOW, binary=fault_binary, env=fault.env())


def test_sets_always_resolve_and_are_not_listed(m, warehouse):
    sets = [f"{of}.{state}" for of in ("", "2024", "2024-09", "1999", "2024-09-01--2024-09-03", "2025-01--2025-02")
            for state in ("failed", "pending", "queued", "running", "skipped", "partial", "stale", "done")]
    assert {name: os.stat(m / "sessions" / name).st_mode & 0o777 for name in sets} == dict.fromkeys(sets, 0o644)
    assert not set(sets) & set(os.listdir(m / "sessions"))
    for name in (".new", "2024.new", "2024.failed.sql", "2024-09-01.done", "2024.failed.failed", "2024-09-01--.failed"):
        assert errno_of(os.stat, m / "sessions" / name) == errno.ENOENT, name
    assert errno_of(os.stat, m / "sessions" / "2024-09--2024-08.failed") == errno.EINVAL
    # A batch's name with a state stays what it is.
    assert errno_of(os.stat, m / "sessions" / "2024-09-01.failed") == errno.ENOENT
    assert asked_for(warehouse) == {}


def test_an_empty_set_is_a_success(m, warehouse):
    for command in ("touch {f}", ": > {f}", "echo why > {f}", "truncate -s 0 {f}", "sync {f}", "cat {f}", "rm {f}",
                    "touch {f} && sync {f}"):
        for f in (".failed", "2024-09.failed", "1999.failed", ".queued"):
            done = shell(m / "sessions", command.format(f=f))
            assert (done.returncode, done.stderr) == (0, ""), (command, f)
    assert asked_for(warehouse) == {}
    assert m.document("sessions", ".failed")["batches"] == 0
    assert m.document("sessions", "2024-09.pending")["batches"] == 7
    assert m.document("sessions", "2024-09.pending")["would_build"]["why"] == {"requested": 7}


def test_failures_are_asked_for_again(m, warehouse):
    set_days(warehouse, FAILS, "2024-09-02", "2024-09-04")
    assert errno_of(m.build, "sessions", "2024-09-01--2024-09-06") == errno.EIO
    before = built(warehouse, "sessions")
    assert m.document("sessions", ".failed")["states"]["failed"] == 2
    assert [errno_of(m.sync, "sessions", n) for n in (".failed", "2024-09.failed", "2024-09-01.failed--x")][:2] == [
        errno.EIO] * 2
    set_days(warehouse, FINE, "2024-09-02", "2024-09-04")
    assert shell(m / "sessions", "echo INC-4711 > 2024-09.failed && sync 2024-09.failed").returncode == 0
    assert built(warehouse, "sessions") - before == {"2024-09-02": 1, "2024-09-04": 1}
    assert m.document("sessions", "2024-09-04")["reason"] == "INC-4711"
    assert m.document("sessions", "2024-09-01")["attempt"] == 1
    check_rows(warehouse, "sessions")


def test_sync_of_a_set_tells_of_what_failed_meanwhile(m, warehouse, fault):
    set_days(warehouse, FAILS, "2024-09-02")
    with fault.holding("build"):
        os.utime(m / "sessions" / "2024-09-01--2024-09-04.pending")
        waiting = start("sync", m / "sessions" / "2024-09-01--2024-09-04.queued")
        other = start("sync", m / "sessions" / "2024-08.queued")
        wait_parked(waiting)
        assert finish(other).returncode == 0
        # In one document: between two of them a queued batch may have begun.
        states = m.document("sessions", "2024-09")["states"]
        assert states["queued"] + states["running"] == 3
    done = finish(waiting)
    assert done.returncode == 1 and "Input/output error" in done.stderr
    # Nobody was waiting any more: what is queued has not failed.
    assert errno_of(m.sync, "sessions", ".queued") == 0
    assert errno_of(m.sync, "sessions", ".pending") == errno.ENODATA
    assert errno_of(m.sync, "sessions", "2024-09-01--2024-09-04.pending") == 0


def test_pending_is_built_in_one_go(m, warehouse):
    m.build("sessions", "2024-09-03")
    m.build("sessions", "2024-09-01--2024-09-06.pending")
    assert built(warehouse, "sessions") == {f"2024-09-0{d}": 1 for d in range(1, 6)}
    assert {n: m.states("sessions")[n] for n in ("2024-09-03", "2024-09-06")} == {
        "2024-09-03": "done", "2024-09-06": "pending"}


def test_o_sync(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, FAILS, "2024-09-02")
    m = mount(project, "sync", now=NOW)
    assert errno_of(os.utime, m / "sessions" / "2024-09-01--2024-09-03.pending") == errno.EIO
    assert errno_of(os.utime, m / "sessions" / ".failed") == errno.EIO
    set_days(warehouse, FINE, "2024-09-02")
    os.utime(m / "sessions" / ".failed")
    assert m.states("sessions")["2024-09-02"] == "done"


def test_read_only(project, mount):
    add_troubled(project)
    m = mount(project, "ro", now=NOW)
    done = shell(m / "sessions", "touch .failed; rm .queued; touch .run; cat .failed .run > /dev/null")
    assert done.stderr.count("Read-only file system") == 3
    assert os.stat(m / "sessions" / ".pending").st_mode & 0o777 == 0o444
