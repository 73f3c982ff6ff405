# SPDX-License-Identifier: Apache-2.0
"""rm cancels what is queued or running."""
import errno
import json
import os

import pytest

from lib.command import errno_of, finish, parked_sync, shell, start, wait_parked
from lib.trouble import FINE, NEVER_ENDS, add_troubled, set_days
from lib.truth import built, check_rows
from lib.wait import wait_until

NOW = "2024-09-07T12:00:00"
RANGE = "2024-09-01--2024-09-05"
DAYS = [f"2024-09-0{d}" for d in range(1, 5)]


@pytest.fixture
def m(project, warehouse, mount, fault_binary, fault):
    add_troubled(project)
    return mount(project, "timeout=3600", "jobs=1", now=NOW, binary=fault_binary, env=fault.env())


def states(m):
    return {day: state for day, state in m.states("sessions").items() if day in DAYS}


def is_pending(m, *days):
    wait_until(lambda: all(states(m)[d] == "pending" for d in days), what=f"{days} are cancelled")


def test_nothing_to_cancel(m, warehouse):
    m.build("sessions", DAYS[0])
    assert errno_of(os.unlink, m / "sessions" / DAYS[1]) == errno.EPERM
    assert "nothing to cancel" in m.document("sessions", DAYS[1])["last_refusal"]["message"]
    for name in (DAYS[0], f"{DAYS[1]}.pending", "2024-09", RANGE, ".pending", "2024.done", ".model", ".status",
                 ".run", f"{DAYS[0]}.sql", "2024.progress"):
        assert errno_of(os.unlink, m / "sessions" / name) == errno.EPERM, name
    for name in (f"{DAYS[1]}.queued", f"{DAYS[1]}.failed", "new", "2030-01-01"):
        assert errno_of(os.unlink, m / "sessions" / name) == errno.ENOENT, name
    assert errno_of(os.unlink, m / "sessions" / "2024-09--2024-08") == errno.EINVAL
    assert errno_of(os.unlink, m / ".status") == errno.EPERM
    for name in (".queued", ".running", "2024-09.queued", "2019.failed", ".failed"):
        os.unlink(m / "sessions" / name)
    assert built(warehouse, "sessions") == {DAYS[0]: 1}


@pytest.mark.parametrize("name", [DAYS[3], f"{DAYS[3]}.queued"])
def test_a_queued_batch(m, warehouse, fault, name):
    with fault.holding("claim"):
        os.utime(m / "sessions" / RANGE)
        path = m / "sessions" / DAYS[3]
        waiting = parked_sync(path)
        assert shell(m / "sessions", f"rm {name}").returncode == 0
    done = finish(waiting)
    assert done.returncode == 1 and "canceled" in done.stderr
    m.sync("sessions", RANGE)
    assert built(warehouse, "sessions") == {d: 1 for d in DAYS[:3]}
    assert states(m)[DAYS[3]] == "pending"
    # It is there as before, by its right name, and can be asked for again.
    assert os.path.exists(m / "sessions" / f"{DAYS[3]}.pending")
    m.build("sessions", DAYS[3])
    assert states(m)[DAYS[3]] == "done" and os.path.exists(m / "sessions" / DAYS[3])


@pytest.mark.parametrize("name", [DAYS[3], RANGE, ".queued"])
def test_who_comes_after_the_rm_is_told_the_state(m, fault, name):
    with fault.holding("claim"):
        os.utime(m / "sessions" / RANGE)
        os.unlink(m / "sessions" / name)
        waiting = start("sync", m / "sessions" / DAYS[3])
    done = finish(waiting)
    assert done.returncode == 1 and "No data available" in done.stderr


def test_a_freeze_after_an_rm_cancels_for_who_came_between(m, fault):
    path = m / "sessions" / DAYS[3]
    with fault.holding("build"):
        os.utime(m / "sessions" / DAYS[0])
        wait_until(lambda: states(m)[DAYS[0]] == "running", what="it runs")
        os.utime(path)
        os.unlink(path)
        is_pending(m, DAYS[3])
        os.utime(path)
        waiting = parked_sync(path)
        os.chmod(path, 0o444)
        done = finish(waiting)
    assert done.returncode == 1 and "canceled" in done.stderr


@pytest.mark.parametrize("name", ["2024-09", "2024-09-02--2024-09-05", ".queued", "2024.queued"])
def test_many(m, warehouse, fault, name):
    with fault.holding("build"):
        os.utime(m / "sessions" / DAYS[0])
        wait_until(lambda: states(m)[DAYS[0]] == "running", what="it runs")
        os.utime(m / "sessions" / "2024-09-02--2024-09-05")
        path = m / "sessions" / "2024-09-02--2024-09-05"
        waiting = parked_sync(path)
        assert shell(m / "sessions", f"rm {name} && ls -l > /dev/null").returncode == 0
        is_pending(m, *DAYS[1:])
        assert finish(waiting).returncode == 1
        assert os.path.exists(m / "sessions" / name)
    wait_until(lambda: states(m)[DAYS[0]] in ("done", "pending"), what="what ran has ended")
    assert set(built(warehouse, "sessions")) <= {DAYS[0]}


@pytest.mark.parametrize("name", [DAYS[1], f"{DAYS[1]}.running", "2024-09", ".running"])
def test_a_running_batch(project, warehouse, mount, name):
    add_troubled(project)
    set_days(warehouse, NEVER_ENDS, DAYS[1])
    m = mount(project, "drain=0", "jobs=1", now=NOW)
    m.build("sessions", DAYS[0])
    os.utime(m / "sessions" / DAYS[1])
    wait_until(lambda: states(m)[DAYS[1]] == "running", what="it runs")
    path = m / "sessions" / DAYS[1]
    waiting = parked_sync(path)
    os.unlink(m / "sessions" / name)
    done = finish(waiting)
    assert done.returncode == 1 and "canceled" in done.stderr
    assert states(m)[DAYS[1]] == "pending" and states(m)[DAYS[0]] == "done"
    set_days(warehouse, FINE, DAYS[1])
    m.build("sessions", DAYS[1])
    check_rows(warehouse, "sessions")


