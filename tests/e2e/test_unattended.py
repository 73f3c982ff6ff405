# SPDX-License-Identifier: Apache-2.0
"""A daemon that nobody watches: it says when it is ready and that it lives, its log gets somewhere, it keeps no secrets in sight."""
import fcntl
import json
import os
import re
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from lib.events import add_sessions, make_events
from lib.manager import Manager
from lib.mount import unmount_lazily
from lib.project import Project
from lib.wait import LIMIT, wait_until

NOW = "2024-09-04T12:00:00"
USAGE, WAREHOUSE = 2, 4


@pytest.fixture
def quick(make_warehouse, tmp_path):
    """A project in SQLite."""
    warehouse = make_warehouse("sqlite")
    make_events(warehouse)
    project = Project(tmp_path / "target", warehouse)
    add_sessions(project)
    return project


@pytest.fixture
def manager(tmp_path):
    made = []

    def make(address=None, **keys):
        made.append(Manager(address or str(tmp_path / "notify"), **keys))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def background(binary, quick, tmp_path):
    """background("log=json", stderr=file): a daemon in the background, on tmp_path / "mnt"; it has ended after the test."""
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    pid = []

    def start(*options, env=None, **keys):
        words = ",".join([*quick.warehouse.options(), f"now={NOW}", *options])
        done = subprocess.run([str(binary), str(quick.write()), str(mnt), "-o", words], check=False, timeout=LIMIT,
                              stdin=subprocess.DEVNULL, text=True, env={**os.environ, **(env or {})},
                              **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **keys})
        assert done.returncode == 0, done.stderr
        pid.append(json.loads((mnt / ".status").read_text())["mount"]["pid"])
        return done, pid[0]

    yield start
    unmount_lazily(mnt)
    if pid:
        wait_until(lambda: not os.path.exists(f"/proc/{pid[0]}/exe"), what="the daemon has ended")


@pytest.mark.parametrize("number", ["new", "stdout"])
def test_a_line_when_the_mount_answers(quick, mount, number):
    ends = os.pipe()
    m = mount(quick, now=NOW, start=False)
    m.command[-1] += f",ready_fd={ends[1] if number == 'new' else 1}"
    m.start(wait=False, **({"pass_fds": [ends[1]]} if number == "new" else {"stdout": ends[1]}))
    os.close(ends[1])
    with open(ends[0], encoding="ascii") as lines:
        assert lines.readline() == "ready\n"
        assert m.ls() == ["sessions"]
        # The daemon has closed it, and lives.
        assert lines.read() == ""
    assert m.process.poll() is None
    m.unmount()


