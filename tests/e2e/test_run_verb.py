# SPDX-License-Identifier: Apache-2.0
"""touch .run: the model is brought up to date."""
import errno
import os

import pytest

from lib.command import errno_of, shell
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.truth import asked_for, built, check_rows

NOW = "2024-09-04T12:00:00"


@pytest.fixture
def m(project, warehouse, mount):
    add_troubled(project, begin="2024-08-30", lookback=1)
    return mount(project, now=NOW)


def test_run_is_listed(m):
    assert ".run" in os.listdir(m / "sessions")
    assert os.stat(m / "sessions" / ".run").st_mode & 0o777 == 0o644
    listed = {e.name: e.inode() for e in os.scandir(m / "sessions")}
    assert listed[".run"] == os.stat(m / "sessions" / ".run").st_ino
    assert errno_of(os.unlink, m / "sessions" / ".run") == errno.EPERM


def test_it_says_what_it_would_build_and_builds_that(m, warehouse):
    m.build("sessions", "2024-09-01")
    set_days(warehouse, FAILS, "2024-08-31")
    assert errno_of(m.build, "sessions", "2024-08-31") == errno.EIO
    before = built(warehouse, "sessions")
    d = m.document("sessions", ".run")
    assert (d["batches"], d["would_build"]["batches"]) == (6, 5)
    assert d["would_build"]["why"]["failed"] == 1 and d["would_build"]["first"] == "2024-08-30"
    set_days(warehouse, FINE, "2024-08-31")
    assert shell(m / "sessions", "echo nightly > .run && sync .run").returncode == 0
    added = built(warehouse, "sessions") - before
    assert added == {d: 1 for d in ("2024-08-30", "2024-08-31", "2024-09-02", "2024-09-03", "2024-09-04")}
    assert m.document("sessions", "2024-08-30")["reason"] == "nightly"
    # What is open, and the lookback before it.
    assert m.document("sessions", ".run")["would_build"]["batches"] == 2
    check_rows(warehouse, "sessions")


def test_it_fails_as_its_batches_do(m, warehouse):
    set_days(warehouse, FAILS, "2024-09-03")
    assert errno_of(m.build, "sessions", ".run") == errno.EIO
    set_days(warehouse, FINE, "2024-09-03")
    m.build("sessions", ".run")
    assert set(m.states("sessions").values()) == {"done", "partial"}


def test_a_model_that_cannot_run(project, warehouse, mount):
    add_troubled(project, name="broken", contract={"enforced": True})
    m = mount(project, now=NOW)
    assert os.stat(m / "broken" / ".run").st_mode & 0o777 == 0o444
    assert errno_of(os.utime, m / "broken" / ".run") == errno.EOPNOTSUPP
    assert errno_of(os.utime, m / "broken" / ".failed") == errno.EOPNOTSUPP
    assert asked_for(warehouse) == {}
