# SPDX-License-Identifier: Apache-2.0
"""The server stops answering, is not there, or loses its power."""
import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from lib.events import add_sessions, make_events
from lib.hold import add_held, make_hold
from lib.mount import is_mounted
from lib.truth import asked_for, built, check_rows, requests
from lib.wait import LIMIT, wait_until

NOW = "2024-09-06T12:00:00"
WAREHOUSE = 4
AWAY = (errno.ECONNREFUSED, errno.EHOSTUNREACH)


@pytest.fixture
def engine():
    return "postgres"


@contextlib.contextmanager
def frozen(pg):
    pg.sigstop()
    try:
        yield
    finally:
        pg.sigcont()


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=LIMIT, env={**os.environ, "LC_ALL": "C"})


def warehouse_says(mount):
    return mount.document(".status")["mount"]["warehouse"]


def wait_connected(mount):
    wait_until(lambda: warehouse_says(mount) == "connected", what="the warehouse answers again")


def running(mount):
    return [batch for batch, state in mount.states("sessions").items() if state == "running"]


def touch_refused(path):
    with pytest.raises(OSError) as refused:
        os.utime(path)
    return refused.value.errno


def is_in_utimens(pid):
    """Whether the process waits inside of the call that touch makes."""
    with open(f"/proc/{pid}/syscall", encoding="utf-8") as f:
        return f.read().split()[0] in ("280", "88")


@pytest.fixture
def held(project, warehouse):
    make_events(warehouse)
    hold = make_hold(warehouse)
    add_held(project, hold)
    return hold


def test_frozen_server(project, warehouse, pg, held, mount):
    m = mount(project, "timeout=1", now=NOW)
    m.build("sessions", "2024-09-01")
    held.close()
    os.utime(m / "sessions" / "2024-09-02--2024-09-04")
    wait_until(lambda: running(m), what="a batch runs")
    with frozen(pg):
        listed = run("ls", "-lR", m.path)
        assert listed.returncode == 0 and "2024-09-05.pending" in listed.stdout, listed.stderr
        for name in ("2024-09-01", "2024-09-02", "2024-09-05.pending", "2024-09", ".status", ".model",
                     "2024-09-05.sql"):
            assert run("stat", m / "sessions" / name).returncode == 0, name
            shown = run("cat", m / "sessions" / name)
            assert shown.returncode == 0 and shown.stdout, (name, shown.stderr)
        touched = run("touch", m / "sessions" / "2024-09-05")
        assert touched.returncode == 1 and os.strerror(errno.ETIMEDOUT) in touched.stderr, touched
        assert touch_refused(m / "sessions" / "2024-09-06") in (errno.ETIMEDOUT, *AWAY)
        wait_until(lambda: warehouse_says(m) != "connected", what="the mount has noticed")
        assert run("ls", "-lR", m.path).returncode == 0
    held.open()
    wait_connected(m)
    m.sync("sessions", "2024-09-01--2024-09-04")
    wait_until(lambda: {"queued", "running"}.isdisjoint(m.states("sessions").values()), what="all has settled")
    assert {"2024-09-01", "2024-09-02", "2024-09-03"} <= asked_for(warehouse).keys()
    assert built(warehouse, "sessions") == asked_for(warehouse)
    assert set(check_rows(warehouse, "sessions").values()) == {4}


def test_ctrl_c_ends_a_touch_that_waits(project, warehouse, pg, held, mount):
    m = mount(project, "timeout=600", now=NOW)
    with frozen(pg):
        with subprocess.Popen(["touch", m / "sessions" / "2024-09-01"]) as touch:
            wait_until(lambda: is_in_utimens(touch.pid), what="touch waits")
            touch.send_signal(signal.SIGINT)
            assert touch.wait(LIMIT) == -signal.SIGINT
        assert run("ls", "-l", m / "sessions").returncode == 0
        assert run("cat", m / "sessions" / "2024-09-01").returncode == 0
    # The server has what was sent: it may be recorded, and is then built once.
    m.build("sessions", "2024-09-02")
    wait_until(lambda: {"queued", "running"}.isdisjoint(m.states("sessions").values()), what="all has settled")
    assert built(warehouse, "sessions") == asked_for(warehouse)
    assert set(check_rows(warehouse, "sessions").values()) == {4}


