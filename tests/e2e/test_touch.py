# SPDX-License-Identifier: Apache-2.0
"""What builds and what does not: each command on a batch of its own, and what was recorded for it is counted."""
import errno
import os
import re
import shutil
import subprocess
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from lib.command import errno_of, run, shell
from lib.events import add_sessions, make_events
from lib.tools import UTIME_NOW, UTIME_OMIT, utimensat, uutils
from lib.truth import asked_for, built
from lib.wait import wait_until

NOW = "2024-12-31T12:00:00"
BEGIN = date(2024, 9, 1)

# Shell, in the model's directory; $f is a batch, $t a directory of its own, which holds 5 bytes in $t/src.
ONCE = {
    "touch": "touch $f",
    "touch -m": "touch -m $f",
    "touch -c": "touch -c $f",
    "touch -d now": "touch -d now $f",
    "touch -d, a second ago": "touch -d '1 second ago' $f",
    "touch suffixed": "touch $f.pending",
    "busybox touch": "busybox touch $f",
    "busybox touch -c": "busybox touch -c $f",
    "true >": ": > $f",
    "echo >": "echo why > $f",
    "echo >>": "echo why >> $f",
    "tee": "echo why | tee $f",
    "tee -a": "echo why | tee -a $f",
    "two writers of one redirection": "(echo one; echo two) > $f",
    "a long text": "head -c 200000 /dev/zero > $f",
    "cp": "cp $t/src $f",
    "busybox cp": "busybox cp $t/src $f",
    "truncate -s 0": "truncate -s 0 $f",
    "write, then ftruncate": "python3 -c 'import os, sys; f = open(sys.argv[1], \"r+\"); f.write(\"why\");"
                             " f.flush(); os.ftruncate(f.fileno(), 3)' $f",
    "dd": "dd if=$t/src of=$f status=none",
    "dd conv=notrunc": "dd if=$t/src of=$f conv=notrunc status=none",
    "dd conv=fsync": "dd if=$t/src of=$f conv=fsync status=none",
    "dd oflag=sync": "dd if=$t/src of=$f oflag=sync bs=1 status=none",
    "perl": "perl -e 'utime undef, undef, $ARGV[0]' $f",
    "make": "printf '%s: $t/src\\n\\ttouch $@\\n' $f | make -s -f -",
}
REFUSED = {
    "touch -d": "touch -d 2020-01-01 $f",
    "touch -d, in the future": "touch -d '1 hour' $f",
    "touch -r": "touch -r $t/old $f",
    "touch -t": "touch -m -t 202001010000 $f",
    "busybox touch -d": "busybox touch -d 2020-01-01 $f",
    "truncate -s 99": "truncate -s 99 $f",
    "truncate -s +1": "truncate -s +1 $f",
    "fallocate": "fallocate -l 99 $f",
    "chmod": "chmod 600 $f",
    "chmod +x": "chmod +x $f",
    "chmod of a period": "chmod g+x ${f%-*}",
    "chmod of a directory": "chmod 700 .",
    "chown": "chown 1 $f",
    "chgrp": "chgrp 1 $f",
    "rm": "rm $f",
    "rm -f": "rm -f $f",
    "rm suffixed": "rm -f $f.pending",
    "rm -r": "rm -rf ../sessions",
    "unlink": "unlink $f",
    "mv within": "mv $f 2024-09-01",
    "mv to a new name": "mv $f new",
    "mv away": "mv $f $t/moved",
    "mv here": "cp $t/src $t/m && mv -f $t/m $f",
    "ln": "ln $f new",
    "ln -s": "ln -s $f new",
    "ln from outside": "ln $t/src new",
    "mkdir": "mkdir new",
    "rmdir": "rmdir ../sessions",
    "mkfifo": "mkfifo new",
    "touch new": "touch new",
    "touch a wrong suffix": "touch $f.failed",
    "echo > new": "echo x > new",
    "cp to a new name": "cp $t/src new",
    "install": "install $t/src $f",
    "sed -i": "sed -i s/done/failed/ $f",
    "rsync -a": "rsync -a $t/src $f",
    "cp --remove-destination": "cp --remove-destination $t/src $f",
    "tar x": "cd $t && cp src $f && tar cf x.tar $f && cd - && tar xf $t/x.tar",
    "touch of a directory": "touch .",
    "touch of a document": "touch .model",
    "write to a document": "echo x > .status",
    "sync of a directory": "sync .",
}
NOTHING = {
    "touch -a": "touch -a $f",
    "cat": "cat $f > /dev/null",
    "grep": "grep -q pending $f",
    "head": "head -c 10 $f > /dev/null",
    "tail": "tail -n 1 $f > /dev/null",
    "wc": "wc $f > /dev/null",
    "md5sum": "md5sum $f > /dev/null",
    "stat": "stat $f > /dev/null",
    "test -w": "test -w $f && test -e $f.pending",
    "cp out": "cp $f $t/copy && cmp $f $t/copy",
    "cp -p out": "cp -p $f $t/copy",
    "dd out": "dd if=$f of=$t/copy status=none",
    "tar c": "tar cf $t/x.tar $f",
    "rsync out": "rsync -a $f $t/copy",
    "du": "du $f > /dev/null",
    "find": "find . -newer $t/old -name '*.failed' > /dev/null",
    "ls -l": "ls -l > /dev/null",
    "exec 3<>": "exec 3<> $f",
    "exec 3>>": "exec 3>> $f",
    "flock": "flock $f true",
    "set -C": "(set -C; : > $f) 2> /dev/null || true",
    "true < ": "cat < $f > /dev/null",
    "vim, only looked at": "vim -u NONE -es -n -R -c q $f > /dev/null",
}


