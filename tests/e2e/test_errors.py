# SPDX-License-Identifier: Apache-2.0
"""
Every errno of the table in batchfs(5), as a user meets it: the error of a system call, and the sentence behind a refusal in
the JSON of the file that it is about.
"""
import errno
import os
import re
from pathlib import Path

import pytest

from lib.command import errno_of, finish, parked_sync, shell
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
NOBODY = 65534
MAN_PAGE = Path(__file__).resolve().parents[2] / "docs" / "man" / "batchfs.5"

# The test of each errno; a case adds itself.
TESTED = {}


def of(*names):
    """Marks the test as that of these errnos."""
    def mark(test):
        TESTED.update({name: test for name in names})
        return test
    return mark


def refused(m, name, call, path, *args):
    """The call fails with the errno, and the file's document says the same with a sentence."""
    path = m.path.joinpath(*path)
    assert errno.errorcode[errno_of(call, path, *args)] == name
    refusal = m.document(path)["last_refusal"]
    assert refusal["errno"] == name and len(refusal["message"].split()) > 3, refusal
    return refusal


@pytest.fixture
def faulty(ready, mount, fault, fault_binary):
    """A mount whose engine fails as the test wants."""
    def make(*options):
        return mount(ready, *options, now=NOW, binary=fault_binary, env=fault.env())
    return make


@of("EPERM")
def test_protected_frozen_and_no_such_operation(ready, mount):
    m = mount(ready, now=NOW)
    os.chmod(m / "sessions" / ".full-refresh", 0o444)
    refused(m, "EPERM", os.utime, ("sessions", ".full-refresh"))
    os.chmod(m / "sessions" / "2024-09-01", 0o444)
    refused(m, "EPERM", os.utime, ("sessions", "2024-09-01"))
    batch = m / "sessions" / "2024-09-02"
    operations = [(os.mkdir, m / "sessions" / "2025"), (os.rmdir, m / "sessions"), (os.rename, batch, m / "sessions" / "x"),
                  (os.symlink, "x", m / "sessions" / "x"), (os.link, batch, m / "sessions" / "x"),
                  (os.mknod, m / "sessions" / "x"), (os.chown, batch, 1, 1), (os.unlink, batch),
                  (os.unlink, m / "sessions" / ".model")]
    assert {call.__name__: errno_of(call, *args) for call, *args in operations} == {
        call.__name__: errno.EPERM for call, *_ in operations}
    assert m.states("sessions") == {f"2024-09-0{day}": "pending" for day in range(1, 5)}


@of("EROFS")
def test_read_only(ready, mount):
    m = mount(ready, "ro", now=NOW)
    for path in (("sessions", "2024-09-01"), ("sessions", "2024-09"), ("sessions", ".run"), ("sessions", ".full-refresh")):
        assert errno_of(os.utime, m.path.joinpath(*path)) == errno.EROFS
        assert errno_of(os.chmod, m.path.joinpath(*path), 0o444) == errno.EROFS
    assert errno_of(os.unlink, m / "sessions" / "2024-09-01") == errno.EROFS


@of("EACCES")
def test_mode_bits(ready, mount, public):
    if os.geteuid():
        pytest.skip("only root can become another user")
    m = mount(ready, "allow_other", now=NOW, at=public)
    done = shell(m, "touch sessions/2024-09-01", user=NOBODY, group=NOBODY, extra_groups=[])
    assert done.returncode and "Permission denied" in done.stderr
    assert m.states("sessions")["2024-09-01"] == "pending"


@of("ENOENT")
def test_no_such_batch(ready, mount):
    m = mount(ready, now=NOW)
    names = ("2024-08-31", "2024-09-05", "2030", "2024-09-01.failed", "2024-09-31", "2024-9-1", "yesterday", ".statusses")
    assert {name: errno_of(os.stat, m / "sessions" / name) for name in names} == {name: errno.ENOENT for name in names}
    assert errno_of(os.stat, m / "no_such_model") == errno.ENOENT
    # What was true when its name was looked up, and is not any more.
    fd = os.open(m / "sessions" / "2024-09-01.pending", os.O_PATH)
    m.build("sessions", "2024-09-01")
    assert errno_of(os.utime, f"/proc/self/fd/{fd}") == errno.ENOENT
    os.close(fd)


@of("EINVAL")
def test_ranges_without_batches_and_sync_of_directories(ready, mount):
    m = mount(ready, now=NOW)
    for name in ("2024-09-03--2024-09-03", "2024-09-03--2024-09-01", "2025--2024"):
        assert errno_of(os.utime, m / "sessions" / name) == errno.EINVAL
    assert [errno_of(m.sync, *path) for path in ((), ("sessions",))] == [errno.EINVAL] * 2


