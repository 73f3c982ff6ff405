# SPDX-License-Identifier: Apache-2.0
"""A worker claims neighbours together; what it has not begun is still anybody's."""
import errno
import os
import signal

import pytest

from lib.command import errno_of, finish, parked_sync
from lib.events import make_events
from lib.hold import PostgresHold, add_held
from lib.trouble import add_troubled
from lib.truth import built, check_rows, claimed
from lib.wait import wait_until

NOW = "2024-09-21T12:00:00"
BUILT = [f"2024-09-{d:02}" for d in range(1, 5)]
HANGS = "2024-09-05"
REST = [f"2024-09-{d:02}" for d in range(6, 21)]
RANGE = "2024-09-05--2024-09-21"


def states(m):
    return m.states("sessions")


def hang(m, warehouse, n_claimed=2):
    """The range is asked for, its first batch hangs, and its neighbours are claimed with it."""
    os.utime(m / "sessions" / RANGE)
    wait_until(lambda: states(m)[HANGS] == "running", what="the first is held")
    assert claimed(warehouse, "sessions") >= n_claimed


# One worker, which holds its first batch as long as the test likes.
@pytest.fixture
def one(project, warehouse, mount, fault_binary, fault):
    add_troubled(project, days=24)
    m = mount(project, "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    m.build("sessions", "2024-09-01--2024-09-05")
    return m


class OnPostgres:
    # A SQLite file has one job and one mount.
    @pytest.fixture(params=["postgres"])
    def engine(self, request):
        return request.param

    @pytest.fixture
    def hold(self, project, warehouse):
        make_events(warehouse, days=24)
        hold = PostgresHold(warehouse)
        add_held(project, hold)
        return hold


class TestOthers(OnPostgres):
    @pytest.mark.parametrize("jobs", [2, 3])
    def test_an_idle_worker_builds_the_neighbours(self, project, warehouse, mount, hold, jobs):
        m = mount(project, f"jobs={jobs}", now=NOW)
        m.build("sessions", "2024-09-01--2024-09-05")
        hold.close(HANGS, "2024-09-06")
        hang(m, warehouse)
        for day in REST:
            m.sync("sessions", day)
        assert states(m)[HANGS] == "running"
        hold.open()
        m.sync("sessions", RANGE)
        assert built(warehouse, "sessions") == {d: 1 for d in [*BUILT, HANGS, *REST]}
        check_rows(warehouse, "sessions")

    def test_each_worker_hangs_in_a_batch_of_its_own(self, project, warehouse, mount, hold):
        m = mount(project, "jobs=3", now=NOW)
        m.build("sessions", "2024-09-01--2024-09-05")
        hold.close(HANGS, "2024-09-06")
        hold.close("2024-09-12", "2024-09-13")
        hang(m, warehouse)
        held = {HANGS, "2024-09-12"}
        for day in REST:
            if day not in held:
                m.sync("sessions", day)
        assert {d for d, s in states(m).items() if s == "running"} == held
        hold.open()
        m.sync("sessions", RANGE)
        assert built(warehouse, "sessions") == {d: 1 for d in [*BUILT, HANGS, *REST]}

    def test_who_reads_what_hangs_waits(self, project, warehouse, mount, hold):
        project.model("after", "select id, event_time, val from {sessions}", inputs=["sessions"])
        m = mount(project, "jobs=2", now=NOW)
        m.build("sessions", "2024-09-01--2024-09-05")
        hold.close(HANGS, "2024-09-06")
        hang(m, warehouse)
        os.utime(m / "after" / RANGE)
        for day in REST:
            m.sync("after", day)
        assert m.states("after")[HANGS] == "queued"
        hold.open()
        m.sync("after", RANGE)
        assert built(warehouse, "after") == {d: 1 for d in [HANGS, *REST]}
        check_rows(warehouse, "after")

    def test_another_mount_takes_over_what_an_ending_one_has_not_begun(self, project, warehouse, mount, hold,
                                                                       tmp_path):
        m = mount(project, "jobs=1", "drain=600", now=NOW)
        m.build("sessions", "2024-09-01--2024-09-05")
        hold.close(HANGS, "2024-09-06")
        hang(m, warehouse)
        other = mount(project, "jobs=1", now=NOW, at=tmp_path / "other")
        m.process.send_signal(signal.SIGTERM)
        for day in REST:
            other.sync("sessions", day)
        assert m.process.poll() is None and states(other)[HANGS] == "running"
        hold.open()
        assert m.wait_exit() == 0
        other.sync("sessions", RANGE)
        assert built(warehouse, "sessions") == {d: 1 for d in [*BUILT, HANGS, *REST]}

    def test_another_mount_cancels(self, project, warehouse, mount, hold, tmp_path):
        m = mount(project, "jobs=1", now=NOW)
        m.build("sessions", "2024-09-01--2024-09-05")
        hold.close(HANGS, "2024-09-06")
        hang(m, warehouse)
        other = mount(project, "jobs=1", now=NOW, at=tmp_path / "other")
        waiting = parked_sync(m / "sessions" / REST[0])
        os.unlink(other / "sessions" / REST[0])
        assert "canceled" in finish(waiting).stderr
        wait_until(lambda: states(m)[REST[0]] == states(other)[REST[0]] == "pending", what="it is cancelled")
        assert states(m)[HANGS] == "running"
        hold.open()
        m.sync("sessions", RANGE)
        assert built(warehouse, "sessions") == {d: 1 for d in [*BUILT, HANGS, *REST[1:]]}

    def test_another_mount_freezes(self, project, warehouse, mount, hold, tmp_path):
        m = mount(project, "jobs=1", now=NOW)
        m.build("sessions", "2024-09-01--2024-09-05")
        hold.close(HANGS, "2024-09-06")
        hang(m, warehouse)
        other = mount(project, "jobs=1", now=NOW, at=tmp_path / "other")
        waiting = parked_sync(m / "sessions" / REST[0])
        # The first has begun, and nothing is frozen with it.
        assert errno_of(os.chmod, other / "sessions" / RANGE, 0o444) == errno.EBUSY
        assert other.document("sessions", ".run")["frozen"] == []
        os.chmod(other / "sessions" / f"{REST[0]}--{REST[2]}", 0o444)
        assert "canceled" in finish(waiting).stderr
        wait_until(lambda: {states(x)[d] for x in (m, other) for d in REST[:2]} == {"pending"},
                   what="both mounts know of it")
        assert states(m)[HANGS] == "running"
        hold.open()
        m.sync("sessions", RANGE)
        assert built(warehouse, "sessions") == {d: 1 for d in [*BUILT, HANGS, *REST[2:]]}


@pytest.mark.parametrize("name, days", [(REST[2], REST[2:3]), ("2024-09-08--2024-09-11", REST[2:5]), (".queued", REST)])
def test_rm(one, warehouse, fault, name, days):
    with fault.holding("build"):
        hang(one, warehouse)
        waiting = parked_sync(one / "sessions" / days[0])
        os.unlink(one / "sessions" / name)
        done = finish(waiting)
        assert done.returncode == 1 and "canceled" in done.stderr
        wait_until(lambda: {states(one)[d] for d in days} == {"pending"}, what=f"{name} is cancelled")
        assert states(one)[HANGS] == "running"
        # Who asks again gets it built.
        os.utime(one / "sessions" / days[0])
    one.sync("sessions", RANGE)
    left = {HANGS, *REST} - set(days[1:])
    assert built(warehouse, "sessions") == {d: 1 for d in [*BUILT, *left]}
    check_rows(warehouse, "sessions")


@pytest.mark.parametrize("name, days", [(REST[2], REST[2:3]), ("2024-09-08--2024-09-11", REST[2:5])])
def test_freeze(one, warehouse, fault, name, days):
    with fault.holding("build"):
        hang(one, warehouse)
        waiting = parked_sync(one / "sessions" / days[0])
        assert errno_of(os.chmod, one / "sessions" / HANGS, 0o444) == errno.EBUSY
        os.chmod(one / "sessions" / name, 0o444)
        done = finish(waiting)
        assert done.returncode == 1 and "canceled" in done.stderr
        assert {states(one)[d] for d in days} == {"pending"}
        assert states(one)[HANGS] == "running"
    one.sync("sessions", RANGE)
    left = {HANGS, *REST} - set(days)
    assert built(warehouse, "sessions") == {d: 1 for d in [*BUILT, *left]}
    assert all(one.document("sessions", d)["frozen"] for d in days)
    assert not one.document("sessions", HANGS)["frozen"]
