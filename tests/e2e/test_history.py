# SPDX-License-Identifier: Apache-2.0
""".history: a line an attempt, whoever made it; bounded; followed by tail -f; never in anybody's way."""
import errno
import json
import os
import shutil
import signal

import pytest

from lib.command import errno_of, finish, run, shell, start, wait_parked
from lib.trouble import FAILS, FINE, NEVER_ENDS, add_troubled, set_days
from lib.wait import wait_until

NOW = "2024-09-07T12:00:00"
KEYS = ["at", "model", "batch", "attempt", "outcome", "seconds", "rows_deleted", "rows_inserted", "uid", "command",
        "reason", "sqlstate", "message"]


@pytest.fixture
def readers(project):
    """sessions, and daily which reads it."""
    add_troubled(project)
    return project.model("daily", "select id, event_time, val from {sessions}", inputs=["sessions"], lookback=0)


@pytest.fixture
def m(project, readers, mount, fault_binary, fault):
    return mount(project, "drain=0", now=NOW, binary=fault_binary, env=fault.env())


def history(m, *model):
    text = m.path.joinpath(*model, ".history").read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def outcomes(m, *model):
    return [(line["batch"], line["attempt"], line["outcome"]) for line in history(m, *model)]


def touch(m, *names):
    os.utime(m.path.joinpath(*names))


def end_sessions(warehouse):
    """What a killed daemon has left running on the server."""
    if warehouse.engine == "postgres":
        warehouse.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'batchfs%'")


def is_in(m, state, *names):
    wait_until(lambda: m.document(*names)["state"] == state, what=f"{names} {state}")


def test_every_outcome(m, warehouse, fault):
    assert history(m) == history(m, "sessions") == []
    set_days(warehouse, FAILS, "2024-09-02")
    m.build("sessions", "2024-09-01")
    with fault.holding("build"):
        (m / "sessions" / "2024-09-02").write_text("INC-4711\n")
        touch(m, "daily", "2024-09-02")
    assert errno_of(m.sync, "daily", "2024-09-02") == errno.EIO
    set_days(warehouse, NEVER_ENDS, "2024-09-03")
    touch(m, "sessions", "2024-09-03")
    is_in(m, "running", "sessions", "2024-09-03")
    os.unlink(m / "sessions" / "2024-09-03")
    is_in(m, "pending", "sessions", "2024-09-03")
    lines = history(m, "sessions")
    assert lines[2].pop("cancelled_by")["uid"] == os.getuid()
    assert all(list(line) == KEYS for line in lines)
    done, failed, cancelled = lines
    assert done.pop("at").startswith("2024-09-07T12:") and done.pop("seconds") >= 0
    assert done == {"model": "sessions", "batch": "2024-09-01", "attempt": 1, "outcome": "done", "rows_deleted": 0,
                    "rows_inserted": 4, "uid": os.getuid(), "command": done["command"], "reason": None,
                    "sqlstate": None, "message": None}
    assert done["command"]
    assert (failed["batch"], failed["outcome"], failed["reason"]) == ("2024-09-02", "failed", "INC-4711")
    assert failed["message"] and failed["rows_inserted"] is None
    assert failed["sqlstate"] == ("22012" if warehouse.engine == "postgres" else None)
    assert (cancelled["batch"], cancelled["outcome"], cancelled["message"]) == ("2024-09-03", "cancelled", None)
    (skipped,) = history(m, "daily")
    assert (skipped["batch"], skipped["outcome"], skipped["attempt"]) == ("2024-09-02", "skipped", 0)
    assert skipped["seconds"] is None and "sessions/2024-09-02" in skipped["message"]
    assert [(line["model"], line["outcome"]) for line in history(m)] == [
        ("sessions", "done"), ("sessions", "failed"), ("daily", "skipped"), ("sessions", "cancelled")]
    # What is tried again is not forgotten.
    set_days(warehouse, FINE)
    m.build("sessions", "2024-09-02.failed")
    assert outcomes(m, "sessions")[-1] == ("2024-09-02", 2, "done")
    assert len(history(m, "sessions")) == 4


def test_what_passes_is_an_attempt(m, fault):
    fault.set("build:error=40001*2")
    m.build("sessions", "2024-09-01")
    fault.clear()
    # The layer that makes them fail has another clock.
    assert sorted(outcomes(m, "sessions")) == [
        ("2024-09-01", 1, "failed"), ("2024-09-01", 2, "failed"), ("2024-09-01", 3, "done")]
    assert sorted(str(line["sqlstate"]) for line in history(m, "sessions")) == ["40001", "40001", "None"]


