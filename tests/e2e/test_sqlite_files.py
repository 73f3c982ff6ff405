# SPDX-License-Identifier: Apache-2.0
"""SQLite's files below a mount: deleted, replaced, moved away and back; who can lock them, and who is named."""
import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lib.mount import unmount_lazily
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
NOBODY = 65534
DAY = ("sessions", "2024-09-01")
OTHER = ("sessions", "2024-09-02")


@pytest.fixture(params=["sqlite"])
def engine(request):
    return request.param


@pytest.fixture
def m(ready, mount):
    m = mount(ready, now=NOW)
    m.build(*DAY)
    # No look is under way, which would open the files once more in the middle of a test.
    os.utime(m / "sessions" / ".adopt")
    m.sync("sessions", ".adopt")
    return m


def refused(call, *args):
    with pytest.raises(OSError) as e:
        call(*args)
    return e.value.errno


def warehouse_says(m):
    return m.document(".status")["mount"]["warehouse"] if "mount" in m.document(".status") else \
        m.document(".status").get("warehouse")


def touch(m, names):
    os.utime(m.path.joinpath(*names))


def nothing_was_recorded(m, file, text):
    """What is asked for is refused with the reason; what was shown stays."""
    assert refused(touch, m, OTHER) == errno.EHOSTUNREACH
    assert text in m.document(*OTHER)["last_refusal"]["message"]
    wait_until(lambda: text in str(warehouse_says(m)), what="the mount says why")
    assert m.states("sessions")["2024-09-01"] == "done" and m.states("sessions")["2024-09-02"] == "pending"


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-queue", "-queue-wal", "-queue-shm"])
def test_a_file_that_was_deleted(m, warehouse, suffix):
    file = Path(f"{warehouse.path}{suffix}")
    file.unlink()
    nothing_was_recorded(m, file, f"{file} was deleted or moved away")
    assert not file.exists()


@pytest.mark.parametrize("suffix", ["", "-queue"])
def test_a_file_that_was_replaced(m, warehouse, suffix):
    file = Path(f"{warehouse.path}{suffix}")
    copy = Path(f"{file}.copy")
    with sqlite3.connect(file) as live, sqlite3.connect(copy) as other:
        live.backup(other)
    before = copy.read_bytes()
    os.rename(copy, file)
    nothing_was_recorded(m, file, f"{file} was replaced by another file")
    assert file.read_bytes() == before


@pytest.mark.parametrize("suffix", ["", "-queue"])
def test_contents_that_were_replaced(m, warehouse, suffix, tmp_path):
    file = Path(f"{warehouse.path}{suffix}")
    with sqlite3.connect(tmp_path / "other.db") as other, sqlite3.connect(file, timeout=30) as live:
        other.execute("CREATE TABLE something(else_ INTEGER)")
        other.commit()
        other.backup(live)
    assert refused(touch, m, OTHER) == errno.EHOSTUNREACH
    assert f"the contents of {file} were replaced" in m.document(*OTHER)["last_refusal"]["message"]
    with sqlite3.connect(file) as live:
        assert live.execute("SELECT name FROM sqlite_master").fetchall() == [("something",)]


@pytest.mark.parametrize("suffix", ["", "-queue"])
def test_a_file_that_comes_back(m, warehouse, suffix):
    """Itself, not a copy: the mount goes on, and nothing is lost."""
    file = Path(f"{warehouse.path}{suffix}")
    away = Path(f"{file}.away")
    os.rename(file, away)
    nothing_was_recorded(m, file, f"{file} was deleted or moved away")
    os.rename(away, file)
    wait_until(lambda: warehouse_says(m) == "connected", what="the mount goes on")
    m.build(*OTHER)
    assert m.states("sessions")["2024-09-01"] == m.states("sessions")["2024-09-02"] == "done"
    assert warehouse.count("sessions") == 8