def day(number):
    return f"{BEGIN + timedelta(days=number)}"


@pytest.fixture
def m(project, warehouse, mount):
    make_events(warehouse, first="2024-09-01", days=100, a_day=1)
    add_sessions(project)
    return mount(project, now=NOW)


class Workbench:
    """Gives each command a batch of its own, and a place outside."""

    def __init__(self, m, path):
        self.m, self.path, self.used = m, path, []

    def sh(self, name, command):
        """(exit status, the messages)"""
        batch = day(len(self.used))
        self.used.append((name, batch))
        t = self.path / str(len(self.used))
        t.mkdir()
        (t / "src").write_text("text\n")
        (t / "old").touch()
        os.utime(t / "old", (0, 10**9))
        done = shell(self.m / "sessions", f"f={batch} t={t}\n{command}",
                     env={"f": batch, "t": str(t), "TERM": "dumb", "HOME": str(t)})
        return done.returncode, done.stderr

    def requests(self, warehouse):
        counts = asked_for(warehouse)
        return {name: counts[batch] for name, batch in self.used}


@pytest.fixture
def bench(m, tmp_path):
    return Workbench(m, tmp_path)


def need_tools(*names):
    missing = [n for n in names if not shutil.which(n)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}")


def test_what_asks_for_a_build_asks_once(m, bench, warehouse):
    need_tools("busybox", "perl", "make")
    ended = {name: bench.sh(name, command) for name, command in ONCE.items()}
    assert ended == {name: (0, "") for name in ONCE}
    assert bench.requests(warehouse) == dict.fromkeys(ONCE, 1)
    m.sync("sessions", "2024")
    built_days = built(warehouse, "sessions")
    assert {name: built_days[batch] for name, batch in bench.used} == dict.fromkeys(ONCE, 1)
    assert {m.document("sessions", batch)["attempt"] for _, batch in bench.used} == {1}


