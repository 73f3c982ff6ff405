# SPDX-License-Identifier: Apache-2.0
"""chmod a-w freezes batches and protects models, durably and for every mount; chmod u+w lifts that."""
import errno
import os
import random
import signal
import stat
import threading

import pytest

from lib.command import errno_of, finish, shell, start, wait_parked
from lib.events import add_sessions, make_events
from lib.project import Project
from lib.trouble import FAILS, NEVER_ENDS, add_troubled, set_days
from lib.truth import asked_for, built, check_rows
from lib.wait import SLOWER, wait_until

NOW = "2024-09-05T12:00:00"
DAYS = [f"2024-09-0{d}" for d in range(1, 6)]
RANGE = "2024-09-02--2024-09-05"


def mode(m, *names):
    return stat.filemode(os.stat(m.path.joinpath("sessions", *names)).st_mode)


def chmod(m, change, name):
    done = shell(m / "sessions", f"chmod {change} {name}")
    return done.returncode, done.stderr


def frozen(m, name=".run"):
    return m.document("sessions", name)["frozen"]


def test_a_batch(ready, warehouse, mount):
    m = mount(ready, now=NOW)
    m.build("sessions", DAYS[0])
    assert m.document("sessions", DAYS[0])["frozen"] is False
    assert chmod(m, "a-w", DAYS[0]) == (0, "")
    assert mode(m, DAYS[0]) == "-r--r--r--" and "-r--r--r--" in shell(m / "sessions", f"ls -l {DAYS[0]}").stdout
    d = m.document("sessions", DAYS[0])
    assert d["frozen"]["by"] == {"uid": os.geteuid(), "command": "chmod"} and d["frozen"]["at"] >= NOW
    assert d["state"] == "done" and d["last_refusal"] is None
    calls = [os.utime, lambda p: open(p, "w").close(), lambda p: os.truncate(p, 0), lambda p: p.write_text("INC-1")]
    assert [errno_of(call, m / "sessions" / DAYS[0]) for call in calls] == [errno.EPERM] * 4
    refusal = m.document("sessions", DAYS[0])["last_refusal"]
    assert refusal["errno"] == "EPERM"
    assert f"frozen by uid {os.geteuid()} (chmod)" in refusal["message"] and "chmod u+w" in refusal["message"]
    assert asked_for(warehouse) == {DAYS[0]: 1}
    # Who asks for what is there already gets it, and the first keeps the freeze.
    assert chmod(m, "a-w", DAYS[0]) == chmod(m, "444", DAYS[0]) == (0, "")
    assert m.document("sessions", DAYS[0])["frozen"] == d["frozen"]
    m.sync("sessions", DAYS[0])
    assert chmod(m, "u+w", DAYS[0]) == (0, "")
    assert mode(m, DAYS[0]) == "-rw-r--r--" and m.document("sessions", DAYS[0])["frozen"] is False
    m.build("sessions", DAYS[0])
    assert built(warehouse, "sessions") == {DAYS[0]: 2}