def test_a_batch_is_not_done_in_a_file_that_nobody_sees(m, warehouse):
    file, copy = warehouse.path, Path(f"{warehouse.path}.copy")
    with sqlite3.connect(file) as live, sqlite3.connect(copy) as other:
        live.backup(other)
    hold = sqlite3.connect(file, isolation_level=None)
    hold.execute("BEGIN IMMEDIATE")
    touch(m, OTHER)
    wait_until(lambda: m.states("sessions")["2024-09-02"] == "running", what="it waits for the lock")
    os.rename(copy, file)
    hold.execute("ROLLBACK")
    hold.close()
    wait_until(lambda: "was replaced" in str(warehouse_says(m)), what="the mount notices")
    assert m.states("sessions")["2024-09-02"] != "done"
    assert sqlite3.connect(file).execute("SELECT count(*) FROM sessions").fetchone() == (4,)


def test_a_second_mount_ends_the_first(m, ready, warehouse, mount):
    """Somebody has removed the lock: what the former mount says counts no more, and it says so."""
    os.unlink(f"{warehouse.path}-queue.lock")
    second = mount(ready, now=NOW)
    second.build(*OTHER)
    assert refused(touch, m, ("sessions", "2024-09-03")) == errno.EHOSTUNREACH
    assert "has been mounted once more" in m.document("sessions", "2024-09-03")["last_refusal"]["message"]
    second.build("sessions", "2024-09-03")


# Who can lock it.

def lock_of(warehouse):
    return Path(f"{warehouse.path}-queue.lock")


@pytest.mark.parametrize("mode,lock", [(0o644, 0o600), (0o600, 0o600), (0o664, 0o660), (0o666, 0o666)])
def test_who_may_write_the_file_may_lock_it(ready, warehouse, mount, mode, lock):
    warehouse.path.chmod(mode)
    mount(ready, now=NOW)
    assert stat.S_IMODE(lock_of(warehouse).stat().st_mode) == lock
    assert lock_of(warehouse).stat().st_uid == warehouse.path.stat().st_uid


def test_the_owner_of_the_file_gets_the_lock(ready, warehouse, mount):
    if os.geteuid():
        pytest.skip("only root can mount somebody else's file so")
    os.chown(warehouse.path, NOBODY, NOBODY)
    mount(ready, now=NOW)
    assert lock_of(warehouse).stat().st_uid == NOBODY


HOLD = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_SH); print('held', flush=True); sys.stdin.read()"


def test_a_reader_cannot_keep_a_mount_from_starting(ready, warehouse, mount, public):
    if os.geteuid():
        pytest.skip("other users are played by root only")
    home = public.parent
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(f"{warehouse.path}{suffix}"):
            shutil.move(f"{warehouse.path}{suffix}", home / f"w.db{suffix}")
    warehouse.path = home / "w.db"
    warehouse.path.chmod(0o644)
    mount(ready, now=NOW).unmount()
    done = subprocess.run([sys.executable, "-c", HOLD, lock_of(warehouse)], user=NOBODY, group=NOBODY, check=False,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode and "Permission denied" in done.stderr
    # An older batchfs has let everybody open it: who holds it is named, and it is the last time.
    lock_of(warehouse).chmod(0o644)
    with subprocess.Popen([sys.executable, "-c", HOLD, lock_of(warehouse)], user=NOBODY, group=NOBODY,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        m = mount(ready, now=NOW, start=False).start(wait=False)
        assert m.wait_exit() != 0
        assert f"process {holder.pid} (" in m.log_text() and f"uid {NOBODY})" in m.log_text()
        holder.stdin.close()
    mount(ready, now=NOW)
    assert stat.S_IMODE(lock_of(warehouse).stat().st_mode) == 0o600


def test_the_daemon_is_named(ready, warehouse, mount, binary, tmp_path):
    """Not the process that had started it, which is gone."""
    at = tmp_path / "daemon"
    at.mkdir()
    options = ",".join([*warehouse.options(), f"now={NOW}"])
    subprocess.run([binary, ready.write(), at, "-o", options], check=True, timeout=60)
    try:
        os.utime(at / "sessions" / "2024-09-01")
        pid = next(line.split()[1] for line in (at / ".status").read_text().replace(",", " \n").splitlines()
                   if '"pid"' in line)
        second = mount(ready, now=NOW, start=False).start(wait=False)
        assert second.wait_exit() != 0
        assert f"by process {pid} (batchfs, uid {os.geteuid()})" in second.log_text()
    finally:
        subprocess.run(["fusermount3", "-u", at], check=False)
        unmount_lazily(at)
        # The daemon has put its states back when nobody holds its lock any more.
        with open(lock_of(warehouse), "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
