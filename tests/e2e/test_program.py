# SPDX-License-Identifier: Apache-2.0
"""The program around the mount: exit codes, messages, signals, the background, a mount point that is taken."""
import errno
import os
import re
import signal
import subprocess

import pytest

from lib.events import add_sessions, make_events
from lib.mount import is_mounted, unmount_lazily
from lib.wait import LIMIT, wait_until

NOW = "2024-09-04T12:00:00"
# One after another: a stranger of one test takes the names of all doors, which another test asks for.
pytestmark = pytest.mark.xdist_group("doors")
USAGE, MANIFEST, WAREHOUSE, MOUNTPOINT, FUSE = 2, 3, 4, 5, 6


@pytest.fixture
def sqlite_project(make_warehouse, tmp_path):
    from lib.project import Project
    warehouse = make_warehouse("sqlite")
    make_events(warehouse)
    project = Project(tmp_path / "target", warehouse)
    add_sessions(project)
    return project


def run(binary, *args, env=None, **keys):
    return subprocess.run([str(binary), *map(str, args)], capture_output=True, text=True, check=False,
                          timeout=LIMIT, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, **keys)


def options(project, *more):
    return ",".join([*project.warehouse.options(), *more])


def test_help_and_version(binary):
    helped = run(binary, "--help")
    assert helped.returncode == 0 and helped.stdout.startswith("usage: batchfs MANIFEST MOUNTPOINT")
    assert re.fullmatch(r"batchfs \d+\.\d+\.\d+\n", run(binary, "--version").stdout)


@pytest.mark.parametrize("args, words", [
    ([], "MANIFEST is missing"),
    (["target"], "MOUNTPOINT is missing"),
    (["target", "mnt", "-o", "engine=duckdb"], "engine=duckdb: one of postgres, sqlite, dbt"),
    (["target", "mnt", "-o", "jobs=none"], "jobs=none: a whole number from 1"),
    (["target", "mnt", "-o", "colour=red"], "colour: unknown option"),
])
def test_usage(binary, args, words):
    done = run(binary, *args)
    assert done.returncode == USAGE and words in done.stderr and "--help" in done.stderr


def test_a_password_is_refused_and_never_repeated(binary):
    done = run(binary, "target", "mnt", "-o", "password=s3cret")
    assert done.returncode == USAGE and "service file" in done.stderr and "s3cret" not in done.stderr


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"nodes": 7}', '{"metadata": {}, "nodes": []}'])
def test_one_code_for_every_manifest_that_cannot_be_read(binary, tmp_path, content):
    target = tmp_path / "target"
    target.mkdir()
    if content is not None:
        (target / "manifest.json").write_text(content)
    done = run(binary, target, tmp_path, "-o", "database=x.db")
    assert done.returncode == MANIFEST, done.stderr
    assert "manifest.json" in done.stderr and not is_mounted(tmp_path)


def test_another_adapter(binary, sqlite_project, tmp_path):
    sqlite_project.warehouse.engine = "snowflake"
    done = run(binary, sqlite_project.write(), tmp_path / "mnt", "-o", "ro")
    assert done.returncode == MANIFEST and '"snowflake"' in done.stderr and "postgres, sqlite" in done.stderr


def test_sqlite_takes_one_job_and_needs_its_file(binary, sqlite_project, tmp_path):
    target = sqlite_project.write()
    two = run(binary, target, tmp_path, "-o", options(sqlite_project, "jobs=2"))
    assert two.returncode == USAGE and "jobs=2: engine sqlite runs at most 1" in two.stderr
    none = run(binary, target, tmp_path)
    assert none.returncode == USAGE and "database=FILE" in none.stderr


def test_no_warehouse(binary, sqlite_project, tmp_path):
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    target = sqlite_project.write()
    sqlite = run(binary, target, mnt, "-o", f"database={tmp_path}/no/such/folder/w.db")
    assert sqlite.returncode == WAREHOUSE, sqlite.stderr
    typo = run(binary, target, mnt, "-o", f"database={tmp_path}/warehose.db")
    assert typo.returncode == WAREHOUSE and f"{tmp_path}/warehose.db: {os.strerror(errno.ENOENT)}" in typo.stderr
    assert "database=FILE is" in typo.stderr and "PG" not in typo.stderr
    assert not list(tmp_path.glob("warehose*"))
    postgres = run(binary, target, mnt, "-o", "engine=postgres", env={"PGHOST": str(tmp_path), "PGUSER": "x"})
    assert postgres.returncode == WAREHOUSE and "service=NAME" in postgres.stderr and "PGHOST" in postgres.stderr
    assert "database=FILE" not in postgres.stderr
    (tmp_path / "pg_service.conf").write_text(f"[house]\nhost={tmp_path}\nuser=x\n")
    named = run(binary, target, mnt, "-o", "engine=postgres,service=house",
                env={"PGSERVICEFILE": str(tmp_path / "pg_service.conf")})
    assert named.returncode == WAREHOUSE and "psql service=house" in named.stderr
    assert not is_mounted(mnt)