def test_what_is_refused_changes_nothing(m, bench, warehouse):
    need_tools("busybox", "rsync")
    ended = {name: bench.sh(name, command) for name, command in REFUSED.items()}
    assert [name for name, (status, _) in ended.items() if status == 0] == []
    words = ("Operation not permitted", "No such file", "Invalid argument", "nonexistent", "File exists",
             "Invalid cross-device link")
    assert {name: said for name, (_, said) in ended.items() if not any(w in said for w in words)} == {}
    assert asked_for(warehouse) == {}
    assert set(m.states("sessions").values()) == {"pending"} and len(m.states("sessions")) == 122
    assert os.stat(m / "sessions" / day(5)).st_mode & 0o777 == 0o644


def test_what_only_looks_does_nothing(m, bench, warehouse):
    need_tools("rsync", "vim")
    ended = {name: bench.sh(name, command) for name, command in NOTHING.items()}
    assert ended == {name: (0, "") for name in NOTHING}
    assert asked_for(warehouse) == {}


def test_copies_with_attributes_build_once_and_say_that_those_were_refused(bench, warehouse):
    need_tools("rsync")
    ended = [bench.sh("cp -p", "touch -d 2020-01-01 $t/src; cp -p $t/src $f"),
             bench.sh("rsync --inplace", "rsync --inplace $t/src $f")]
    assert ended[0][0] == 1 and "Operation not permitted" in ended[0][1]
    assert bench.requests(warehouse) == {"cp -p": 1, "rsync --inplace": 1}


def test_touching_twice_asks_twice_and_promises_a_build_after_each(m, bench, warehouse):
    assert bench.sh("twice", "touch $f $f && sync $f") == (0, "")
    assert bench.requests(warehouse) == {"twice": 2}
    assert 1 <= m.document("sessions", day(0))["attempt"] <= 2


def times_now():
    now = time.time_ns()
    return {
        "NULL": (None, None), "both now": (UTIME_NOW, UTIME_NOW), "mtime now": (UTIME_OMIT, UTIME_NOW),
        "atime old, mtime now": (10**18, UTIME_NOW), "written out": (now, now), "the second": (now, now - now % 10**9),
        "a second ahead": (UTIME_OMIT, now + 10**9)}


TIMES_NOT = {
    "an hour ago": (UTIME_OMIT, -3600), "in an hour": (UTIME_OMIT, 3600), "5 s ago": (UTIME_NOW, -5),
    "in 10 s": (UTIME_NOW, 10)}


def test_times(m, warehouse):
    files = iter([m / "sessions" / day(i) for i in range(50)])
    asking = {name: next(files) for name in times_now()}
    for name, path in asking.items():
        utimensat(path, *times_now()[name])
    counts = asked_for(warehouse)
    assert {name: counts[path.name] for name, path in asking.items()} == dict.fromkeys(asking, 1)
    for atime, mtime in TIMES_NOT.values():
        assert errno_of(utimensat, next(files), atime, time.time_ns() + mtime * 10**9) == errno.EPERM
    for far in (0, 10**9 * 2**33):
        assert errno_of(utimensat, next(files), UTIME_OMIT, far) == errno.EPERM
    for atime in (UTIME_NOW, UTIME_OMIT, 10**18, time.time_ns()):
        utimensat(next(files), atime, UTIME_OMIT)
    assert asked_for(warehouse) == counts
    # The system's clock counts, not that of now=.
    assert errno_of(os.utime, next(files), (0, 1735646400)) == errno.EPERM


def append(path):
    with open(path, "a") as f:
        f.write("why")


def futimens(path):
    with open(path, "rb") as f:
        os.utime(f.fileno())