@of("EBUSY")
def test_freezing_a_running_batch(faulty, fault):
    m = faulty()
    with fault.holding("build"):
        os.utime(m / "sessions" / "2024-09-01")
        wait_until(lambda: m.states("sessions")["2024-09-01"] == "running")
        refused(m, "EBUSY", os.chmod, ("sessions", "2024-09-01"), 0o444)
    m.sync("sessions", "2024-09-01")
    os.chmod(m / "sessions" / "2024-09-01", 0o444)


@of("EOPNOTSUPP")
def test_a_model_that_cannot_be_built_here(ready, mount):
    ready.model("hooked", "select id, event_time, val from {events}", inputs=["events"],
                **{"post-hook": [{"sql": "select '{{ run_started_at }}'"}]})
    m = mount(ready, now=NOW)
    for name in ("2024-09-01", "2024-09", ".run", ".full-refresh"):
        assert errno_of(os.utime, m / "hooked" / name) == errno.EOPNOTSUPP
    model = m.document("hooked", ".model")
    assert not model["runnable"] and "post-hook holds Jinja" in model["why_not"]
    assert model["builder"] is m.document("hooked", "2024-09-01")["builder"] is None


@of("ECONNREFUSED", "EHOSTUNREACH")
@pytest.mark.parametrize("name", ["ECONNREFUSED", "EHOSTUNREACH"])
def test_the_warehouse_cannot_be_reached(faulty, fault, name):
    m = faulty()
    fault.set(f"request:error={name}")
    refused(m, name, os.utime, ("sessions", "2024-09-01"))
    fault.clear()
    assert m.states("sessions")["2024-09-01"] == "pending"
    m.build("sessions", "2024-09-01")


@of("ETIMEDOUT")
def test_no_answer_in_time_may_have_been_recorded(faulty, fault):
    m = faulty("timeout=1")
    with fault.holding("request"):
        refused(m, "ETIMEDOUT", os.utime, ("sessions", "2024-09-01"))
        refused(m, "ETIMEDOUT", os.open, ("sessions", "2024-09-02"), os.O_WRONLY | os.O_TRUNC)
        said = refused(m, "ETIMEDOUT", os.chmod, ("sessions", "2024-09-03"), 0o444)
        assert "may have been recorded" in said["message"]
    m.build("sessions", "2024-09-01")


@of("EIO")
def test_sync_of_what_has_failed(faulty, fault):
    m = faulty()
    fault.set("build:error=23505*1")
    os.utime(m / "sessions" / "2024-09-01--2024-09-03")
    assert errno_of(m.sync, "sessions", "2024-09-01--2024-09-03") == errno.EIO
    assert errno_of(m.sync, "sessions", "2024-09-01") == errno.EIO
    assert m.document("sessions", "2024-09-01")["error"]["sqlstate"] == "23505"


@of("ENODATA")
def test_sync_of_what_nobody_has_asked_for(ready, mount):
    m = mount(ready, now=NOW)
    assert errno_of(m.sync, "sessions", "2024-09-01") == errno.ENODATA


@of("ECANCELED")
def test_sync_of_what_is_cancelled(faulty, fault):
    m = faulty()
    with fault.holding("build"):
        os.utime(m / "sessions" / "2024-09-01")
        wait_until(lambda: m.states("sessions")["2024-09-01"] == "running")
        waiting = parked_sync(m / "sessions" / "2024-09-01")
        os.unlink(m / "sessions" / "2024-09-01")
        done = finish(waiting)
    assert done.returncode and "Operation canceled" in done.stderr
    assert m.states("sessions")["2024-09-01"] == "pending"


@of("EUCLEAN")
def test_sync_of_a_validation_that_has_found_something(ready, warehouse, mount):
    m = mount(ready, now=NOW)
    m.build("sessions", "2024-09-01")
    warehouse.sql(f"DELETE FROM {warehouse.relation('sessions')} WHERE id = 8")
    os.utime(m / "sessions" / ".validate")
    assert errno_of(m.sync, "sessions", ".validate") == errno.EUCLEAN


def test_every_errno_of_the_man_page_is_tested():
    section = MAN_PAGE.read_text().split(".SH ERRORS")[1].split(".SH")[0]
    documented = set(re.findall(r"\b(E[A-Z]{2,})\b", "\n".join(re.findall(r"^\.BR? (.*)", section, re.M))))
    assert documented == set(TESTED)
