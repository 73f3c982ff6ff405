# SPDX-License-Identifier: Apache-2.0
"""rm means what its user could know of: of several mounts on one PostgreSQL."""
import os

import pytest

from lib.command import finish, parked_sync
from lib.events import make_events
from lib.hold import PostgresHold, add_held
from lib.truth import built
from lib.wait import wait_until

NOW = "2024-09-06T12:00:00"
DAYS = [f"2024-09-0{day}" for day in range(1, 6)]
RANGE = "2024-09-01--2024-09-06"
FULL = ("jobs=1", "drain=0", "timeout=3600")


# A SQLite file has one mount.
@pytest.fixture(params=["postgres"])
def engine(request):
    return request.param


@pytest.fixture
def hold(project, warehouse):
    make_events(warehouse)
    hold = PostgresHold(warehouse)
    add_held(project, hold)
    return hold


def wait_state(m, state, *days):
    def seen():
        found = m.states("sessions")
        return {found[d] for d in days} == {state}
    wait_until(seen, what=f"{m.path}: {days} are {state}")


def two_full_mounts(project, mount, hold, **of_first):
    """The first runs the first day, the second the second one, the others are queued."""
    hold.close()
    first = mount(project, *FULL, now=NOW, **of_first)
    os.utime(first / "sessions" / DAYS[0])
    wait_state(first, "running", DAYS[0])
    second = mount(project, *FULL, now=NOW)
    os.utime(first / "sessions" / "2024-09-02--2024-09-06")
    wait_state(first, "running", *DAYS[:2])
    wait_state(second, "running", *DAYS[:2])
    return first, second


def test_what_others_ask_for_before_the_rm_is_recorded(project, mount, hold, warehouse, fault_binary, fault):
    first, second = two_full_mounts(project, mount, hold, binary=fault_binary, env=fault.env())
    path = first / "sessions" / DAYS[2]
    waiting = parked_sync(path)
    with fault.holding("request"):
        os.unlink(path)
        os.unlink(first / "sessions" / DAYS[0])
        os.unlink(first / "sessions" / DAYS[3])
        os.utime(second / "sessions" / DAYS[2])
        os.utime(second / "sessions" / DAYS[0])
    # Whoever waited where it was cancelled is told that, and not what others make of it.
    assert "canceled" in finish(waiting).stderr
    wait_state(second, "pending", DAYS[3])
    hold.open()
    for m in (first, second):
        m.sync("sessions", "2024-09-01--2024-09-04")
        m.sync("sessions", DAYS[4])
        wait_state(m, "done", *DAYS[:3], DAYS[4])
        wait_state(m, "pending", DAYS[3])
    assert sorted(built(warehouse, "sessions")) == sorted({*DAYS} - {DAYS[3]})
    wait_until(lambda: warehouse.sql("SELECT count(*) FROM batchfs.request WHERE open")[0][0] == 0,
               what="no request is left open")


@pytest.mark.parametrize("way", ["rm", "chmod"])
def test_who_comes_after_ones_own_rm_is_told_of_that_of_another(project, mount, hold, way):
    first, second = two_full_mounts(project, mount, hold)
    path = first / "sessions" / DAYS[2]
    os.unlink(path)
    for m in (first, second):
        wait_state(m, "pending", DAYS[2])
    os.utime(path)
    wait_state(second, "queued", DAYS[2])
    waiting = parked_sync(path)
    if way == "rm":
        os.unlink(second / "sessions" / DAYS[2])
    else:
        os.chmod(second / "sessions" / DAYS[2], 0o444)
    done = finish(waiting)
    assert done.returncode == 1 and "canceled" in done.stderr