def test_bulk_requests_go_around(ready, warehouse, mount):
    m = mount(ready, now=NOW)
    assert chmod(m, "a-w", RANGE) == (0, "")
    assert [mode(m, f"{d}.pending") for d in DAYS] == ["-rw-r--r--"] + 3 * ["-r--r--r--"] + ["-rw-r--r--"]
    assert mode(m, RANGE) == "-r--r--r--" and mode(m, "2024-09") == "-rw-r--r--"
    assert chmod(m, "u+w", f"{DAYS[2]}.pending") == (0, "")
    held = [DAYS[1], DAYS[3]]
    for name in (RANGE, "2024-09", ".pending", "2024.pending", ".run", ".status"):
        d = m.document("sessions", name)
        others = {RANGE: 1}.get(name, 3)
        assert (d["frozen"], d["would_build"]["batches"]) == (held, others), name
        assert d["would_build"]["first"] not in held and d["would_build"]["last"] not in held
    assert m.document(".status")["frozen"] == [f"sessions/{d}" for d in held]
    assert m.document(".status")["models"]["sessions"]["frozen"] == held
    assert m.document("sessions", f"{DAYS[0]}--{DAYS[1]}")["frozen"] == []
    m.build("sessions", RANGE)
    assert built(warehouse, "sessions") == {DAYS[2]: 1}
    assert "left alone: 2 frozen batches of sessions" in m.log_text()
    m.build("sessions", ".run")
    assert built(warehouse, "sessions") == {DAYS[0]: 1, DAYS[2]: 1, DAYS[4]: 1}
    # Nothing of it could be built: that is no success, but an empty set is one.
    for name in (held[0], f"{held[0]}.pending", f"{DAYS[1]}--{DAYS[2]}"):
        assert errno_of(os.utime, m / "sessions" / name) == errno.EPERM, name
    os.utime(m / "sessions" / ".pending")
    m.build("sessions", ".run")
    assert m.states("sessions")[held[0]] == m.states("sessions")[held[1]] == "pending"
    assert chmod(m, "a-w", "2024-09") == (0, "")
    assert errno_of(os.utime, m / "sessions" / "2024") == errno.EPERM
    assert "everything in sessions/2024-09-01--2024-09-06 is frozen" in (
        m.document("sessions", "2024")["last_refusal"]["message"])
    assert chmod(m, "u+w", "2024") == (0, "")
    m.build("sessions", "2024")
    assert frozen(m) == [] and set(m.states("sessions").values()) == {"done", "partial"}


def test_retry_leaves_alone_what_is_frozen(project, warehouse, mount):
    add_troubled(project)
    project.model("daily", "select event_time, sum(val) as val from {sessions} group by 1", inputs=["sessions"])
    m = mount(project, now=NOW)
    set_days(warehouse, FAILS, DAYS[0])
    for model in ("sessions", "daily"):
        os.utime(m / model / DAYS[0])
    wait_until(lambda: m.states("daily")[DAYS[0]] == "skipped", what="it is skipped")
    set_days(warehouse, 7, DAYS[0])
    os.chmod(m / "daily" / DAYS[0], 0o444)
    m.build("sessions", ".failed")
    assert m.states("sessions")[DAYS[0]] == "done" and m.states("daily")[DAYS[0]] == "skipped"
    os.chmod(m / "daily" / DAYS[0], 0o644)
    m.build("daily", ".skipped")
    assert m.states("daily")[DAYS[0]] == "done"


def test_other_modes(ready, mount):
    m = mount(ready, now=NOW)
    day = m / "sessions" / DAYS[0]
    for change in ("+x", "u+s", "a-r", "go-r", "755", "u-w,g+w"):
        assert chmod(m, change, DAYS[0])[0] == 1, change
        assert m.document("sessions", DAYS[0])["last_refusal"]["errno"] == "EPERM"
        assert mode(m, DAYS[0]) == "-rw-r--r--"
    for change in ("644", "u+w", "u+rw", "a+w", "a+r"):
        assert chmod(m, change, DAYS[0]) == (0, ""), change
        assert mode(m, DAYS[0]) == "-rw-r--r--"
    for name in (".failed", "2024-09.pending", ".run", ".", "2024.progress"):
        assert chmod(m, "u-w,a+x", name)[0] == 1, name
    # What changes nothing is well anywhere.
    assert chmod(m, "a-w", ".model") == chmod(m, "a-w", ".status") == (0, "")
    assert chmod(m, "a-w", f"{DAYS[0]}.failed")[0] == 1 and chmod(m, "a-w", "2030")[0] == 1
    assert errno_of(os.chmod, m / "sessions" / f"{DAYS[0]}.failed", 0o444) == errno.ENOENT
    with open(day) as f:
        os.fchmod(f.fileno(), 0o444)
    assert frozen(m) == [DAYS[0]]