def test_python(m, warehouse):
    asking = {
        "os.utime": os.utime, "Path.touch": lambda p: p.touch(), "open w": lambda p: open(p, "w").close(),
        "write_text": lambda p: p.write_text("why"), "os.utime(now)": lambda p: os.utime(p, (time.time(), time.time())),
        "ftruncate": lambda p: os.truncate(p, 0), "append": append,
        "futimens": futimens, "shutil.copyfile": lambda p: shutil.copyfile(__file__, p)}
    for number, call in enumerate(asking.values()):
        call(m / "sessions" / day(number))
    counts = asked_for(warehouse)
    assert {name: counts[day(i)] for i, name in enumerate(asking)} == dict.fromkeys(asking, 1)
    quiet = m / "sessions" / day(40)
    open(quiet, "a").close()
    open(quiet, "r+").close()
    open(quiet).read()
    with open(quiet, "r+b") as f:
        assert errno_of(os.posix_fallocate, f.fileno(), 0, 10) == errno.EPERM
        assert errno_of(os.fchmod, f.fileno(), 0o600) == errno.EPERM
    assert errno_of(os.setxattr, quiet, "user.x", b"1") == errno.EPERM
    assert errno_of(open, m / "sessions" / "new", "x") == errno.ENOENT
    assert errno_of(os.mknod, m / "sessions" / "new") in (errno.EPERM, errno.ENOENT)
    assert errno_of(os.symlink, "a", m / "sessions" / "new") == errno.EPERM
    assert errno_of(os.rename, quiet, m / "sessions" / day(41)) == errno.EPERM
    assert asked_for(warehouse) == counts


def test_reasons(m):
    for number, (command, kept) in enumerate({
            "echo 'late events' > $f": "late events", "echo again >> $f": "again",
            "(echo one; echo two) > $f": "one", "printf 'first\\nsecond\\n' > $f": "first\nsecond",
            "echo by tee | tee $f": "by tee", "echo quoted | dd of=$f status=none": "quoted",
            "printf '  \\n' > $f": None, ": > $f": None, "touch $f": None}.items()):
        f = day(number)
        assert shell(m / "sessions", f"f={f}; {command} && sync $f").returncode == 0
        d = m.document("sessions", f)
        assert (command, d["reason"], d["state"], d["attempt"]) == (command, kept, "done", 1)
        assert d["requested_by"]["uid"] == os.geteuid()
    commands = {m.document("sessions", day(n))["requested_by"]["command"] for n in range(9)}
    assert commands == {"sh", "tee", "dd", "touch"}


def test_a_reason_reaches_every_batch_of_a_range(m):
    assert shell(m, "echo 'backfill 42' > sessions/2024-10 && sync sessions/2024-10").returncode == 0
    assert {m.document("sessions", d)["reason"] for d in ("2024-10-01", "2024-10-31")} == {"backfill 42"}
    assert m.document("sessions", "2024-09-30")["reason"] is None


def test_uutils(m, warehouse):
    program = uutils()
    if not program:
        pytest.skip("no uutils: name its multi-call binary in BATCHFS_UUTILS")
    for number, args in enumerate((["touch"], ["touch", "-c"], ["touch", "-m"])):
        done = run(program, *args, m / "sessions" / day(number))
        assert (done.returncode, done.stderr) == (0, "")
    assert [asked_for(warehouse)[day(n)] for n in range(3)] == [1, 1, 1]
    assert run(program, "touch", "-d", "2020-01-01", m / "sessions" / day(3)).returncode == 1
    # It writes the mtime that it has read, which is none that may be set.
    run(program, "touch", "-a", m / "sessions" / day(4))
    # Its sync FILE calls sync(2); with -d it waits for the file.
    assert run(program, "sync", "-d", m / "sessions" / day(0)).returncode == 0
    assert m.document("sessions", day(0))["state"] == "done"
    # Before 0.1 it did not look at what fdatasync(2) said.
    if not run(program, "sync", "--version").stdout.split()[-1].startswith("0.0."):
        assert run(program, "sync", "-d", m / "sessions" / day(3)).returncode == 1
    assert sum(asked_for(warehouse).values()) == 3