def test_no_mount_point(binary, sqlite_project, tmp_path):
    target = sqlite_project.write()
    missing = run(binary, target, tmp_path / "nowhere", "-o", options(sqlite_project))
    assert missing.returncode == MOUNTPOINT and str(tmp_path / "nowhere") in missing.stderr
    file = run(binary, target, target / "manifest.json", "-o", options(sqlite_project))
    assert file.returncode == MOUNTPOINT, file.stderr


def test_a_live_mount_is_refused_with_its_pid(binary, ready, mount):
    m = mount(ready, now=NOW)
    again = run(binary, ready.write(), m.path, "-o", options(ready), env=ready.warehouse.env())
    assert again.returncode == MOUNTPOINT and f"process {m.pid}:" in again.stderr
    assert m.ls() == ["sessions"]


def test_a_dead_mount_is_detached(ready, mount):
    m = mount(ready, now=NOW)
    m.kill()
    assert is_mounted(m.path)
    again = mount(ready, now=NOW, at=m.path)
    assert "detached a dead fuse.batchfs mount" in again.log_text()
    assert again.ls() == ["sessions"]
    again.unmount()
    assert not is_mounted(m.path)


# Takes, as a user without rights, a shared lock on the directory and the name of every door that a mount could have.
STRANGER = """
import fcntl, os, socket, sys
directory = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(directory, fcntl.LOCK_SH)
doors = []
for minor in range(1, 900):
    door = socket.socket(socket.AF_UNIX)
    try:
        door.bind(f"\\0batchfs:mount:0:{minor}")
        door.listen()
        doors.append(door)
    except OSError:
        door.close()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stranger(tmp_path):
    """A call gives the stranger the directory; it lives until the end of the test."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    started = []

    def start(directory):
        for above in [directory, *directory.parents]:
            if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o055)
        process = subprocess.Popen(["python3", "-c", STRANGER, str(directory)], user=65534, group=65534, extra_groups=[],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0


def test_a_stranger_keeps_no_mount_from_starting(binary, ready, mount, stranger, tmp_path):
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    nobody = stranger(mnt)
    m = mount(ready, now=NOW, at=mnt)
    assert m.ls() == ["sessions"]
    assert "no batchfs holds a lock on the directory" in m.log_text()
    again = run(binary, ready.write(), m.path, "-o", options(ready), env=ready.warehouse.env())
    assert again.returncode == MOUNTPOINT and "mounted there already" in again.stderr
    assert str(nobody.pid) not in again.stderr
    m.kill()
    assert is_mounted(mnt)
    after = mount(ready, now=NOW, at=mnt)
    assert "detached a dead fuse.batchfs mount" in after.log_text() and after.ls() == ["sessions"]


def test_two_that_start_at_once_are_one_mount(binary, ready, mount, fault, fault_binary):
    """The second comes while the first waits for its warehouse, before it has mounted."""
    first = mount(ready, now=NOW, binary=fault_binary, env=fault.env(), start=False)
    with fault.holding("open"):
        first.start(wait=False)
        # The directory below the mount to come is locked.
        inode = f":{first.path.stat().st_ino} "
        wait_until(lambda: any("FLOCK" in line and inode in line for line in open("/proc/locks", encoding="ascii")))
        second = run(binary, ready.write(), first.path, "-o", options(ready), env=ready.warehouse.env())
        assert second.returncode == MOUNTPOINT and f"process {first.pid}" in second.stderr
    first.wait_mounted()
    assert first.ls() == ["sessions"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_unmount_and_exit_with_0(ready, mount, number):
    m = mount(ready, now=NOW)
    m.process.send_signal(number)
    assert m.wait_exit() == 0
    assert not is_mounted(m.path)


def test_an_unmount_amid_requests_is_no_fault(ready, mount, tmp_path):
    """Between two commands nothing is open, but the kernel still has requests under way: their ends, and what it forgets."""
    stop = tmp_path / "stop"
    m = mount(ready, now=NOW, start=False)
    commands = f"ls -lR {m.path}; cat {m / 'sessions'}/*"
    loops = [subprocess.Popen(["sh", "-c", f"while [ ! -e {stop} ]; do {commands}; done"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        for _ in range(10):
            m.start()
            wait_until(lambda: run("fusermount3", "-u", m.path).returncode == 0, what="nothing is open for a moment")
            assert m.wait_exit() == 0, m.log_text()
    finally:
        stop.touch()
        for loop in loops:
            loop.wait()


def test_in_the_background(binary, ready, tmp_path):
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    relative = os.path.relpath(ready.write(), tmp_path)
    started = run(binary, relative, "mnt", "-o", options(ready, f"now={NOW}", "log=syslog"), env=ready.warehouse.env(), cwd=tmp_path)
    try:
        assert started.returncode == 0, started.stderr
        assert started.stderr.endswith("/mnt: mounted, 1 model: all can be built here\n")
        assert sorted(n for n in os.listdir(mnt) if n[0] != ".") == ["sessions"]
        again = run(binary, ready.target, mnt, "-o", options(ready), env=ready.warehouse.env())
        pid = int(re.search(r"process (\d+)", again.stderr)[1])
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert {os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)} == {"/dev/null"}
        assert os.getsid(pid) == pid
        subprocess.run(["fusermount3", "-u", str(mnt)], check=True)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}/exe"), what="the daemon has ended")
    finally:
        unmount_lazily(mnt)


def test_the_parent_ends_with_the_childs_code(binary, sqlite_project, tmp_path):
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    done = run(binary, sqlite_project.write(), mnt, "-o", f"database={tmp_path}/no/w.db")
    assert done.returncode == WAREHOUSE and done.stderr


def test_called_by_mount(binary, sqlite_project, tmp_path):
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    helper = tmp_path / "mount.fuse.batchfs"
    helper.symlink_to(binary)
    target = sqlite_project.write()
    fake = run(helper, target, mnt, "-f", "-o", options(sqlite_project))
    assert fake.returncode == 0 and not is_mounted(mnt)
    words = options(sqlite_project, "rw", "_netdev", "x-systemd.automount", "nosuid", "nodev", "fsname=shown")
    try:
        mounted = run(helper, target, mnt, "-o", words)
        assert mounted.returncode == 0, mounted.stderr
        with open("/proc/self/mountinfo", encoding="utf-8") as table:
            line = next(line for line in table if line.split()[4] == str(mnt))
        assert " - fuse.batchfs shown " in line and "nosuid" in line and "default_permissions" in line
    finally:
        unmount_lazily(mnt)


@pytest.mark.parametrize("number, words", [(0, "not an open /dev/fuse"), (99, "no open descriptor")])
def test_a_descriptor_that_is_none_of_fuse(ready, binary, number, words):
    done = subprocess.run([str(binary), str(ready.write()), f"/dev/fd/{number}", "-o", options(ready)], check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 5 and f"/dev/fd/{number}: {words}" in done.stderr


def test_a_descriptor_as_mount_point(ready, mount, tmp_path, binary):
    """Somebody with the right to mount passes the descriptor in; it stays mounted when the daemon ends."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    fd = os.open("/dev/fuse", os.O_RDWR)
    data = f"fd={fd},rootmode=40000,user_id=0,group_id=0,default_permissions".encode()
    assert libc.mount(b"passed", str(mnt).encode(), b"fuse.batchfs", 0, data) == 0, os.strerror(ctypes.get_errno())
    process = subprocess.Popen([str(binary), str(ready.write()), f"/dev/fd/{fd}", "-f", "-o",
                                options(ready, f"now={NOW}")], pass_fds=[fd], stdin=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, **ready.warehouse.env()})
    try:
        assert sorted(n for n in os.listdir(mnt) if n[0] != ".") == ["sessions"]
        process.terminate()
        stderr = process.communicate(timeout=LIMIT)[1]
        assert process.returncode == 0, stderr
        assert is_mounted(mnt)
    finally:
        process.kill()
        process.wait()
        os.close(fd)
        unmount_lazily(mnt)