def test_interrupted_by_the_end_and_by_a_kill(project, readers, warehouse, mount):
    set_days(warehouse, NEVER_ENDS, "2024-09-01")
    m = mount(project, "drain=0", now=NOW)
    touch(m, "sessions", "2024-09-01")
    is_in(m, "running", "sessions", "2024-09-01")
    m.terminate()
    m = mount(project, "drain=0", now="2024-09-07T12:10:00", at=m.path)
    is_in(m, "running", "sessions", "2024-09-01")
    m.kill()
    end_sessions(warehouse)
    set_days(warehouse, FINE)
    again = mount(project, now="2024-09-07T12:30:00", at=m.path)
    again.sync("sessions", "2024-09-01")
    # A killed one of PostgreSQL is found by whoever looks next.
    wait_until(lambda: len(history(again)) == 3, what="three attempts")
    assert outcomes(again) == [("2024-09-01", 1, "interrupted"), ("2024-09-01", 2, "interrupted"),
                               ("2024-09-01", 3, "done")]


def test_as_any_file(m, tmp_path):
    m.build("sessions", "2024-09-01--2024-09-05")
    size = os.stat(m / ".history").st_size  # which nobody has opened
    assert {".history"} <= set(os.listdir(m.path)) & set(os.listdir(m / "sessions"))
    text = (m / ".history").read_text()
    assert text.count("\n") == 4 and len(text) == size
    shutil.copy(m / ".history", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == text
    for command, answer in {
            "cat .history": text, "cp .history {t}/2 && cat {t}/2": text, "wc -l < .history": "4\n",
            "wc -c < .history": f"{len(text)}\n", "grep -c done .history": "4\n", "head -n 1 .history": text.splitlines(True)[0],
            "tail -n 1 .history": text.splitlines(True)[-1], "tail -c 5 .history": text[-5:],
            "dd if=.history bs=7 2>/dev/null": text, "stat -c %a .history": "444\n"}.items():
        done = shell(m, command.format(t=tmp_path))
        assert (done.stdout, done.returncode) == (answer, 0), command
    fd = os.open(m / ".history", os.O_RDONLY)
    assert os.fstat(fd).st_size == len(text) and os.pread(fd, 10, len(text)) == b""
    os.close(fd)
    for call, args in ((os.utime, ()), (os.unlink, ()), (os.truncate, (0,)), (os.open, (os.O_WRONLY,))):
        assert errno_of(call, m / "sessions" / ".history", *args) == errno.EPERM, call


class Tail:
    def __init__(self, m, name):
        self.process = start("tail", "-n", "+1", "-f", m / name)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def shows(self, *batches):
        def enough():
            try:
                self.text += os.read(self.process.stdout.fileno(), 1 << 20).decode()
            except BlockingIOError:
                pass
            lines = [json.loads(line) for line in self.text.splitlines(True) if line[-1] == "\n"]
            # Two mounts with now= have two clocks.
            return sorted(line["batch"] for line in lines) == list(batches)
        wait_until(enough, what=f"tail -f shows {batches}")

    def end(self):
        self.process.terminate()
        os.set_blocking(self.process.stdout.fileno(), True)
        assert "truncated" not in finish(self.process).stderr


def test_its_size_is_known_where_nobody_has_it_open(m, fault, tmp_path):
    """Of what ended since it was last read, too: what looks at the size first copies all of it."""
    for day in ("2024-09-01", "2024-09-02"):
        m.build("sessions", day)
        for path in (".history", "sessions/.history"):
            size = os.stat(m / path).st_size
            archive = run("busybox", "tar", "cf", tmp_path / "archive", path, cwd=m.path)
            assert archive.returncode == 0, archive.stderr
            stored = run("tar", "xOf", tmp_path / "archive").stdout
            assert stored == (m / path).read_text() and len(stored) == size
            assert run("find", m / path, "-size", f"{size}c").stdout.splitlines() == [str(m / path)]
    copies = [run("rsync", "-ai", m / "sessions" / ".history", tmp_path / "copy").stdout for _ in range(2)]
    assert [c.startswith(">f") for c in copies] == [True, False], copies
    # Where the history cannot be read, a listing says what is known.
    m.build("sessions", "2024-09-03")
    with fault.holding("history"):
        assert os.stat(m / "sessions" / ".history").st_size == size
        assert run("ls", "-la", m / "sessions").returncode == 0
    assert os.stat(m / "sessions" / ".history").st_size > size


def test_tail_follows(m, fault):
    m.build("sessions", "2024-09-01")
    root, model, other = Tail(m, ".history"), Tail(m, "sessions/.history"), Tail(m, "daily/.history")
    for tail in (root, model):
        tail.shows("2024-09-01")
    m.build("sessions", "2024-09-02")
    for tail in (root, model):
        tail.shows("2024-09-01", "2024-09-02")
    m.build("daily", "2024-09-02")
    other.shows("2024-09-02")
    root.shows("2024-09-01", "2024-09-02", "2024-09-02")
    model.shows("2024-09-01", "2024-09-02")
    # A second reader sees what was just done, however soon it comes.
    m.build("sessions", "2024-09-03")
    assert outcomes(m, "sessions")[-1] == ("2024-09-03", 1, "done")
    for tail in (root, model, other):
        tail.end()
    text = (m / ".history").read_text()
    assert os.stat(m / ".history").st_size == len(text)


def test_a_reader_waits_for_the_warehouse_alone(project, readers, mount, fault_binary, fault):
    m = mount(project, "timeout=1", now=NOW, binary=fault_binary, env=fault.env())
    m.build("sessions", "2024-09-01")
    with fault.holding("history"):
        assert errno_of(os.open, m / ".history", os.O_RDONLY) == errno.ETIMEDOUT
        reader = start("cat", m / "sessions" / ".history")
        wait_parked(reader)
        assert run("ls", "-la", m.path, m / "sessions").returncode == 0
        m.build("sessions", "2024-09-02")
        reader.send_signal(signal.SIGINT)
        finish(reader)
    assert len(history(m)) == 2
    fault.set("history:error=ECONNREFUSED")
    assert errno_of(os.open, m / ".history", os.O_RDONLY) == errno.ECONNREFUSED
    assert (m.document("sessions", ".status")["last_refusal"] or {}).get("errno") != "ECONNREFUSED"
    assert errno_of(os.open, m / "sessions" / ".history", os.O_RDONLY) == errno.ECONNREFUSED
    assert m.document("sessions", ".status")["last_refusal"]["errno"] == "ECONNREFUSED"
    fault.clear()
    assert len(history(m)) == 2


def test_it_is_bounded(project, readers, warehouse, mount):
    first = mount(project, "history=3", now=NOW)
    for _ in range(5):
        first.build("sessions", "2024-09-01")
    assert [line["attempt"] for line in history(first, "sessions")] == [3, 4, 5]
    first.unmount()
    kept = ("SELECT (SELECT count(*) FROM batchfs.attempt WHERE outcome = 'done'), (SELECT count(*) FROM batchfs.request)"
            if warehouse.engine == "postgres" else "SELECT count(*), 1 FROM batchfs_attempt")
    assert warehouse.sql(kept)[0][0] == 5  # young ones: another mount may still have to see them
    later = mount(project, "history=3", now="2024-09-07T14:00:00", at=first.path)
    later.build("sessions", "2024-09-01")
    wait_until(lambda: warehouse.sql(kept)[0][0] == 3, what="only three are kept")
    assert [line["attempt"] for line in history(later, "sessions")] == [4, 5, 6]
    assert later.document("sessions", "2024-09-01")["attempt"] == 6
    if warehouse.engine == "postgres":
        # Those of the attempts that went have gone with them.
        wait_until(lambda: warehouse.sql(kept)[0][1] == 3, what="only three requests are kept")


def test_read_only(project, readers, mount):
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    m.unmount()
    m = mount(project, "ro", "history=1", now=NOW, at=m.path)
    assert outcomes(m) == outcomes(m, "sessions") == [("2024-09-01", 1, "done")]
    assert errno_of(os.utime, m / ".history") == errno.EROFS


@pytest.mark.parametrize("engine", ["postgres"])
def test_what_other_mounts_do(project, readers, mount):
    one, two, watcher = (mount(project, *o, now=NOW) for o in ((), (), ("ro",)))
    tails = [Tail(x, "sessions/.history") for x in (two, watcher)]
    one.build("sessions", "2024-09-01")
    two.build("sessions", "2024-09-02")
    for tail in tails:
        tail.shows("2024-09-01", "2024-09-02")
        tail.end()
    assert history(one) == history(two) == history(watcher)