@pytest.mark.parametrize("how", ["down", "frozen"])
def test_no_server_when_mounting(project, pg, mount, how):
    add_sessions(project)
    m = mount(project, "timeout=1", start=False)
    with contextlib.ExitStack() as later:
        if how == "down":
            pg.stop()
            later.callback(pg.start)
        else:
            later.enter_context(frozen(pg))
        m.start(wait=False)
        assert m.wait_exit() == WAREHOUSE
    assert "psql service=warehouse" in m.log_text() and not is_mounted(m.path)
    assert ("cannot be reached" if how == "down" else "does not answer") in m.log_text()


def test_server_goes_and_comes_back(project, warehouse, pg, held, mount):
    m = mount(project, "timeout=2", now=NOW)
    m.build("sessions", "2024-09-01")
    pg.stop()
    try:
        wait_until(lambda: warehouse_says(m) != "connected", what="the mount has noticed")
        assert touch_refused(m / "sessions" / "2024-09-02") in AWAY
        document = m.document("sessions", "2024-09-02")
        assert document["state"] == "pending" and document["last_refusal"]["errno"] in ("ECONNREFUSED", "EHOSTUNREACH")
        assert document["last_refusal"]["message"]
        assert m.document("sessions", "2024-09-01")["state"] == "done"
    finally:
        pg.start()
    wait_connected(m)
    assert requests(warehouse) == [("2024-09-01", "2024-09-02")]
    m.build("sessions", "2024-09-03")
    assert m.states("sessions") == {"2024-09-01": "done", "2024-09-02": "pending", "2024-09-03": "done",
                                    "2024-09-04": "pending", "2024-09-05": "pending", "2024-09-06": "pending"}
    assert check_rows(warehouse, "sessions") == {"2024-09-01": 4, "2024-09-03": 4}


def test_power_loss(project, warehouse, pg, held, mount):
    """One runs, five are queued, three of them by requests of their own."""
    m = mount(project, "jobs=1", now=NOW)
    held.close()
    for name in ("2024-09-01--2024-09-04", "2024-09-04", "2024-09-05", "2024-09-06"):
        os.utime(m / "sessions" / name)
    wait_until(lambda: running(m), what="a batch runs")
    assert sorted(m.states("sessions").values()) == ["queued"] * 5 + ["running"]
    pg.stop_immediate()
    try:
        wait_until(lambda: warehouse_says(m) != "connected", what="the mount has noticed")
        assert run("ls", "-lR", m.path).returncode == 0
    finally:
        pg.start()
    held.open()
    m.sync("sessions", "2024-09")
    states = m.states("sessions")
    assert states.pop("2024-09-06") == "partial" and set(states.values()) == {"done"}
    assert built(warehouse, "sessions") == asked_for(warehouse)
    assert check_rows(warehouse, "sessions") == {f"2024-09-0{day}": 4 for day in range(1, 7)}


@pytest.fixture
def mute():
    """The host of a server that takes every connection and never says a word."""
    home = tempfile.mkdtemp(prefix="batchfs-mute-")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(home + "/.s.PGSQL.5432")
        os.chmod(home + "/.s.PGSQL.5432", 0o777)
        listener.listen(64)
        yield home
    shutil.rmtree(home)


def test_a_host_that_never_answers_is_not_the_last_word(project, warehouse, pg, mute, mount):
    """First in the list of hosts: when mounting, and each time the mount looks for its server again."""
    make_events(warehouse)
    add_sessions(project)
    pg.service_file.write_text(f"[warehouse]\nhost={mute},{pg.home}\nuser=postgres\ndbname=warehouse\n")
    m = mount(project, "timeout=4", now=NOW)
    m.build("sessions", "2024-09-01")
    pg.stop()
    try:
        wait_until(lambda: f"{mute} port 5432: no answer" in warehouse_says(m), what="the first was tried, and named")
        assert f"{pg.home} port 5432: " in warehouse_says(m)
        # No answer within timeout= where the mount is just trying the first.
        assert touch_refused(m / "sessions" / "2024-09-02") in (*AWAY, errno.ETIMEDOUT)
    finally:
        pg.start()
    wait_connected(m)
    m.build("sessions", "2024-09-02")
