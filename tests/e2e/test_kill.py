# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed, or told to end: nothing that was acknowledged is lost, nothing is done twice."""
import os
import random
import signal
import subprocess
from datetime import date, timedelta
from threading import Event

import pytest

from lib.events import add_sessions, make_events
from lib.hold import add_held, make_hold
from lib.mount import is_mounted
from lib.truth import asked_for, built, check_rows, requests
from lib.wait import wait_until

NOW = "2024-09-06T12:00:00"
DAYS = [f"2024-09-0{day}" for day in range(1, 7)]


@pytest.fixture
def hold(project, warehouse):
    make_events(warehouse)
    hold = make_hold(warehouse)
    add_held(project, hold)
    return hold


def count(mount, state):
    return list(mount.states("sessions").values()).count(state)


def wait_running(mount, n=1):
    wait_until(lambda: count(mount, "running") == n, what=f"{n} batches run")


def test_kill_with_running_and_queued_batches(project, warehouse, hold, mount):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    hold.close()
    for name in ("2024-09-01--2024-09-04", "2024-09-04", "2024-09-05--2024-09-07"):
        os.utime(m / "sessions" / name)
    wait_running(m, 2 if warehouse.engine == "postgres" else 1)
    m.kill()
    hold.open()
    again = mount(project, now=NOW, at=m.path)
    again.sync("sessions", "2024")
    states = again.states("sessions")
    assert states.pop("2024-09-06") == "partial" and set(states.values()) == {"done"}
    assert built(warehouse, "sessions") == asked_for(warehouse)
    assert check_rows(warehouse, "sessions") == {day: 4 for day in DAYS}


def test_kill_after_acknowledged_touches(project, warehouse, mount, tmp_path):
    """A day is asked for once; wherever the daemon is killed after that, it is built, and built once."""
    seed = int(os.environ.get("BATCHFS_SEED") or random.randrange(1 << 32))
    print(f"BATCHFS_SEED={seed}")
    dice = random.Random(seed)
    make_events(warehouse, first="2024-01-01", days=220, a_day=1)
    add_sessions(project, begin="2024-01-01")
    day, touched = date(2024, 1, 1), []
    for moment in range(50):
        m = mount(project, now="2024-08-07", at=tmp_path / "mnt")
        # A batch that is interrupted a fourth time fails, as it should; here it must not come to that.
        if moment % 3 == 2:
            m.sync("sessions", "2024")
        for _ in range(dice.randint(1, 4)):
            os.utime(m / "sessions" / f"{day}")
            touched.append(f"{day}")
            day += timedelta(days=1)
        Event().wait(dice.choice((0, 0.03)) * dice.random())
        m.kill()
    m = mount(project, now="2024-08-07", at=tmp_path / "mnt")
    m.sync("sessions", "2024")
    assert [first for first, _ in requests(warehouse)] == touched
    assert {batch for batch, state in m.states("sessions").items() if state == "done"} == set(touched)
    assert built(warehouse, "sessions") == dict.fromkeys(touched, 1)
    assert check_rows(warehouse, "sessions") == dict.fromkeys(touched, 1)


@pytest.mark.parametrize("name", ["2024-09-02", "2024-09-02--2024-09-05"])
def test_what_history_calls_cancelled_stays_so(project, warehouse, mount, fault_binary, fault, name):
    """A cancel is only handed over when rm returns; with its line it is recorded."""
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    m.build("sessions", "2024")
    with fault.holding("build"):
        os.utime(m / "sessions" / "2024-09-06")
        wait_running(m)
        os.utime(m / "sessions" / name)
        os.unlink(m / "sessions" / name)
        wait_until(lambda: '"cancelled"' in (m / "sessions" / ".history").read_text(), what="it is recorded")
        m.kill()
    again = mount(project, now=NOW, at=m.path)
    again.sync("sessions", "2024")
    assert built(warehouse, "sessions") == {**dict.fromkeys(DAYS, 1), "2024-09-06": 2}


def test_what_the_drain_interrupts_is_queued_again(project, warehouse, hold, mount):
    m = mount(project, "drain=1", now=NOW)
    m.build("sessions", "2024-09-01")
    hold.close()
    os.utime(m / "sessions" / "2024-09-01--2024-09-05")
    wait_running(m, 2 if warehouse.engine == "postgres" else 1)
    m.terminate()
    assert check_rows(warehouse, "sessions") == {"2024-09-01": 4}
    looking = mount(project, "ro", now=NOW, at=m.path)
    assert looking.states("sessions") == {**dict.fromkeys(DAYS[:4], "queued"), **dict.fromkeys(DAYS[4:], "pending")}
    looking.unmount()
    hold.open()
    again = mount(project, now=NOW, at=m.path)
    again.sync("sessions", "2024")
    assert again.states("sessions") == {**dict.fromkeys(DAYS[:4], "done"), **dict.fromkeys(DAYS[4:], "pending")}
    assert built(warehouse, "sessions") == asked_for(warehouse)
    assert check_rows(warehouse, "sessions") == {day: 4 for day in DAYS[:4]}


@pytest.mark.parametrize("engine", ["postgres"])
def test_what_runs_may_finish(project, warehouse, hold, mount):
    m = mount(project, "jobs=1", "drain=600", now=NOW)
    hold.close()
    os.utime(m / "sessions" / "2024-09-01--2024-09-04")
    wait_running(m)
    m.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "running batches may finish" in m.log_text(), what="the drain has begun")
    hold.open()
    assert m.wait_exit() == 0 and not is_mounted(m.path)
    assert check_rows(warehouse, "sessions") == {"2024-09-01": 4}
    looking = mount(project, "ro", now=NOW, at=m.path)
    assert looking.states("sessions") == {"2024-09-01": "done", **dict.fromkeys(DAYS[1:3], "queued"),
                                          **dict.fromkeys(DAYS[3:], "pending")}


@pytest.mark.parametrize("engine", ["postgres"])
def test_who_drains_answers_for_no_other_mount(project, binary, hold, mount):
    """The kernel gives the device number of an unmounted file system to the next one."""
    m = mount(project, "jobs=1", "drain=600", now=NOW)
    hold.close()
    os.utime(m / "sessions" / "2024-09-01")
    wait_running(m)
    subprocess.run(["fusermount3", "-u", str(m.path)], check=True)
    wait_until(lambda: "running batches may finish" in m.log_text(), what="the drain has begun")
    other = mount(project, now=NOW)
    refused = subprocess.run([binary, project.target, other.path], env=other.env, capture_output=True, text=True)
    assert f"process {other.pid}:" in refused.stderr
    hold.open()
    assert m.wait_exit() == 0


@pytest.mark.parametrize("engine", ["postgres"])
@pytest.mark.parametrize("busy", [False, True])
def test_sigterm_while_the_server_is_frozen(project, warehouse, pg, hold, mount, busy):
    m = mount(project, "drain=1", "timeout=1", now=NOW)
    if busy:
        hold.close()
        os.utime(m / "sessions" / "2024-09-01--2024-09-04")
        wait_running(m, 2)
    pg.sigstop()
    try:
        m.terminate()
    finally:
        pg.sigcont()
    hold.open()
    again = mount(project, now=NOW, at=m.path)
    again.build("sessions", "2024-09-04")
    again.sync("sessions", "2024")
    assert built(warehouse, "sessions") == asked_for(warehouse)
    assert check_rows(warehouse, "sessions") == {day: 4 for day in (DAYS[:4] if busy else ["2024-09-04"])}
