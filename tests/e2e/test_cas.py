# SPDX-License-Identifier: Apache-2.0
"""Suffixed names as compare-and-swap, and the courtesies that keep `touch $f && sync $f` working."""
import errno
import os

import pytest

from lib.command import errno_of, finish, run, shell, start, wait_parked
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.truth import asked_for, built
from lib.wait import wait_until

NOW = "2024-09-07T12:00:00"
DAYS = [f"2024-09-0{n}" for n in range(1, 7)]
RACERS = 20


@pytest.fixture
def failed(project, warehouse, mount, fault_binary, fault):
    """Six days have failed and would be built now; the mount takes rules of the fault layer."""
    add_troubled(project)
    set_days(warehouse, FAILS, *DAYS)
    m = mount(project, now=NOW, binary=fault_binary, env=fault.env())
    assert errno_of(m.build, "sessions", "2024-09") == errno.EIO
    set_days(warehouse, FINE)
    assert list(m.states("sessions").values()) == ["failed"] * 6 + ["partial"]
    return m


def test_the_second_touch_of_a_failed_name_finds_nothing(failed, warehouse, fault):
    path = failed / "sessions" / f"{DAYS[0]}.failed"
    with fault.holding("build"):
        assert shell(failed, "ls -l sessions").returncode == 0
        os.utime(path)
        assert errno_of(os.utime, path) == errno.ENOENT
        assert errno_of(lambda: open(path, "w")) == errno.ENOENT
        assert errno_of(lambda: os.truncate(path, 0)) == errno.ENOENT
        told = run("touch", path)
        assert told.returncode == 1 and "No such file or directory" in told.stderr
    failed.sync("sessions", DAYS[0])
    assert errno_of(os.utime, path) == errno.ENOENT
    assert asked_for(warehouse)[DAYS[0]] == 2 and built(warehouse, "sessions")[DAYS[0]] == 1


def test_a_descriptor_opened_before_does_not_outlive_the_fact(failed, warehouse):
    path = failed / "sessions" / f"{DAYS[0]}.failed"
    with open(path, "r+b", buffering=0) as f:
        os.utime(path)
        assert errno_of(f.write, b"once more") == errno.ENOENT
        assert errno_of(f.truncate, 0) == errno.ENOENT
    assert asked_for(warehouse)[DAYS[0]] == 2


def race(paths):
    """A process for each path; all touch at once. Their errnos."""
    ready_out, ready_in = os.pipe()
    go_out, go_in = os.pipe()
    pids = []
    for path in paths:
        pid = os.fork()
        if pid == 0:
            try:
                os.close(go_in)
                os.write(ready_in, b".")
                os.read(go_out, 1)
                os._exit(errno_of(os.utime, path))
            finally:
                os._exit(255)
        pids.append(pid)
    seen = 0
    while seen < len(paths):
        seen += len(os.read(ready_out, 100))
    os.close(go_in)
    results = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    for fd in (ready_out, ready_in, go_out):
        os.close(fd)
    return results


def test_of_many_that_race_one_wins(failed, warehouse):
    for day in DAYS[:3]:
        assert shell(failed, "ls -l sessions").returncode == 0
        results = race([failed / "sessions" / f"{day}.failed"] * RACERS)
        assert sorted(results) == [0] + [errno.ENOENT] * (RACERS - 1)
        failed.sync("sessions", day)
        assert asked_for(warehouse)[day] == 2 and built(warehouse, "sessions")[day] == 1


