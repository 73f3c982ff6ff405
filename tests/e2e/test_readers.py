# SPDX-License-Identifier: Apache-2.0
"""Whatever a document is read with, all of it is read, and nobody pays for what somebody else reads."""
import contextlib
import errno
import json
import mmap
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.command import errno_of, finish, run, shell, start, wait_parked
from lib.trouble import FAILS, add_troubled, set_days
from lib.wait import SLOWER, wait_until

NOW = "2024-09-07T12:00:00"
HOURS = "2019--2025"
busybox = pytest.mark.skipif(not shutil.which("busybox"), reason="no busybox")

DOCUMENTS = ("sessions/2024-09-01", "sessions/2024-09-02.failed", "sessions/2024-09", "sessions/.failed", "sessions/.run",
             "sessions/.status", "sessions/.model", "sessions/.full-refresh", "sessions/.history", ".status", ".history",
             "sessions/2024-09-01.sql", "sessions/2024-09.sql", "sessions+/.status", "sessions+/.run", "sessions+/2024-09")


@pytest.fixture
def m(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, FAILS, "2024-09-02")
    m = mount(project, now=NOW)
    assert errno_of(m.build, "sessions", "2024-09-01--2024-09-04") == errno.EIO
    return m


def output(*args):
    done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def plain(m, name):
    with open(m / name, "rb", buffering=0) as f:
        return b"".join(iter(lambda: f.read(1 << 16), b""))


def steady(text):
    """Without what a clock decides."""
    if not text.startswith(b"{\n"):
        return text
    d = json.loads(text)
    for one in (d, *d.get("models", {}).values()):
        one.pop("lag", None)
    return d


def mapped(path):
    with open(path, "rb") as f, mmap.mmap(f.fileno(), os.fstat(f.fileno()).st_size, mmap.MAP_PRIVATE, mmap.PROT_READ) as m:
        return bytes(m)


def sent(path, to):
    """By sendfile, without asking for the size."""
    with open(path, "rb") as f, open(to, "wb") as out:
        while os.sendfile(out.fileno(), f.fileno(), None, 1 << 24):
            pass
    return to.read_bytes()


def test_every_way_of_reading(m, tmp_path):
    for name in DOCUMENTS:
        check_every_way(m, tmp_path, name)


def check_every_way(m, tmp_path, name):
    path, out = m / name, tmp_path / "out"
    expected = plain(m, name)
    assert expected.endswith(b"\n") and not expected.endswith(b"\n\n") and b" \n" not in expected
    ways = {
        "cat": lambda: output("cat", path),
        "cp": lambda: (output("cp", path, out), out.read_bytes())[1],
        "dd": lambda: output("dd", f"if={path}", "bs=7", "status=none"),
        "mmap": lambda: mapped(path),
        "sendfile": lambda: sent(path, out),
        "tail": lambda: output("tail", "-c", "+1", path),
        "tar": lambda: (output("tar", "-cf", out, "-C", path.parent, path.name),
                        output("tar", "-xOf", out))[1],
        "rsync": lambda: (output("rsync", "--inplace", path, out), out.read_bytes())[1],
    }
    if shutil.which("busybox"):
        ways["busybox cat"] = lambda: output("busybox", "cat", path)
        ways["busybox cp"] = lambda: (output("busybox", "cp", path, out), out.read_bytes())[1]
    for how, read in ways.items():
        out.unlink(missing_ok=True)
        assert steady(read()) == steady(expected), (name, how)
    assert int(output("wc", "-c", path).split()[0]) == len(expected)
    assert os.stat(path).st_size == len(expected)


def test_no_document_has_blank_lines(m):
    for name in (name for name in DOCUMENTS if not name.endswith(".sql")):
        text = plain(m, name).decode()
        assert all(line.strip() for line in text.splitlines()), name


def test_what_is_open_does_not_change(m):
    """Who has begun to read reads on in the same text; who has only opened it and asks for the size gets the new one."""
    path = m / "sessions" / "2024-09-05"
    begun, waiting = os.open(path, os.O_RDONLY), os.open(path, os.O_RDONLY)
    first = os.read(begun, 20)
    m.build("sessions", "2024-09-05")
    rest = os.read(begun, 1 << 16)
    assert json.loads(first + rest)["state"] == "pending" and os.read(begun, 1) == b""
    size = os.fstat(waiting).st_size
    text = os.read(waiting, 1 << 16)
    assert len(text) == size and json.loads(text)["state"] == "done"
    for fd in begun, waiting:
        os.close(fd)
    assert os.stat(path).st_size == len(plain(m, "sessions/2024-09-05")) == len(text)


@busybox
def test_busybox_sees_what_has_grown(m):
    """Its cat asks for no size: what the kernel remembers is of the shorter document before."""
    path = m / "sessions" / "2024-09-06"
    before = os.stat(path).st_size
    run("busybox", "cat", path)
    (m / "sessions" / "2024-09-06").write_text("a reason that makes it longer than it was\n")
    m.sync("sessions", "2024-09-06")
    text = run("busybox", "cat", path).stdout
    assert len(text) > before and json.loads(text)["reason"].startswith("a reason")
    assert errno_of(os.utime, path, (0, 0)) == errno.EPERM
    assert json.loads(output("busybox", "cat", path))["last_refusal"]["errno"] == "EPERM"