def test_watch_sees_the_change(m):
    need_tools("watch")
    watch = subprocess.Popen(["watch", "-g", "-t", "-n", "0.1", f"cat {m / 'sessions' / day(0)}"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env={**os.environ, "TERM": "vt100"})

    def built_again():
        m.build("sessions", day(0))
        return watch.poll() is not None

    try:
        wait_until(built_again, what="watch -g has seen a build")
        assert watch.returncode == 0, watch.stderr.read()
    finally:
        watch.kill()
        watch.wait()


def touch_newer(path, than):
    """The clock of other file systems is coarser: they may say that what is later was earlier."""
    def touched():
        path.touch()
        return os.stat(path).st_mtime_ns > os.stat(than).st_mtime_ns

    wait_until(touched, what=f"{path} is newer than {than}")


def test_make_and_find_newer(project, warehouse, mount, tmp_path):
    """By the system's clock: files outside are compared with what was built."""
    need_tools("make")
    begin = date.today() - timedelta(days=3)
    make_events(warehouse, first=f"{begin}", days=4)
    add_sessions(project, begin=f"{begin}")
    m = mount(project)
    (tmp_path / "Makefile").write_text(
        f"out: {m / 'sessions'}/{begin}\n\tcp $< $@\n\t@until [ $@ -nt $< ]; do touch $@; done\n"
        f"{m / 'sessions'}/{begin}: source\n\ttouch $@ && sync $@\n")
    source = tmp_path / "source"
    source.touch()

    def made():
        done = run("make", "-C", tmp_path, "out")
        assert done.returncode == 0, done.stderr
        return done.stdout.count("touch"), done.stdout.count("cp ")

    assert made() == (1, 1) and made() == (0, 0)
    m.build("sessions", f"{begin}")
    assert made() == (0, 1) and made() == (0, 0)
    touch_newer(source, m / "sessions" / f"{begin}")
    assert made() == (1, 1) and m.document("sessions", f"{begin}")["attempt"] == 3
    stamp = tmp_path / "stamp"
    touch_newer(stamp, m / "sessions" / f"{begin}")
    find = ["find", m / "sessions", "-newer", stamp, "-name", "[0-9]*", "-printf", "%f\\n"]
    assert run(*find).stdout == ""
    m.build("sessions", f"{begin + timedelta(days=1)}")
    assert run(*find).stdout.split() == [f"{begin + timedelta(days=1)}"]


def test_trees_are_copied_whole(m, tmp_path):
    need_tools("rsync")
    m.build("sessions", "2024-09")
    commands = [f"tar cf - sessions | tar xf - -C {tmp_path}/tar", f"rsync -a sessions {tmp_path}/rsync",
                f"cp -rp sessions {tmp_path}/cp", f"busybox cp -r sessions {tmp_path}/busybox"]
    names = set(os.listdir(m / "sessions"))
    for command in commands:
        to = Path(command.split()[-1])
        to.mkdir()
        done = shell(m, command)
        assert (done.returncode, done.stderr) == (0, ""), command
        copies = {p.name: p.read_bytes() for p in (to / "sessions").iterdir()}
        assert set(copies) == names and len(names) == 130
        # Until somebody opens it its size is 1, because nobody knows it, and these two believe that.
        if command.startswith(("tar", "busybox")):
            copies[".history"] = (m / "sessions" / ".history").read_bytes()
        mounted = {n: (m / "sessions" / n).read_bytes() for n in names}
        # The one thing in them that goes on with the clock.
        for texts in (mounted, copies):
            texts[".status"] = re.sub(rb'"lag": \d+', b'"lag": 0', texts[".status"]).rstrip()
        assert mounted == copies, command
    copied, batch = (os.stat(top / "sessions" / "2024-09-01") for top in (tmp_path / "cp", m.path))
    assert copied.st_mtime_ns == batch.st_mtime_ns
    done = shell(m, "grep -rlE '\"state\": \"done\"' sessions | sort")
    assert done.stdout.split() == [f"sessions/{day(n)}" for n in range(30)]
    assert shell(m, "grep -rc done . > /dev/null; find . -type f -exec cat {} + | wc -c").stdout.strip() == str(
        sum(os.stat(m / "sessions" / n).st_size for n in names - {".history"})
        + sum(os.stat(m / n).st_size for n in set(os.listdir(m.path)) - {".history", "sessions"})
        + sum(len((m / n).read_bytes()) for n in (".history", "sessions/.history")))


