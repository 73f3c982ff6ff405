# SPDX-License-Identifier: Apache-2.0
"""Who may build: users and mode bits, -o ro; and -o sync, where every write waits."""
import errno
import os
import stat

import pytest

from lib.command import errno_of, run, shell
from lib.events import add_sessions, make_events
from lib.footprint import footprint
from lib.trouble import FAILS, add_troubled, set_days
from lib.truth import asked_for

NOW = "2024-09-04T12:00:00"
NOBODY, GROUP = 65534, 54321


@pytest.fixture
def ready(project, warehouse):
    make_events(warehouse)
    add_sessions(project, full_refresh=False)
    return project


def need_root():
    if os.geteuid():
        pytest.skip("other users are played by root only")


def as_user(m, command, uid=NOBODY, gid=NOBODY, groups=()):
    done = shell(m, command, user=uid, group=gid, extra_groups=list(groups))
    return done.returncode, done.stderr


def test_others_may_look_and_not_build(ready, warehouse, mount, public):
    need_root()
    m = mount(ready, "allow_other", now=NOW, at=public)
    for command in ("touch sessions/2024-09-01", "echo x > sessions/2024-09-01", ": > sessions/2024-09",
                    "truncate -s 0 sessions/2024-09-01", "touch -c sessions/2024-09-01.pending",
                    "touch sessions/.full-refresh", "touch sessions/.model"):
        status, said = as_user(m, command)
        assert status and "ermission denied" in said, command
    for command in ("chmod a-w sessions/2024-09-01", "rm -f sessions/2024-09-01", "mkdir sessions/new",
                    "mv sessions/2024-09-01 sessions/new"):
        status, said = as_user(m, command)
        assert status and ("ermission denied" in said or "not permitted" in said), command
    assert as_user(m, "ls -l sessions > /dev/null && cat sessions/2024-09-01 .status sessions/.model > /dev/null") == (
        0, "")
    assert asked_for(warehouse) == {}
    # Who waits needs no right to write.
    m.build("sessions", "2024-09-01")
    assert as_user(m, "sync sessions/2024-09-01") == (0, "")


def test_umask_lets_everybody_build(ready, warehouse, mount, public):
    need_root()
    m = mount(ready, "allow_other", "umask=000", now=NOW, at=public)
    assert as_user(m, "touch sessions/2024-09-01 && sync sessions/2024-09-01") == (0, "")
    d = m.document("sessions", "2024-09-01")
    assert (d["state"], d["requested_by"]) == ("done", {"uid": NOBODY, "command": "touch"})
    status, said = as_user(m, "touch sessions/.full-refresh")
    assert status and "Permission denied" in said
    assert errno_of(os.utime, m / "sessions" / ".full-refresh") == errno.EPERM
    status, said = as_user(m, "touch sessions/new")
    assert status and "No such file" in said


def test_a_group_may_build(ready, warehouse, mount, public):
    need_root()
    m = mount(ready, "allow_other", "umask=002", f"gid={GROUP}", now=NOW, at=public)
    assert stat.filemode(os.stat(m / "sessions" / "2024-09-01").st_mode) == "-rw-rw-r--"
    assert os.stat(m / "sessions").st_gid == GROUP
    status, said = as_user(m, "touch sessions/2024-09-01")
    assert status and "Permission denied" in said
    assert as_user(m, "touch sessions/2024-09-01", gid=GROUP) == (0, "")
    assert as_user(m, "touch sessions/2024-09-02", groups=[GROUP]) == (0, "")
    assert asked_for(warehouse) == {"2024-09-01": 1, "2024-09-02": 1}


