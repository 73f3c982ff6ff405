# SPDX-License-Identifier: Apache-2.0
"""A run is of many batches, and its table is looked at when it begins: another table takes its place in the middle."""
import os
import threading

import pytest

from lib.events import make_events
from lib.hold import PostgresHold, add_held
from lib.truth import stored
from lib.wait import wait_until

NOW = "2024-09-21T12:00:00"
DAYS = [f"2024-09-{day:02}" for day in range(1, 22)]
EXCHANGE = """ALTER TABLE an.sessions RENAME TO sessions_was;
              CREATE TABLE an.sessions (LIKE an.sessions_was)"""


@pytest.fixture(params=["postgres"])
def engine(request):
    return request.param


def is_true(m, warehouse):
    """Done is what has rows in the table that is there."""
    states = m.states("sessions")
    has = set(stored(warehouse, "sessions"))
    return {d for d in DAYS if states[d] in ("done", "partial")} == has and set(states.values()) <= {"done", "partial", "pending"}


def test_what_is_built_after_it_is_shown_and_nothing_else(project, warehouse, mount):
    make_events(warehouse, days=len(DAYS) + 4, a_day=1)
    hold = PostgresHold(warehouse)
    add_held(project, hold)
    m = mount(project, "jobs=1", "drain=0", "look=0", now=NOW)
    # So quick that all of them are claimed together.
    m.build("sessions", "2024-09-01--2024-09-21")
    hold.close(f"{DAYS[4]} 00:00", f"{DAYS[4]} 23:59")
    os.utime(m / "sessions" / "2024-09-01--2024-09-21")
    wait_until(lambda: m.states("sessions")[DAYS[4]] == "running", what="the fifth is held")
    other = threading.Thread(target=warehouse.sql, args=(EXCHANGE,))
    other.start()
    wait_until(lambda: warehouse.sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
                                     )[0][0] > 0, what="the other waits for the batch that runs")
    hold.open()
    other.join()
    m.sync("sessions", "2024-09-01--2024-09-21")
    wait_until(lambda: is_true(m, warehouse), what="the tree tells the truth about the table")
    assert m.states("sessions")[DAYS[0]] == "pending"
    m.build("sessions", ".run")
    # Once, too: what is there was not built again.
    assert set(stored(warehouse, "sessions").values()) == {1} and is_true(m, warehouse)
    assert m.states("sessions")[DAYS[0]] == "done"