@busybox
@pytest.mark.parametrize("how", [("busybox", "cat"), ("busybox", "cp"), ("cp",), ("dd",)])
def test_progress_waits_whoever_reads(project, warehouse, mount, fault_binary, fault, tmp_path, how):
    add_troubled(project)
    m = mount(project, "timeout=3600", now=NOW, binary=fault_binary, env=fault.env())
    path, out = m / "sessions" / "2024-09-01--2024-09-03.progress", tmp_path / "out"
    with fault.holding("build"):
        os.utime(m / "sessions" / "2024-09-01--2024-09-03")
        reader = start(*how, f"if={path}", f"of={out}") if how == ("dd",) else start(*how, path, *[out] * (how[-1] == "cp"))
        wait_parked(reader)
    done = finish(reader)
    assert done.returncode == 0, done.stderr
    text = out.read_text() if out.exists() else done.stdout
    assert text.splitlines()[-1].startswith("[##########] 2/2 done, 0 failed")


@pytest.fixture
def hourly(project, warehouse, mount):
    warehouse.sql(f"CREATE TABLE {warehouse.relation('events')} (id bigint, event_time "
                  f"{'timestamptz' if warehouse.engine == 'postgres' else 'text'}, val int)")
    project.source("events", event_time="event_time")
    project.model("hours", "select id, event_time, val from {events}", inputs=["events"], begin="2019-01-01",
                  batch_size="hour")
    project.model("days", "select id, event_time, val from {events}", inputs=["events"], begin="2019-01-01")
    return mount(project, now="2025-12-31T12:00:00")


@contextlib.contextmanager
def many_open(path, n):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    held = []
    try:
        for _ in range(n):
            held.append(os.open(path, os.O_RDONLY))
        yield held
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(m):
    for line in Path(f"/proc/{m.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def grew_less(m, before, limit):
    """Under a sanitizer, which keeps what is freed and shadows all, the resident memory is not the daemon's own."""
    return SLOWER > 1 or resident(m) - before < limit


def test_the_sql_of_a_range_is_that_of_its_batches(hourly):
    path = hourly / "hours" / f"{HOURS}.sql"
    size = os.stat(path).st_size
    count = sum(hourly.document("hours", HOURS)["states"].values())
    assert count > 50000
    with open(path, "rb") as f:
        head = f.read(1 << 14)
        f.seek(size - 1000)
        end = f.read()[-300:]
        assert len(end) == 300 and f.read() == b"" and f.seek(0, os.SEEK_END) == size
        where = size // 2
        f.seek(where)
        middle = f.read(3000)
        f.seek(where + 1234)
        assert f.read(500) == middle[1234:1734]
    assert head.startswith(plain(hourly, "hours/2019-01-01T00.sql"))
    assert plain(hourly, "hours/2024-12-31T23.sql").endswith(end)
    day = b"".join(plain(hourly, f"hours/2024-02-29T{h:02}.sql") for h in range(24))
    heads = day.count(b"-- the target")
    if heads:
        line, _, _ = day.partition(b"\n")
        day = line + b"\n" + day.replace(line + b"\n", b"")
    assert plain(hourly, "hours/2024-02-29.sql") == day
    assert len(output("cat", path)) == size


def test_who_opens_much_pays_for_himself(hourly):
    m = hourly
    path = m / "hours" / f"{HOURS}.sql"
    size = os.stat(path).st_size
    assert size > 20 << 20
    before = resident(m)
    with many_open(path, 50) as held:
        for i, fd in enumerate(held):
            assert len(os.pread(fd, 4096, i * size // 50)) == 4096
            assert os.fstat(fd).st_size == size
        assert grew_less(m, before, 16 << 20)
        with many_open(m / "hours" / f"{HOURS}.progress", 200):
            assert grew_less(m, before, 24 << 20)
        assert m.document("days", "2024-09-01")["state"] == "pending"


def test_texts_that_nobody_reads_are_bounded(m):
    before = resident(m)
    with many_open(m / "sessions" / "2024-09-01", 1) as first, many_open(m / ".status", 12000) as held:
        size = os.fstat(held[-1]).st_size
        assert len(held) * size > 16 << 20
        assert grew_less(m, before, 40 << 20)
        # The first one has lost its text, and says so; whoever opens anew reads all of it.
        assert errno_of(os.read, first[0], 100) == errno.ESTALE
        assert len(os.read(held[-1], 1 << 20)) == size
        assert m.document("sessions", "2024-09-01")["state"] == "done"


def test_readers_through_the_page_cache_of_one_inode(m, tmp_path):
    """Each has the text of when it was opened; the pages are one set, and what fills them is not for who came later."""
    path, out = m / "sessions" / "2024-09-05", tmp_path / "out"

    def send(fd):
        with open(out, "wb") as to:
            try:
                while os.sendfile(to.fileno(), fd, None, 1 << 24):
                    pass
            except OSError as e:
                assert e.errno == errno.EINVAL and to.tell() == 0
                while text := os.read(fd, 1 << 16):
                    os.write(to.fileno(), text)
        return out.read_text()

    def state(text):
        return json.loads(text)["state"]

    def opened_now():
        fd = os.open(path, os.O_RDONLY)
        try:
            return send(fd)
        finally:
            os.close(fd)

    before, looking = os.open(path, os.O_RDONLY), os.open(path, os.O_RDONLY)
    with mmap.mmap(looking, os.fstat(looking).st_size, mmap.MAP_PRIVATE, mmap.PROT_READ) as pages:
        assert json.loads(bytes(pages))["state"] == "pending"
        m.build("sessions", "2024-09-05")
        after = os.open(path, os.O_RDONLY)
        assert state(send(before)) == "pending"
        assert json.loads(bytes(pages))["state"] == "pending"
        # What the mapping has filled goes as soon as it is there.
        wait_until(lambda: opened_now() == plain(m, "sessions/2024-09-05").decode(), what="who comes later has a text of his own")
        assert state(send(after)) == "done" and os.stat(path).st_size == len(plain(m, "sessions/2024-09-05"))
    for fd in before, looking, after:
        os.close(fd)
