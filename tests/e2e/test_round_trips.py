# SPDX-License-Identifier: Apache-2.0
"""How often the warehouse is waited for, on a link on which that costs."""
import os

import pytest

from lib.events import add_sessions, make_events
from lib.slow_link import SlowLink
from lib.truth import stored

DELAY = 0.005


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def link(warehouse):
    with SlowLink(warehouse.pg, DELAY) as made:
        yield made


@pytest.fixture
def m(project, warehouse, mount, link):
    make_events(warehouse, "2024-01-01", days=200, a_day=1)
    add_sessions(project, begin="2024-01-01", lookback=0)
    made = mount(project, "jobs=1", now="2024-06-29T12:00:00", env=link.env())
    # The table is made, the sessions are there, and what a batch takes is known.
    for batch in ("2024-01-01", "2024-01-02", "2024-01-03"):
        made.build("sessions", batch)
    return made


def trips_of(link, action, purpose=None):
    before = link.trips(purpose)
    action()
    return link.trips(purpose) - before


def test_a_touch_until_it_is_done_takes_three(m, link):
    """The request with its claim, the questions with the rows, the end. What is due now and then comes on top."""
    assert min(trips_of(link, lambda: m.build("sessions", "2024-01-01")) for _ in range(10)) <= 3


def test_a_run_of_neighbours_takes_one_a_batch(m, link, warehouse):
    """A batch's end and the next one's rows travel together; a run needs one more, and its claim."""
    claims = "SELECT count(*) FROM batchfs.attempt WHERE outcome = 'started'"

    def most():
        before = warehouse.sql(claims)[0][0]
        trips = trips_of(link, lambda: m.build("sessions", "2024-02-01--2024-05-11"), "worker")
        return trips + warehouse.sql(claims)[0][0] - before
    assert min(most() for _ in range(3)) <= 110
    assert len(stored(warehouse, "sessions")) == 103


def test_what_is_chosen_by_states_takes_one_more(m, link):
    """Whether the table still is the one that the states are of; so does a sync that has nothing to wait for."""
    assert min(trips_of(link, lambda: os.utime(m / "sessions" / ".failed"), "control") for _ in range(10)) <= 1
    assert min(trips_of(link, lambda: m.sync("sessions", "2024-01-01"), "control") for _ in range(10)) <= 1