# Runs a command as the first process of a pid namespace, from which none of those outside is to be seen.
ALONE = """#!/usr/bin/python3
import ctypes, os, signal, sys
assert ctypes.CDLL(None).unshare(0x20000000) == 0
child = os.fork()
if child == 0:
    os.execv({binary!r}, [{binary!r}, *sys.argv[1:]])
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_group_of_another_pid_namespace_may_build(ready, warehouse, mount, public, binary, tmp_path):
    """The daemon cannot look at the groups of who asks: the kernel has."""
    need_root()
    alone = tmp_path / "alone"
    alone.write_text(ALONE.format(binary=str(binary)))
    alone.chmod(0o755)
    m = mount(ready, "allow_other", "umask=002", f"gid={GROUP}", now=NOW, at=public, binary=alone)
    assert as_user(m, "touch sessions/2024-09-01", groups=[GROUP]) == (0, "")
    assert as_user(m, "rm sessions/2024-09-02", groups=[GROUP])[1].count("not permitted") == 1
    for command in ("touch sessions/2024-09-03", "rm sessions/2024-09-03"):
        status, said = as_user(m, command)
        assert status and "Permission denied" in said, command
    # The mount may protect more than the mode says.
    status, said = as_user(m, "touch sessions/.full-refresh", groups=[GROUP])
    assert status and "Permission denied" in said
    assert asked_for(warehouse) == {"2024-09-01": 1}


def test_the_owner_may_build(ready, warehouse, mount, public):
    need_root()
    m = mount(ready, "allow_other", f"uid={NOBODY}", "umask=077", now=NOW, at=public)
    assert stat.filemode(os.stat(m / "sessions" / "2024-09-01").st_mode) == "-rw-------"
    assert as_user(m, "touch sessions/2024-09-01") == (0, "")
    status, said = as_user(m, "cat sessions/2024-09-01", uid=NOBODY - 1)
    assert status and "Permission denied" in said
    assert asked_for(warehouse) == {"2024-09-01": 1}


def test_without_allow_other_others_see_nothing(ready, mount, public):
    need_root()
    m = mount(ready, now=NOW, at=public)
    done = run("ls", m.path, user=NOBODY, group=NOBODY, extra_groups=[])
    assert done.returncode and "Permission denied" in done.stderr


READ_ONLY = {
    "touch": os.utime,
    "touch of a range": lambda p: os.utime(p.parent / "2024-09"),
    "touch suffixed": lambda p: os.utime(p.parent / f"{p.name}.pending"),
    "an mtime": lambda p: os.utime(p, (0, 10**9)),
    "write": lambda p: open(p, "w").close(),
    "append": lambda p: open(p, "a").close(),
    "truncate": lambda p: os.truncate(p, 0),
    "chmod": lambda p: os.chmod(p, 0o444),
    "chown": lambda p: os.chown(p, 1, 1),
    "rm": os.unlink,
    "mkdir": lambda p: os.mkdir(p.parent / "new"),
    "rmdir": lambda p: os.rmdir(p.parent),
    "create": lambda p: open(p.parent / "new", "x").close(),
    "mv": lambda p: os.rename(p, p.parent / "new"),
    "ln": lambda p: os.link(p, p.parent / "new"),
    "ln -s": lambda p: os.symlink("a", p.parent / "new"),
    "setxattr": lambda p: os.setxattr(p, "user.x", b"1"),
    "touch of a document": lambda p: os.utime(p.parent / ".model"),
    "full refresh": lambda p: os.utime(p.parent / ".full-refresh"),
}


def check_read_only(m):
    for _ in range(2):
        got = {name: errno_of(call, m / "sessions" / "2024-09-03") for name, call in READ_ONLY.items()}
        assert got == dict.fromkeys(READ_ONLY, errno.EROFS)
    assert stat.filemode(os.stat(m / "sessions" / "2024-09-03").st_mode) == "-r--r--r--"
    assert stat.filemode(os.stat(m / "sessions").st_mode) == "dr-xr-xr-x"
    done = shell(m, "ls -lR > /dev/null && cat .status sessions/* sessions/.[ms]* sessions/2024 > /dev/null")
    assert (done.returncode, done.stderr) == (0, "")


def test_read_only_writes_nothing_to_a_new_warehouse(ready, warehouse, mount):
    before = footprint(warehouse)
    m = mount(ready, "ro", now=NOW)
    check_read_only(m)
    assert set(m.states("sessions").values()) == {"pending"}
    assert errno_of(m.sync, "sessions", "2024-09-01") == errno.ENODATA
    m.unmount()
    assert footprint(warehouse) == before


def test_read_only_shows_what_others_have_built(ready, warehouse, mount):
    m = mount(ready, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    documents = [m.document("sessions", day) for day in ("2024-09-01", "2024-09-02")]
    m.unmount()
    before = footprint(warehouse)
    m = mount(ready, "ro", now=NOW)
    check_read_only(m)
    assert m.states("sessions") == {"2024-09-01": "done", "2024-09-02": "done", "2024-09-03": "pending",
                                    "2024-09-04": "pending"}
    assert [m.document("sessions", day) for day in ("2024-09-01", "2024-09-02")] == documents
    m.sync("sessions", "2024-09-01")
    m.unmount()
    assert footprint(warehouse) == before


def append(path):
    """Unbuffered: close() would write once more what could not be written."""
    with open(path, "ab", buffering=0) as f:
        f.write(b"why")


def test_sync_makes_every_write_wait(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, FAILS, "2024-09-03")
    m = mount(project, "sync", now=NOW)
    asking = [os.utime, lambda p: open(p, "w").close(), lambda p: p.write_text("why"),
              append, lambda p: os.truncate(p, 0)]
    for attempt, call in enumerate(asking, 1):
        call(m / "sessions" / "2024-09-01")
        d = m.document("sessions", "2024-09-01")
        assert (d["state"], d["attempt"]) == ("done", attempt)
    for attempt, call in enumerate(asking, 1):
        assert errno_of(call, m / "sessions" / "2024-09-03") == errno.EIO
        d = m.document("sessions", "2024-09-03")
        assert (d["state"], d["attempt"]) == ("failed", attempt)
    assert asked_for(warehouse) == {"2024-09-01": 5, "2024-09-03": 5}
    assert errno_of(os.utime, m / "sessions" / "2024-09") == errno.EIO
    assert m.states("sessions") == {"2024-09-01": "done", "2024-09-02": "done", "2024-09-03": "failed",
                                    "2024-09-04": "partial"}
    for command in ("touch sessions/2024-09-03", "echo x > sessions/2024-09-03", "touch sessions/*.failed"):
        done = shell(m, command)
        assert done.returncode and "rror" in done.stderr, command
    set_days(warehouse, 7)
    assert shell(m, "touch sessions/*.failed && ls sessions").stdout.split()[2] == "2024-09-03"


def test_nobody_pushes_another_users_refusal_away(ready, mount, public):
    need_root()
    m = mount(ready, "allow_other", "umask=000", now=NOW, at=public)
    with pytest.raises(PermissionError):
        os.chmod(m / "sessions" / "2024-09-01", 0o755)
    refusal = m.document("sessions", "2024-09-01")["last_refusal"]
    assert as_user(m, "for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3 4 5; do stat \"a$i$j,,b\"; done; done")[0]
    assert m.document(".status")["last_refusal"] == m.document("sessions", ".status")["last_refusal"] == refusal
    assert ",,b" not in m.log_text()
    status, said = as_user(m, "touch sessions")
    assert status and "not permitted" in said
    assert m.document("sessions", "2024-09-01")["last_refusal"] == refusal
    # What was refused of the directory stands in its own documents, not in its batches'.
    assert m.document("sessions", ".status")["last_refusal"]["message"] != refusal["message"]
    assert m.document("sessions", "2024-09-04")["last_refusal"] is None