def test_rm_of_the_others(m, fault):
    with fault.holding("build"):
        os.utime(m / "sessions" / RANGE)
        wait_until(lambda: states(m)[DAYS[0]] == "running", what="the first is held")
        waiting = parked_sync(m / "sessions" / DAYS[0])
        os.unlink(m / "sessions" / ".queued")
        is_pending(m, *DAYS[1:])
    assert finish(waiting).returncode == 0
    assert states(m)[DAYS[0]] == "done"


def test_what_runs_is_waited_for_whatever_is_taken_out_of_the_queue(m, fault):
    with fault.holding("build"):
        os.utime(m / "sessions" / RANGE)
        wait_until(lambda: states(m)[DAYS[0]] == "running", what="the first is held")
        waiting = parked_sync(m / "sessions" / ".running")
        os.unlink(m / "sessions" / ".queued")
        # As soon as rm has returned.
        assert [states(m)[day] for day in DAYS[1:]] == ["pending"] * len(DAYS[1:])
    assert finish(waiting).returncode == 0
    assert states(m)[DAYS[0]] == "done"


def test_rm_inside_a_range_that_is_waited_for(m, warehouse, fault):
    with fault.holding("build"):
        os.utime(m / "sessions" / RANGE)
        wait_until(lambda: states(m)[DAYS[0]] == "running", what="the first is held")
        waiting, later = (parked_sync(m / "sessions" / name) for name in (RANGE, DAYS[3]))
        os.unlink(m / "sessions" / DAYS[3])
        # There is nothing to cancel: who was told of the first rm is still to be told of it.
        assert errno_of(os.unlink, m / "sessions" / "2024-09-04--2024-09-06.failed") == 0
        assert errno_of(os.unlink, m / "sessions" / "2024-09-05") == errno.EPERM
        assert "canceled" in finish(later).stderr
        # The others are still queued, and so he waits.
        wait_parked(waiting)
        assert states(m)[DAYS[1]] == "queued"
    done = finish(waiting)
    assert done.returncode == 1 and "canceled" in done.stderr
    assert states(m) == {**dict.fromkeys(DAYS[:3], "done"), DAYS[3]: "pending"}


def test_who_asks_after_the_cancel_gets_it_built(m, warehouse, fault):
    m.build("sessions", RANGE)
    with fault.holding("build"):
        os.utime(m / "sessions" / RANGE)
        wait_until(lambda: states(m)[DAYS[0]] == "running", what="the first of the run is held")
        os.unlink(m / "sessions" / DAYS[2])
        os.utime(m / "sessions" / DAYS[2])
        # Long enough for the cancel to reach what was claimed before it.
        fault.set("build:delay=500")
        m.sync("sessions", RANGE)
    assert states(m) == dict.fromkeys(DAYS, "done")
    # A cancel may come too late for what had been claimed: then it is built twice, never not at all.
    assert built(warehouse, "sessions")[DAYS[2]] >= 2


def test_o_sync(project, warehouse, mount, fault_binary, fault):
    add_troubled(project)
    m = mount(project, "timeout=3600", "sync", now=NOW, binary=fault_binary, env=fault.env())
    with fault.holding("claim"):
        touching = start("touch", m / "sessions" / DAYS[0])
        wait_parked(touching)
        wait_until(lambda: states(m)[DAYS[0]] == "queued", what="it is queued")
        os.unlink(m / "sessions" / DAYS[0])
    done = finish(touching)
    assert done.returncode == 1 and "canceled" in done.stderr
    assert built(warehouse, "sessions") == {}


def test_the_history_says_who_cancelled(project, warehouse, mount):
    """Who asked for a batch and who took it out may be two: in shared use, everybody's first question."""
    add_troubled(project)
    set_days(warehouse, NEVER_ENDS, DAYS[0])
    m = mount(project, "drain=0", "jobs=1", now=NOW)

    def cancelled():
        lines = map(json.loads, (m / "sessions" / ".history").read_text().splitlines())
        return {line["batch"]: line for line in lines if line["outcome"] == "cancelled"}

    os.utime(m / "sessions" / RANGE)
    wait_until(lambda: states(m)[DAYS[0]] == "running", what="it runs")
    assert shell(m / "sessions", f"chmod a-w {DAYS[1]}").returncode == 0
    assert shell(m / "sessions", f"rm 2024-09-03--2024-09-05 && rm {DAYS[0]}").returncode == 0
    wait_until(lambda: len(cancelled()) == 4, what="all are cancelled")
    by = {day: line["cancelled_by"] for day, line in cancelled().items()}
    assert {day: who["uid"] for day, who in by.items()} == dict.fromkeys(DAYS, os.getuid())
    assert by[DAYS[1]]["command"] == "chmod"
    # rm is answered at once, and may have ended before anybody can look what it is called.
    assert {by[day]["command"] for day in (DAYS[0], DAYS[2], DAYS[3])} <= {"rm", None}
    assert cancelled()[DAYS[0]]["command"] not in ("rm", "chmod")
    set_days(warehouse, FINE)
    m.build("sessions", DAYS[3])
    assert all(("cancelled_by" in line) == (line["outcome"] == "cancelled")
               for line in map(json.loads, (m / "sessions" / ".history").read_text().splitlines()))
