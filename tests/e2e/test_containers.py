# SPDX-License-Identifier: Apache-2.0
"""The daemon in one container, a busybox in another, the mount shared by propagation, and the host beside them."""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lib.container import Root, Shell, can_be_made, first_process
from lib.events import add_sessions, make_events
from lib.mount import FAULT_WORDS, is_mounted, unmount_lazily
from lib.project import Project
from lib.wait import LIMIT, wait_until

GUIDE = Path(__file__).parents[2] / "docs" / "containers.md"
NOW = "2024-09-04T12:00:00"


@pytest.fixture
def shared(tmp_path):
    """A directory whose mounts go around; in it a project in SQLite."""
    if not can_be_made():
        pytest.skip("no namespaces for this user")
    path = tmp_path / "shared"
    (path / "mnt").mkdir(parents=True)
    subprocess.run(["mount", "--bind", path, path], check=True)
    subprocess.run(["mount", "--make-rshared", path], check=True)
    yield path
    unmount_lazily(path / "mnt")
    subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def daemon(shared, binary, tmp_path, make_warehouse):
    """daemon(): starts a container whose process 1 is batchfs; returns its parent."""
    warehouse = make_warehouse("sqlite")
    make_events(warehouse)
    project = Project(shared / "target", warehouse)
    add_sessions(project)
    project.write()
    shutil.move(tmp_path / "warehouse.db", shared / "warehouse.db")
    root = Root(tmp_path / "of-daemon", {"batchfs": binary})
    log = tmp_path / "batchfs.log"
    started = []

    def start():
        with open(log, "ab") as out:
            before = out.tell()
            started.append(root.start(
                shared, "rshared", "/bin/batchfs", "/shared/target", "/shared/mnt", "-f", "-o",
                f"database=/shared/warehouse.db,now={NOW},allow_other", stdin=subprocess.DEVNULL, stdout=out, stderr=out))
        # What the one before has said does not count.
        wait_until(lambda: b"mounted, 1 model" in log.read_bytes()[before:], what="the container has mounted",
                   alive=lambda: started[-1].poll() is None or pytest.fail(log.read_text()))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait(LIMIT)
    assert not [word for word in FAULT_WORDS if word in log.read_text()], log.read_text()


@pytest.fixture
def busybox(shared, tmp_path):
    shell = Shell(Root(tmp_path / "of-busybox", {"busybox": shutil.which("busybox")}), shared)
    shell.run("busybox --install -s /bin")
    yield shell
    shell.close()


def test_one_mount_for_two_containers_and_the_host(shared, daemon, busybox):
    mnt = shared / "mnt"
    first = daemon()
    # The mount has come after both the busybox and the host were there.
    assert busybox.run("ls /shared/mnt").split() == ["sessions"]
    assert "done\n" in busybox.run("cd /shared/mnt/sessions; touch 2024-09-01 && cat 2024-09-01.progress >/dev/null; "
                                   "[ -e 2024-09-01 ] && grep -q '\"state\": \"done\"' 2024-09-01 && echo done")
    os.utime(mnt / "sessions" / "2024-09-02")
    fd = os.open(mnt / "sessions" / "2024-09-02", os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    assert {"2024-09-01", "2024-09-02", "2024-09-03.pending"} <= set(busybox.run("ls /shared/mnt/sessions").split())

    # Process 1 is told to end: nothing is left, anywhere.
    os.kill(first_process(first), signal.SIGTERM)
    assert first.wait(LIMIT) == 0
    assert not is_mounted(mnt) and busybox.run("ls /shared/mnt") == ""

    # The next one is killed; the one after it takes over, at once.
    second = daemon()
    assert "2024-09-01" in busybox.run("ls /shared/mnt/sessions").split()
    os.kill(first_process(second), signal.SIGKILL)
    third = daemon()
    assert {"2024-09-01", "2024-09-02"} <= set(os.listdir(mnt / "sessions"))
    busybox.run("cd /shared/mnt/sessions; touch 2024-09-03 && cat 2024-09-03.progress && [ -e 2024-09-03 ]")
    os.kill(first_process(third), signal.SIGTERM)
    assert third.wait(LIMIT) == 0 and not is_mounted(mnt)


def test_the_helper_of_the_guide_hands_over_a_descriptor(binary, public, make_warehouse):
    """As the page says it, batchfs as a user without rights: it builds, and nothing is left when it has ended."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    public.mkdir()
    home = public.parent
    warehouse = make_warehouse("sqlite")
    make_events(warehouse)
    project = Project(home / "target", warehouse)
    add_sessions(project)
    project.write()
    shutil.move(warehouse.path, home / "warehouse.db")
    helper = home / "helper.py"
    helper.write_text(re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.S)[1])
    shutil.copy(binary, home / "batchfs")
    subprocess.run(["chown", "-R", "65534:65534", home], check=True)
    process = subprocess.Popen(["/usr/bin/python3", helper, public, "65534", "65534", home / "batchfs", "-f", project.target, "{}", "-o",
                                f"database={home}/warehouse.db,now={NOW}"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: is_mounted(public), what="the helper has mounted", alive=lambda: process.poll() is None or pytest.fail(process.stderr.read()))
        os.utime(public / "sessions" / "2024-09-01")
        fd = os.open(public / "sessions" / "2024-09-01", os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        daemon = first_process(process)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{daemon}/status").read_text().splitlines())
        assert status["CapEff"] == "0" * 16 and status["NoNewPrivs"] == "1" and status["Uid"].split() == ["65534"] * 4
        os.kill(daemon, signal.SIGTERM)
        assert process.wait(LIMIT) == 0, process.stderr.read()
        assert not is_mounted(public)
    finally:
        process.kill()
        process.communicate()
        unmount_lazily(public)