def test_no_line_where_the_mount_fails(quick, binary, tmp_path):
    ends = os.pipe()
    done = subprocess.run([str(binary), str(quick.write()), str(tmp_path), "-o",
                           f"engine=sqlite,database=/none/w.db,ready_fd={ends[1]}"], check=False, pass_fds=[ends[1]],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    os.close(ends[1])
    with open(ends[0], encoding="ascii") as lines:
        assert lines.read() == "" and done.returncode == WAREHOUSE


@pytest.mark.parametrize("number, words", [(77, "no descriptor that is open for writing"), (2, "the messages go there"),
                                           ("read-only", "no descriptor that is open for writing"), (0, "a whole number")])
def test_no_descriptor_to_write_to(quick, binary, tmp_path, number, words):
    with open("/dev/null", encoding="ascii") as null:
        given = null.fileno() if number == "read-only" else number
        done = subprocess.run([str(binary), str(quick.write()), str(tmp_path), "-o",
                               ",".join([*quick.warehouse.options(), f"ready_fd={given}"])], check=False, text=True,
                              pass_fds=[null.fileno()], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    assert done.returncode == USAGE and f"ready_fd={given}: {words}" in done.stderr


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_hears_when_it_begins_and_ends(quick, mount, manager, abstract):
    heard = manager(f"@batchfs-test-{os.getpid()}" if abstract else None, watchdog_us=200_000)
    m = mount(quick, "drain=7", now=NOW, env=heard.env())
    heard.wait_for("READY=1")
    assert "STATUS=mounted, 1 model: all can be built here" in heard.hear() and "STOPPING=1" not in heard.hear()
    before = heard.fed()
    wait_until(lambda: heard.fed() > before + 3, what="the watchdog is fed while nothing happens")
    m.terminate()
    assert heard.hear().count("READY=1") == 1 and "STOPPING=1" in heard.hear()
    assert "EXTEND_TIMEOUT_USEC=37000000" in heard.hear()
    assert "STATUS=SIGTERM: running batches may finish for 7 s" in heard.hear()


def test_the_one_in_the_background_says_who_it_is(background, manager):
    heard = manager()
    pid = background(env=heard.env())[1]
    heard.wait_for("READY=1")
    assert f"MAINPID={pid}" in heard.hear()


def test_a_daemon_that_hangs_lets_the_watchdog_starve(quick, mount, manager, tmp_path):
    """With -d, libfuse writes each operation to stderr, which is a pipe here that nobody reads: when it is full, the FUSE thread hangs."""
    heard = manager(watchdog_us=200_000)
    m = mount(quick, now=NOW, env=heard.env(), start=False)
    m.command.append("-d")
    ends = os.pipe()
    m.start(wait=False, stdout=ends[1], stderr=ends[1])
    os.close(ends[1])
    os.set_blocking(ends[0], False)

    def drain():
        try:
            return os.read(ends[0], 1 << 20)
        except BlockingIOError:
            return b""

    wait_until(lambda: drain() is not None and "READY=1" in heard.hear(), what="the mount answers")
    reader = subprocess.Popen(["sh", "-c", f"while ls -l {m.path}/sessions; do :; done"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: unread(ends[0]) > 60_000, what="the pipe is full")
        hungry = wait_until(lambda: starves(heard), what="the watchdog is not fed any more")
        # It reads again, and lives again.
        wait_until(lambda: drain() is not None and heard.fed() > hungry, what="the watchdog is fed again")
    finally:
        reader.kill()
        wait_until(lambda: drain() is not None and reader.poll() is not None, what="the reader has ended")
    subprocess.run(["umount", "-l", str(m.path)] if os.geteuid() == 0 else ["fusermount3", "-uz", str(m.path)], check=True)
    wait_until(lambda: drain() is not None and m.process.poll() is not None, what="the daemon has ended")
    assert m.wait_exit() == 0
    os.close(ends[0])


def unread(fd):
    """How many bytes are in the pipe."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


def starves(heard):
    """How often the watchdog was fed, when a whole time of its own has gone by without one more. None: it is fed."""
    before = heard.fed()
    time.sleep(0.3)
    return before if heard.fed() == before else None


def test_the_log_is_in_a_file_where_nobody_listens(background, tmp_path):
    """In the background; where there is a syslog, the file is not needed."""
    if os.path.exists("/dev/log"):
        pytest.skip("there is a syslog here")
    state = tmp_path / "of-mine"
    done, pid = background(env={"XDG_STATE_HOME": str(state)})
    file = state / "batchfs" / "batchfs.log"
    assert f"so the log goes to {file}" in done.stderr and "mounted, 1 model" in done.stderr
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z batchfs: info: .*: mounted, 1 model", file.read_text(), re.M)
    assert file.stat().st_mode & 0o777 & ~0o640 == 0
    # What writes to stderr itself, as libfuse does, gets there too; the terminal is let go of.
    assert os.readlink(f"/proc/{pid}/fd/2") == str(file) and os.readlink(f"/proc/{pid}/fd/1") == "/dev/null"


def test_a_log_that_cannot_be_kept_says_so(background, tmp_path):
    if os.path.exists("/dev/log"):
        pytest.skip("there is a syslog here")
    (tmp_path / "file").touch()
    done, _ = background(env={"XDG_STATE_HOME": str(tmp_path / "file")})
    assert "messages are lost" in done.stderr and "Not a directory" in done.stderr


def test_the_background_keeps_stderr_where_asked(background, tmp_path):
    with open(tmp_path / "log", "ab") as log:
        background("log=json", stderr=log)
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert any("mounted, 1 model" in json.loads(line)["message"] for line in lines)


def test_json_lines(quick, mount, binary, tmp_path):
    m = mount(quick, "log=json", now=NOW)
    m.process.terminate()
    assert m.wait_exit() == 0
    lines = [json.loads(line) for line in m.log_text().splitlines()]
    assert {"at", "level", "pid", "message"} == set(lines[0]) and lines[0]["pid"] == m.pid
    assert all(line["level"] in ("info", "warning") and line["at"].endswith("Z") for line in lines)
    assert any(line["message"].endswith("mounted, 1 model: all can be built here") for line in lines)
    # Why a mount has failed, too.
    failed = subprocess.run([str(binary), str(tmp_path / 'no "such"'), str(tmp_path), "-o", "log=json"], check=False,
                            capture_output=True, text=True, timeout=LIMIT)
    assert 'no "such"' in json.loads(failed.stderr.splitlines()[0])["message"]


def test_killed_and_started_again_at_once(quick, mount):
    """The new one waits for the end of the old one, which has locks, the mount and its door until it is gone."""
    m = mount(quick, now=NOW)
    for _ in range(15):
        before = m.process
        before.kill()
        m.start(wait=False)
        before.wait()
        m.wait_mounted()
    assert m.ls() == ["sessions"]


def test_nothing_that_it_starts_gains_rights(quick, mount):
    if os.geteuid():
        pytest.skip("who is not root needs fusermount3 for the unmount")
    m = mount(quick, now=NOW)
    assert "NoNewPrivs:\t1\n" in Path(f"/proc/{m.pid}/status").read_text()


SECRET = "s3cret-of-the-warehouse"


def test_a_password_is_nowhere_in_sight(make_warehouse, tmp_path, mount):
    """By the service file and by the environment; in what the server says of a role that it refuses, too."""
    warehouse = make_warehouse("postgres")
    make_events(warehouse)
    project = Project(tmp_path / "target", warehouse)
    add_sessions(project)
    services = tmp_path / "services"
    services.write_text(Path(warehouse.env()["PGSERVICEFILE"]).read_text().rstrip("\n") + f"\npassword={SECRET}\n")
    m = mount(project, now=NOW, env={"PGSERVICEFILE": str(services), "PGPASSWORD": SECRET}, start=False)
    m.command.append("-d")
    m.start()
    m.build("sessions", "2024-09-01")
    names = [".status", ".history", ".metrics", "sessions/.model", "sessions/.status", "sessions/2024-09-01", "sessions/2024-09-01.sql"]
    texts = {name: (m / name).read_text() for name in names if (m / name).exists()}
    assert '"done": 1' in texts[".status"]
    texts["the command line"] = Path(f"/proc/{m.pid}/cmdline").read_text()
    m.unmount()
    refused = mount(project, "role=nobody_of_that_name", now=NOW, start=False,
                    env={"PGSERVICEFILE": str(services), "PGPASSWORD": SECRET, "PGUSER": "nobody_either"})
    refused.start(wait=False)
    assert refused.wait_exit() == WAREHOUSE
    texts["the logs"] = m.log_text() + refused.log_text()
    assert not [where for where, text in texts.items() if SECRET in text]
