# SPDX-License-Identifier: Apache-2.0
"""X.progress: waiting by reading."""
import errno
import os
import re
import signal
import subprocess

import pytest

from lib.command import errno_of, finish, shell, start, wait_parked
from lib.trouble import FAILS, add_troubled, set_days

NOW = "2024-09-07T12:00:00"
LINE = re.compile(r"\[#*\.*\] (\d+)/(\d+) done, (\d+) failed(, \d+ pending)?(, [\d.]+/s(, \d+ (s|min|h) left)?)?$")


@pytest.fixture
def m(project, warehouse, mount, fault_binary, fault):
    add_troubled(project)
    return mount(project, "timeout=3600", now=NOW, binary=fault_binary, env=fault.env())


def test_names(m):
    there = ("2024-09-01.progress", "2024-09-01.pending.progress", "2024-09.progress", "2024.failed.progress",
             "2024-09-01--2024-09-03.progress", ".failed.progress", ".run.progress", ".progress")
    for name in there:
        assert os.stat(m / "sessions" / name).st_mode & 0o777 == 0o444, name
        assert errno_of(os.utime, m / "sessions" / name) == errno.EPERM, name
    assert not set(there) & set(os.listdir(m / "sessions"))
    for name in ("2024-09-01.failed.progress", ".model.progress", "new.progress", "2030.progress", ".progress.progress"):
        assert errno_of(os.stat, m / "sessions" / name) == errno.ENOENT, name


def test_what_has_settled_ends_at_once(m, warehouse):
    set_days(warehouse, FAILS, "2024-09-02")
    assert errno_of(m.build, "sessions", "2024-09-01--2024-09-04") == errno.EIO
    lines = {name: shell(m / "sessions", f"cat {name}.progress") for name in (
        "2024-09-01", "2024-09-02", "2024-09", "2024-09.done", ".queued", ".failed", ".run", "")}
    assert {name: done.returncode for name, done in lines.items()} == {
        "2024-09-01": 0, "2024-09-02": 1, "2024-09": 1, "2024-09.done": 0, ".queued": 0, ".failed": 1, ".run": 1, "": 1}
    assert lines["2024-09-01"].stdout == "[##########] 1/1 done, 0 failed\n"
    assert lines["2024-09"].stdout == "[######....] 2/3 done, 1 failed, 4 pending\n"
    assert "Input/output error" in lines["2024-09"].stderr


def test_a_reader_waits(m, fault, tmp_path):
    name = "2024-09-01--2024-09-04"
    with fault.holding("build"):
        os.utime(m / "sessions" / name)
        readers = {command: start("sh", "-c", command.format(f=f"{m.path}/sessions/{name}.progress", t=tmp_path))
                   for command in ("cat {f}", "cat {f} > {t}/out && cat {t}/out", "tail -n 1 {f}",
                                   "while read line; do echo $line; done < {f}", "grep done {f}")}
        plain = start("cat", m / "sessions" / f"{name}.progress")
        assert plain.stdout.readline() == "[..........] 0/3 done, 0 failed\n"
        assert plain.stdout.readline() == "[..........] 0/3 done, 0 failed\n"
        wait_parked(plain)
        fd = os.open(m / "sessions" / f"{name}.progress", os.O_RDONLY | os.O_NONBLOCK)
        assert os.read(fd, 100).endswith(b"failed\n") and errno_of(os.read, fd, 100) == errno.EAGAIN
        os.close(fd)
        # Nobody is kept from anything else.
        assert shell(m / "sessions", f"ls -l > /dev/null; cat {name} > /dev/null; stat {name}.progress").returncode == 0
    ended = {command: finish(process) for command, process in readers.items()}
    for command, done in ended.items():
        lines = done.stdout.splitlines()
        assert done.returncode == 0, (command, done.stderr)
        assert lines[-1].startswith("[##########] 3/3 done, 0 failed"), command
        assert all(LINE.match(line) for line in lines), lines
        assert command.startswith("tail") or len(lines) >= 2
    rest, _ = plain.communicate()
    assert plain.returncode == 0 and rest.splitlines()[-1].startswith("[##########] 3/3 done")


def test_tail_beside_whoever_asks_for_its_size(project, mount):
    """Its size stands for nothing: the attributes that another process gets do not tell tail where to begin."""
    add_troubled(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    path = m / "sessions" / "2024-09-01--2024-09-04.progress"
    stats = start("sh", "-c", f"while [ -e {path} ]; do :; done")
    try:
        last = {subprocess.run(["tail", "-n", "1", path], capture_output=True, text=True, check=True).stdout for _ in range(40)}
    finally:
        stats.kill()
        stats.communicate()
    assert last == {"[##########] 3/3 done, 0 failed\n"}
    with open(path, "rb", buffering=0) as progress:
        assert errno_of(os.lseek, progress.fileno(), 0, os.SEEK_END) == errno.ESPIPE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_reader_can_be_ended(m, fault, number):
    with fault.holding("build"):
        os.utime(m / "sessions" / "2024-09-01")
        reader = start("cat", m / "sessions" / ".progress")
        wait_parked(reader)
        reader.send_signal(number)
        assert finish(reader).returncode == -number
    m.sync("sessions", "2024-09-01")


def test_what_fails_meanwhile(m, warehouse, fault):
    set_days(warehouse, FAILS, "2024-09-02")
    with fault.holding("build"):
        os.utime(m / "sessions" / "2024-09-01--2024-09-04")
        reader = start("cat", m / "sessions" / ".queued.progress")
        assert reader.stdout.readline() == "[..........] 0/3 done, 0 failed, 4 pending\n"
    done = finish(reader)
    assert done.returncode == 1 and "Input/output error" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("[######....] 2/3 done, 1 failed, 4 pending")


def test_the_end_of_the_mount_ends_readers(m, fault):
    with fault.holding("build"):
        os.utime(m / "sessions" / "2024-09-01")
        reader = start("cat", m / "sessions" / ".progress")
        wait_parked(reader)
        m.process.send_signal(signal.SIGTERM)
        m.process.send_signal(signal.SIGTERM)
        done = finish(reader)
    assert done.returncode == 1
    assert m.wait_exit() == 0