# A SQLite file has one mount.
@pytest.mark.parametrize("engine", ["postgres"])
def test_two_mounts_race_and_one_wins(failed, project, mount, warehouse):
    other = mount(project, now=NOW)
    assert other.states("sessions")[DAYS[0]] == "failed"
    for day in DAYS[:4]:
        results = race([m / "sessions" / f"{day}.failed" for m in (failed, other)] * (RACERS // 2))
        assert sorted(results) == [0] + [errno.ENOENT] * (RACERS - 1)
        assert asked_for(warehouse)[day] == 2
        wait_until(lambda: {m.states("sessions")[day] for m in (failed, other)} == {"done"},
                   what=f"both mounts see {day} done")
        assert built(warehouse, "sessions")[day] == 1


@pytest.mark.parametrize("engine", ["postgres"])
def test_what_was_skipped_comes_back_with_the_winner_only(project, warehouse, mount, fault_binary, fault):
    add_troubled(project)
    project.model("daily", "select id, event_time, val from {sessions}", inputs=["sessions"], lookback=0)
    set_days(warehouse, FAILS, DAYS[0])
    late = mount(project, now=NOW, binary=fault_binary, env=fault.env())
    with fault.holding("build"):
        assert shell(late, "touch sessions/2024-09 daily/2024-09").returncode == 0
    assert errno_of(late.sync, "daily", "2024-09") == errno.EIO
    early = mount(project, now=NOW)
    assert early.states("sessions")[DAYS[0]] == late.states("sessions")[DAYS[0]] == "failed"
    assert early.states("daily")[DAYS[0]] == late.states("daily")[DAYS[0]] == "skipped"
    set_days(warehouse, FINE)
    with fault.holding("request"):
        loser = start("touch", late / "sessions" / f"{DAYS[0]}.failed")
        wait_parked(loser)
        assert shell(early, f"touch sessions/{DAYS[0]}.failed && sync daily/{DAYS[0]}").returncode == 0
        assert built(warehouse, "daily")[DAYS[0]] == 1
    done = finish(loser)
    assert done.returncode == 1 and os.strerror(errno.ENOENT) in done.stderr
    assert asked_for(warehouse)[DAYS[0]] == 4


def test_touch_and_sync_each(failed, warehouse):
    done = shell(failed, "cd sessions; for f in *.failed; do touch $f && sync $f && echo $f || exit 1; done")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [f"{day}.failed" for day in DAYS]
    assert [built(warehouse, "sessions")[day] for day in DAYS] == [1] * 6


def test_names_go_on_resolving_where_batches_settle_far_apart(failed, warehouse, fault):
    """All are asked for; some have settled long before the last is begun."""
    names = [f"{day}.failed" for day in DAYS]
    first, last = names[:3], names[3:]
    done = shell(failed / "sessions", "touch " + " ".join(first) + " && sync " + " ".join(first))
    assert (done.returncode, done.stderr) == (0, "")
    with fault.holding("build"):
        assert shell(failed / "sessions", "touch " + " ".join(last)).returncode == 0
        assert [n for n in failed.ls("sessions") if n.endswith(".failed")] == []
        # For stat, cat and sync they resolve, whatever has become of the batch; for touch they do not.
        for name in names:
            assert (failed / "sessions" / name).exists()
            assert failed.document("sessions", name)["batch"] == name[:10]
            assert errno_of(os.utime, failed / "sessions" / name) == errno.ENOENT
        failed.sync("sessions", first[0])
    for name in names:
        failed.sync("sessions", name)
    assert shell(failed / "sessions", "cat " + " ".join(names)).stdout.count('"state": "done"') == 6
    assert [asked_for(warehouse)[day] for day in DAYS] == [2] * 6


def test_a_name_that_nothing_was_asked_by_is_no_courtesy(failed):
    os.utime(failed / "sessions" / DAYS[0])
    failed.sync("sessions", DAYS[0])
    assert not (failed / "sessions" / f"{DAYS[0]}.failed").exists()
    assert not (failed / "sessions" / f"{DAYS[0]}.pending").exists()


def test_queued_and_running_names_after_settling(failed, fault):
    sessions = failed / "sessions"
    with fault.holding("build"):
        os.utime(sessions / "2024-09-01--2024-09-06")
        states = wait_until(lambda: (s := failed.states("sessions")) and "running" in s.values() and s,
                            what="a batch runs")
        running = next(d for d in DAYS if states[d] == "running")
        queued = next(d for d in reversed(DAYS[:5]) if states[d] == "queued")
        names = [f"{running}.running", f"{queued}.queued"]
        assert [errno_of(os.stat, sessions / n) for n in names] == [0, 0]
        assert failed.document("sessions", names[0])["state"] == "running"
        # A touch by these names is a compare-and-swap too.
        os.utime(sessions / names[0])
        assert failed.document("sessions", running)["requested_again"] is True
    failed.sync("sessions", "2024-09-01--2024-09-06")
    assert failed.states("sessions")[running] == failed.states("sessions")[queued] == "done"
    for name in names:
        failed.sync("sessions", name)
        assert failed.document("sessions", name)["state"] == "done"
        assert errno_of(os.utime, sessions / name) == errno.ENOENT
    assert failed.document("sessions", running)["attempt"] == 3


def test_a_touch_that_is_not_accepted_leaves_no_name(failed, fault):
    fault.set("request:error=EHOSTUNREACH")
    assert errno_of(os.utime, failed / "sessions" / f"{DAYS[0]}.failed") == errno.EHOSTUNREACH
    fault.clear()
    assert failed.states("sessions")[DAYS[0]] == "failed"
    os.utime(failed / "sessions" / DAYS[0])
    failed.sync("sessions", DAYS[0])
    assert not (failed / "sessions" / f"{DAYS[0]}.failed").exists()
