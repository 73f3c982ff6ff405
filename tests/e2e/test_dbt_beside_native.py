# SPDX-License-Identifier: Apache-2.0
"""engine=postgres with project=: what only dbt can run is built by dbt, the rest here, over one store."""
import errno
import json
import os

import pytest

from lib.command import errno_of
from lib.dbt_played import DAYS, FAKE, NOW
from lib.events import make_events
from lib.project import Project
from lib.wait import wait_until

# As dbt does it: the table is made with the first batch, each replaces its window. Two mounts may be at two batches.
BUILD = r"""psql -qX service=warehouse -v ON_ERROR_STOP=1 <<SQL
set client_min_messages = warning;
begin;
do \$\$ begin perform pg_advisory_xact_lock(1); end \$\$;
create table if not exists an.sessions (event_time timestamp, n int);
delete from an.sessions where event_time >= '{batch}' and event_time < timestamp '{batch}' + interval '1 day';
insert into an.sessions select timestamp '{batch}' + interval '5 hours', i from generate_series(1, 4) i;
commit;
SQL"""


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def place(tmp_path):
    place = tmp_path / "project"
    place.mkdir()
    (place / "dbt_project.yml").write_text("name: proj\n")
    fake(place)
    return place


@pytest.fixture
def project(tmp_path, warehouse):
    make_events(warehouse)
    p = Project(tmp_path / "target", warehouse)
    p.source("events", event_time="event_time")
    p.model("before", "select event_time, id from {events}", inputs=["events"])
    node = p.model("sessions", "select event_time, id as n from {before}", inputs=["before"])
    node["raw_code"] += "{% if is_incremental() %} where true {% endif %}"
    p.model("after", "select event_time, n from {sessions}", inputs=["sessions"])
    return p


def fake(place, **how):
    (place / "fake.new").write_text(json.dumps({"shell": BUILD, **how}))
    (place / "fake.new").rename(place / "fake.json")


@pytest.fixture
def with_dbt(mount, project, place, tmp_path):
    env = {"XDG_STATE_HOME": str(tmp_path / "state")}
    return lambda: mount(project, f"project={place}", f"dbt={FAKE}", "chunk=10", now=NOW, env=env)


def built(place):
    path = place / "table.json"
    return json.loads(path.read_text()) if path.exists() else {}


def test_without_a_project_it_is_refused(mount, project):
    m = mount(project, now=NOW)
    assert errno_of(os.utime, m / "sessions" / DAYS[0]) == errno.EOPNOTSUPP
    assert m.document("sessions", ".model")["builder"] is None


def test_order_and_states_across_both(with_dbt, place, warehouse):
    a, b = with_dbt(), with_dbt()
    assert [a.document(m, ".model")["builder"] for m in ("before", "sessions", "after")] == ["postgres", "dbt", "postgres"]
    os.chmod(b / "sessions" / DAYS[4], 0o444)
    wait_until(lambda: a.document("sessions", DAYS[4])["frozen"], what="a sees what b has frozen")
    for model in ("before", "sessions", "after"):
        os.utime(a / model / "2024-09-01--2024-09-04")
    for model in ("before", "sessions", "after"):
        a.sync(model, "2024-09-01--2024-09-04")
    assert built(place) == dict.fromkeys(DAYS[:3], 1)
    assert warehouse.count("after") == 12
    for m in (a, b):
        wait_until(lambda: list(m.states("sessions").values()) == ["done"] * 3 + ["pending"] * 3, what=f"{m.path} shows all")
        batch = m.document("sessions", DAYS[1])
        # The table that dbt has made is nobody else's: nothing was adopted.
        assert (batch["builder"], batch["adopted"], batch["rows_inserted"], batch["attempt"]) == ("dbt", False, 4, 1)
    assert errno_of(os.utime, a / "sessions" / DAYS[4]) == errno.EPERM
    os.utime(a / "sessions" / ".validate")
    a.sync("sessions", ".validate")
    # A failure skips what reads it, whoever builds that; both go on by a touch.
    fake(place, batches={DAYS[3]: "fail no such column"})
    os.utime(a / "sessions" / DAYS[3])
    os.utime(a / "after" / DAYS[3])
    assert errno_of(a.sync, "after", DAYS[3]) == errno.EIO
    wait_until(lambda: (a.states("sessions")[DAYS[3]], a.states("after")[DAYS[3]]) == ("failed", "skipped"), what="skipped")
    fake(place)
    os.utime(a / "sessions" / DAYS[3])
    a.sync("after", DAYS[3])
    assert warehouse.count("after") == 16


def test_what_is_refused_stays_refused_whatever_becomes_of_the_table(mount, project, with_dbt, warehouse):
    node = project.model("each", "select event_time, id as n from {before}", inputs=["before"], full_refresh=True)
    node["raw_code"] += "{% if is_incremental() %} where true {% endif %}"
    m = with_dbt()

    def refused():
        assert errno_of(os.utime, m / "each" / DAYS[0]) == errno.EOPNOTSUPP
        assert "full_refresh: true" in m.document("each", ".model")["why_not"]

    refused()
    warehouse.sql("CREATE TABLE an.each AS SELECT timestamp '2024-09-02 05:00' AS event_time, 1 AS n")
    wait_until(lambda: m.states("each")[DAYS[1]] == "done", what="what holds rows is adopted")
    refused()
    os.chmod(m / "each" / DAYS[4], 0o444)
    warehouse.sql("DROP SCHEMA batchfs CASCADE")
    # Where nobody has asked for anything, another mount makes the schema that is read anew.
    other = mount(project, now=NOW)
    wait_until(lambda: not m.document("each", DAYS[4])["frozen"], what="all is read anew")
    refused()
    assert other.document("each", ".model")["builder"] is None


def test_a_table_that_others_have_made_is_looked_at(with_dbt, warehouse):
    m = with_dbt()
    warehouse.sql("CREATE TABLE an.sessions AS SELECT timestamp '2024-09-02 05:00' AS event_time, 1 AS n")
    wait_until(lambda: m.states("sessions")[DAYS[1]] == "done", what="what holds rows is adopted")
    assert m.document("sessions", DAYS[1])["adopted"]
    m.build("sessions", DAYS[0])
    assert not m.document("sessions", DAYS[0])["adopted"]
    assert errno_of(os.utime, m / "sessions" / ".full-refresh") == errno.EOPNOTSUPP
