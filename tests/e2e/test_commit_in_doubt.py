# SPDX-License-Identifier: Apache-2.0
"""A connection that is cut at a COMMIT: before it reached the server, after it, and while it is under way."""
import os

import pytest

from lib.events import add_sessions, make_events
from lib.proxy import ANSWERED, BEFORE, UNHEARD, Proxy
from lib.truth import built, check_rows, requests
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
# What only a transaction of that kind sends.
REQUEST, CLAIM, BATCH = "insert into batchfs.request", "set run = 1, attempt = ", 'insert into "an"."sessions"'
WHERE = [BEFORE, ANSWERED, UNHEARD]


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def proxy(pg):
    with Proxy(pg) as proxy:
        yield proxy


@pytest.fixture
def sessions(project, warehouse, proxy, mount):
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, "timeout=20", now=NOW, env=proxy.env())
    # The target is made now: from here on a batch is all that is sent.
    m.build("sessions", "2024-09-04")
    assert built(warehouse, "sessions") == {"2024-09-04": 1}
    return m


def check(mount, warehouse, days):
    """Each of the days was asked for once and built once."""
    wait_until(lambda: {"queued", "running"}.isdisjoint(mount.states("sessions").values()), what="all has settled")
    days = {"2024-09-04", *days}
    assert {batch for batch, state in mount.states("sessions").items() if state != "pending"} == days
    assert built(warehouse, "sessions") == dict.fromkeys(days, 1)
    assert check_rows(warehouse, "sessions") == dict.fromkeys(days, 4)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("mark", [REQUEST, CLAIM, BATCH], ids=["request", "claim", "batch"])
def test_cut_at_a_commit(sessions, warehouse, proxy, mark, where):
    cut = proxy.cut(mark, where)
    sessions.build("sessions", "2024-09-02")
    assert cut.done == 1
    assert len(requests(warehouse)) == 2
    check(sessions, warehouse, ["2024-09-02"])
    if mark == BATCH and where == ANSWERED:
        assert sessions.document("sessions", "2024-09-02")["attempt"] == 1


@pytest.mark.parametrize("mark", [REQUEST, CLAIM, BATCH], ids=["request", "claim", "batch"])
def test_cut_three_times_in_a_row(sessions, warehouse, proxy, mark):
    cut = proxy.cut(mark, BEFORE, times=3)
    sessions.build("sessions", "2024-09-02")
    assert cut.done == 3
    assert len(requests(warehouse)) == 2
    check(sessions, warehouse, ["2024-09-02"])


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("after", [0, 1, 2])
def test_cut_inside_a_range(sessions, warehouse, proxy, where, after):
    cut = proxy.cut(BATCH, where, after=after)
    sessions.build("sessions", "2024-09-01--2024-09-04")
    assert cut.done == 1
    assert len(requests(warehouse)) == 2
    check(sessions, warehouse, ["2024-09-01", "2024-09-02", "2024-09-03"])
    if where == ANSWERED:
        assert [sessions.document("sessions", f"2024-09-0{d}")["attempt"] for d in (1, 2, 3)][after] == 1


def test_cut_at_every_turn(sessions, warehouse, proxy):
    """The first request meets three cuts before it is known to be recorded; batches meet the others."""
    cuts = [proxy.cut(mark, where) for mark in (REQUEST, BATCH) for where in WHERE]
    for day in (1, 2, 3):
        os.utime(sessions / "sessions" / f"2024-09-0{day}")
    sessions.sync("sessions", "2024")
    assert [cut.done for cut in cuts] == [1] * len(cuts)
    assert len(requests(warehouse)) == 4
    check(sessions, warehouse, [f"2024-09-0{day}" for day in (1, 2, 3)])