def test_a_queued_batch_is_cancelled(project, warehouse, mount, fault_binary, fault):
    add_troubled(project)
    m = mount(project, "timeout=3600", "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    with fault.holding("build"):
        os.utime(m / "sessions" / DAYS[0])
        wait_until(lambda: m.states("sessions")[DAYS[0]] == "running", what="it runs")
        os.utime(m / "sessions" / RANGE)
        waiting = start("sync", m / "sessions" / DAYS[2])
        wait_parked(waiting)
        assert chmod(m, "a-w", f"{DAYS[2]}.queued") == (0, "")
        # At once: who types ls after it sees it.
        assert m.states("sessions")[DAYS[2]] == "pending" and m.states("sessions")[DAYS[3]] == "queued"
        # A range with one that runs: none of it.
        status, said = chmod(m, "a-w", f"{DAYS[0]}--{DAYS[2]}")
        assert status == 1 and "busy" in said
        said = m.document("sessions", f"{DAYS[0]}--{DAYS[2]}")["last_refusal"]["message"]
        assert f"sessions/{DAYS[0]} is running" in said
        assert frozen(m) == [DAYS[2]] and m.states("sessions")[DAYS[1]] == "queued"
    done = finish(waiting)
    assert done.returncode == 1 and "canceled" in done.stderr
    m.sync("sessions", RANGE)
    assert built(warehouse, "sessions") == {d: 1 for d in (DAYS[0], DAYS[1], DAYS[3])}
    check_rows(warehouse, "sessions")


def test_a_running_batch_is_busy(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, NEVER_ENDS, DAYS[0])
    m = mount(project, "drain=0", "jobs=1", now=NOW)
    os.utime(m / "sessions" / DAYS[0])
    wait_until(lambda: m.states("sessions")[DAYS[0]] == "running", what="it runs")
    for name in (DAYS[0], f"{DAYS[0]}.running", "2024"):
        assert errno_of(os.chmod, m / "sessions" / name, 0o444) == errno.EBUSY
    assert m.document("sessions", DAYS[0])["last_refusal"]["errno"] == "EBUSY" and frozen(m) == []
    # Thawing has nothing to wait for.
    assert chmod(m, "a-w", DAYS[1]) == chmod(m, "u+w", "2024") == (0, "")
    os.unlink(m / "sessions" / DAYS[0])
    wait_until(lambda: m.states("sessions")[DAYS[0]] == "pending", what="it is cancelled")
    assert chmod(m, "a-w", DAYS[0]) == (0, "")


def test_it_outlives_the_mount(ready, warehouse, mount):
    m = mount(ready, now=NOW)
    assert chmod(m, "a-w", RANGE) == chmod(m, "a-w", ".full-refresh") == (0, "")
    who = m.document("sessions", DAYS[1])["frozen"]
    m.kill()
    m = mount(ready, now=NOW, at=m.path)
    assert frozen(m) == DAYS[1:4] and m.document("sessions", DAYS[1])["frozen"] == who
    assert m.document("sessions", ".model")["protected"] == "chmod"
    m.build("sessions", "2024")
    assert built(warehouse, "sessions") == {DAYS[0]: 1, DAYS[4]: 1}
    m.unmount()
    looking = mount(ready, "ro", now=NOW, at=m.path)
    assert frozen(looking) == DAYS[1:4]
    assert errno_of(os.chmod, looking / "sessions" / DAYS[1], 0o644) == errno.EROFS
    assert errno_of(os.chmod, looking / "sessions" / ".full-refresh", 0o644) == errno.EROFS


def test_protection(ready, mount):
    m = mount(ready, now=NOW)
    path = m / "sessions" / ".full-refresh"
    assert chmod(m, "a-w", ".full-refresh") == (0, "") and mode(m, ".full-refresh") == "-r--r--r--"
    said = m.document("sessions", ".full-refresh")
    assert said["protected"] == "chmod" == m.document("sessions", ".model")["protected"]
    assert f"uid {os.geteuid()} (chmod)" in said["message"]
    assert errno_of(os.utime, path) == errno.EPERM
    m.build("sessions", "2024-09")
    assert chmod(m, "u+w", ".full-refresh") == (0, "") and mode(m, ".full-refresh") == "-rw-r--r--"
    assert m.document("sessions", ".model")["protected"] is False
    assert errno_of(os.utime, path) == 0


def test_who_may(ready, warehouse, mount, public):
    nobody = 65534
    if os.geteuid():
        pytest.skip("other users are played by root only")
    m = mount(ready, "allow_other", f"uid={nobody}", "umask=000", now=NOW, at=public)

    def as_user(command, uid):
        done = shell(m / "sessions", command, user=uid, group=uid, extra_groups=[])
        return done.returncode, done.stderr

    status, said = as_user(f"chmod a-w {DAYS[0]}", nobody - 1)
    assert status and "not permitted" in said
    assert as_user(f"chmod a-w {DAYS[0]}", nobody) == (0, "")
    assert m.document("sessions", DAYS[0])["frozen"]["by"] == {"uid": nobody, "command": "chmod"}
    for uid in (nobody, nobody - 1):
        for command in (f"touch {DAYS[0]}", f"echo x > {DAYS[0]}"):
            status, said = as_user(command, uid)
            assert status and ("ermission denied" in said or "not permitted" in said), (command, uid)
    assert errno_of(os.utime, m / "sessions" / DAYS[0]) == errno.EPERM
    # The owner thaws what has no w bit left.
    assert as_user(f"chmod u+w {DAYS[0]} && touch {DAYS[0]}", nobody) == (0, "")
    assert asked_for(warehouse) == {DAYS[0]: 1}


@pytest.fixture
def shared(make_warehouse, tmp_path):
    """A project on a server, for two mounts."""
    warehouse = make_warehouse("postgres")
    make_events(warehouse)
    project = Project(tmp_path / "target", warehouse)
    add_sessions(project)
    return project


def test_two_mounts_see_it(shared, mount):
    a, b = mount(shared, now=NOW), mount(shared, now=NOW)
    assert mode(b, DAYS[0]) == mode(b, ".full-refresh") == mode(b, RANGE) == "-rw-r--r--"
    assert chmod(a, "a-w", RANGE) == chmod(a, "a-w", ".full-refresh") == (0, "")
    wait_until(lambda: frozen(b) == DAYS[1:4], what="the other mount knows of it")
    wait_until(lambda: mode(b, ".full-refresh") == "-r--r--r--", what="and of the protection")
    assert mode(b, DAYS[1]) == mode(b, RANGE) == "-r--r--r--"
    assert b.document("sessions", DAYS[1])["frozen"] == a.document("sessions", DAYS[1])["frozen"]
    assert errno_of(os.utime, b / "sessions" / DAYS[1]) == errno.EPERM
    assert chmod(b, "u+w", DAYS[1]) == chmod(b, "u+w", ".full-refresh") == (0, "")
    wait_until(lambda: frozen(a) == DAYS[2:4] and mode(a, ".full-refresh") == "-rw-r--r--", what="it is thawed")
    assert mode(a, DAYS[1]) == "-rw-r--r--"
    a.build("sessions", "2024")
    assert set(a.states("sessions").values()) == {"done", "partial", "pending"}


def test_what_the_other_mount_has_queued(shared, mount, fault_binary, fault):
    a, b = (mount(shared, "jobs=1", "timeout=3600", now=NOW, binary=fault_binary, env=fault.env()) for _ in "ab")
    with fault.holding("build"):
        os.utime(a / "sessions" / DAYS[0])
        wait_until(lambda: b.states("sessions")[DAYS[0]] == "running", what="one has its hands full")
        os.utime(b / "sessions" / DAYS[4])
        wait_until(lambda: "running" == a.states("sessions")[DAYS[4]], what="so has the other")
        os.utime(a / "sessions" / RANGE)
        waiting = start("sync", a / "sessions" / DAYS[2])
        wait_until(lambda: b.states("sessions")[DAYS[2]] == "queued", what="both know of the request")
        wait_parked(waiting)
        os.chmod(b / "sessions" / f"{DAYS[2]}--{DAYS[4]}", 0o444)
        assert b.states("sessions")[DAYS[3]] == "pending"
        wait_until(lambda: a.states("sessions")[DAYS[3]] == "pending", what="it is out of the queue")
    finish(waiting)
    for m in (a, b):
        m.sync("sessions", "2024")
    assert built(shared.warehouse, "sessions") == {d: 1 for d in (DAYS[0], DAYS[1], DAYS[4])}


def test_freezes_race_with_touches(shared, mount):
    """Two mounts touch and freeze at once: nothing is built between a freeze and its thaw."""
    mounts = mount(shared, now=NOW), mount(shared, now=NOW)
    rounds = 200 // SLOWER
    stop, wrong, refused = threading.Event(), [], set()

    def touch(m, seed):
        rng = random.Random(seed)
        while not stop.is_set():
            name = rng.choice([rng.choice(DAYS), RANGE, "2024-09", ".run", ".pending"])
            got = errno_of(os.utime, m / "sessions" / name)
            refused.add(got)
            if got not in (0, errno.EPERM):
                wrong.append(f"touch {name}: {errno.errorcode[got]}")

    threads = [threading.Thread(target=touch, args=(m, i)) for i, m in enumerate(mounts)]
    for thread in threads:
        thread.start()
    rng, done, busy = random.Random(7), 0, 0
    while done < rounds and not wrong:
        m, first = rng.choice(mounts), rng.randrange(4)
        end = rng.randrange(first + 1, 5)
        path = m / "sessions" / f"{DAYS[first]}--{DAYS[end]}"
        got = errno_of(os.chmod, path, 0o444)
        if got == errno.EBUSY:
            busy += 1
            continue
        before = {d: n for d, n in built(shared.warehouse, "sessions").items() if d in DAYS[first:end]}
        done += 1
        if rng.random() < 0.2:
            errno_of(os.chmod, rng.choice(mounts) / "sessions" / DAYS[first], 0o444)
        after = {d: n for d, n in built(shared.warehouse, "sessions").items() if d in DAYS[first:end]}
        if got or before != after:
            wrong.append(f"chmod {path.name}: {got}, {before} became {after}")
        got = errno_of(os.chmod, path, 0o644)
        if got:
            wrong.append(f"thaw {path.name}: {errno.errorcode[got]}")
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == [] and refused == {0, errno.EPERM}
    for m in mounts:
        os.chmod(m / "sessions" / "2024", 0o644)
    for m in mounts:
        # What the other mount's freeze has cancelled may be heard of only now.
        wait_until(lambda m=m: errno_of(m.sync, "sessions", "2024") == 0, what="all has settled")
    check_rows(shared.warehouse, "sessions")


def test_while_it_waits(ready, mount, fault_binary, fault):
    """A chmod that is not answered yet holds up nobody else, and ^C ends it."""
    m = mount(ready, "timeout=3600", now=NOW, binary=fault_binary, env=fault.env())
    names = (DAYS[0], RANGE, ".full-refresh")
    with fault.holding("request"):
        waiting = [start("chmod", "a-w", m / "sessions" / name) for name in names]
        for process in waiting:
            wait_parked(process)
        # From then on the name leads to another inode.
        wait_until(lambda: shell(m / "sessions", f"timeout 1 ls -l {' '.join(names)}").returncode == 0, what="ls goes on")
        assert [mode(m, name) for name in names] == 3 * ["-rw-r--r--"]
        waiting[2].send_signal(signal.SIGINT)
        assert finish(waiting[2]).returncode
    assert [finish(process).returncode for process in waiting[:2]] == [0, 0]
    wait_until(lambda: [mode(m, name) for name in names] == 3 * ["-r--r--r--"], what="all of them are recorded")
