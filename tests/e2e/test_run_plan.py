# SPDX-License-Identifier: Apache-2.0
"""What .run takes in, and how long that is expected to take."""
import os

import pytest

from lib.events import add_sessions, make_events
from lib.truth import built
from lib.wait import wait_until

NOW = "2024-09-07T12:00:00"
READS = "select id, event_time, val from {sessions}"
DAYS = [f"2024-09-0{day}" for day in range(1, 8)]


@pytest.fixture
def family(project, warehouse):
    """sessions looks back further than daily and monthly, which read it."""
    make_events(warehouse)
    add_sessions(project, lookback=3)
    project.model("daily", READS, inputs=["sessions"], lookback=0)
    project.model("monthly", "select id, event_time, val from {daily}", inputs=["daily"], batch_size="month",
                  begin="2024-08-01", lookback=0)
    return project


@pytest.mark.parametrize("run", ["sessions+/.run", ".run"])
def test_nothing_is_stale_when_it_has_succeeded(family, warehouse, mount, run):
    m = mount(family, now=NOW)
    for times in range(1, 4):
        would_build = m.document(run)["would_build"]["batches"]
        before = sum(sum(built(warehouse, model).values()) for model in ("sessions", "daily", "monthly"))
        m.build(run)
        after = sum(sum(built(warehouse, model).values()) for model in ("sessions", "daily", "monthly"))
        states = {model: m.states(model) for model in ("sessions", "daily", "monthly")}
        assert not [s for of in states.values() for s in of.values() if s not in ("done", "partial")], states
        assert after - before == would_build
        assert built(warehouse, "daily")[DAYS[3]] == times and built(warehouse, "daily")[DAYS[2]] == 1
    why = m.document(run)["would_build"]["why"]
    assert why == {"lookback": 3, "partial": 3, "stale": 3}


def test_what_is_frozen_or_not_selected_stays(family, warehouse, mount):
    m = mount(family, now=NOW)
    m.build("sessions+", ".run")
    os.chmod(m / "daily" / DAYS[4], 0o444)
    m.build("sessions daily", ".run")
    assert m.states("daily") == {**dict.fromkeys(DAYS, "done"), DAYS[4]: "stale", DAYS[6]: "partial"}
    assert built(warehouse, "daily")[DAYS[4]] == 1
    # Of a model alone only itself.
    m.build("sessions", ".run")
    assert m.states("daily")[DAYS[5]] == "stale"


def test_estimates(family, warehouse, mount):
    """From the last builds, across a restart; no less than the slowest model, or the chain."""
    m = mount(family, "jobs=2" if warehouse.engine == "postgres" else "jobs=1", now=NOW)
    assert m.document("sessions", ".run")["would_build"]["seconds"] is None
    m.build("sessions", "2024")

    def seconds(*names):
        return m.document(*names)["would_build"]["seconds"]

    for _ in range(2):
        each = {model: seconds(model, ".run") for model in ("sessions", "daily", "monthly")}
        # What was never built is judged by what it stands beside.
        assert each["sessions"] is not None and seconds("sessions+", ".run") >= max(s or 0 for s in each.values())
        assert seconds("sessions+", "2024") >= seconds("sessions", "2024")
        assert m.document("sessions", "2024")["would_build"]["rows"] == warehouse.count("sessions")
        m.unmount()
        m.start()
    m.build("sessions+", ".run")
    # Its slowest model alone takes so long, and a chain of three longer than each.
    each = [seconds(model, "2024") for model in ("sessions", "daily", "monthly")]
    assert seconds("sessions+", "2024") >= max(each)
    wait_until(lambda: seconds(".run") is not None, what="an estimate of everything")
