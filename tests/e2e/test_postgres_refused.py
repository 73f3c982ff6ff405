# SPDX-License-Identifier: Apache-2.0
"""What cannot be prepared or built fails with its reason, nothing stays queued; and runs once the reason has gone."""
import errno
import os

import pytest

from lib.command import errno_of
from lib.events import add_sessions, make_events
from lib.refused import ALL, builds_again
from lib.truth import stored
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
# The sessions of the two slow lanes, which come when there is something for them, have names of their own.
WORKERS = "SELECT pid, backend_start FROM pg_stat_activity WHERE application_name LIKE 'batchfs:%:worker'"
COPY = "CREATE TABLE an.sessions AS SELECT * FROM an.events WITH NO DATA"


@pytest.fixture
def engine():
    return "postgres"


def test_a_partitioned_target_is_a_table(project, warehouse, mount):
    """Rows go where they belong; a batch for which there is no partition fails with the server's reason."""
    make_events(warehouse)
    add_sessions(project)
    warehouse.sql("CREATE TABLE an.sessions (LIKE an.events) PARTITION BY RANGE (event_time);"
                  " CREATE TABLE an.early PARTITION OF an.sessions FOR VALUES FROM ('2024-09-01') TO ('2024-09-03');"
                  " CREATE TABLE an.late PARTITION OF an.sessions FOR VALUES FROM ('2024-09-03') TO ('2024-09-04')")
    m = mount(project, now=NOW)
    for _ in range(2):
        m.build("sessions", "2024-09-01--2024-09-04")
    os.utime(m / "sessions" / "2024-09-04")
    assert errno_of(m.sync, "sessions", "2024-09-04") == errno.EIO
    assert "no partition" in m.document("sessions", "2024-09-04")["error"]["message"]
    assert warehouse.sql("SELECT tableoid::regclass::text, count(*) FROM an.sessions GROUP BY 1 ORDER BY 1") == [
        ("an.early", 8), ("an.late", 4)]
    warehouse.sql("CREATE TABLE an.rest PARTITION OF an.sessions DEFAULT")
    m.build("sessions", "2024-09-04")
    assert stored(warehouse, "sessions") == ALL


@pytest.mark.parametrize("state, sql", {
    "08P01": "select id, event_time, val from {events} where id <> $1",
    "08006": "select id, event_time, val from {events} where an.unreachable('08006')",
    "08001": "select id, event_time, val from {events} where an.unreachable('08001')",
}.items(), ids=lambda x: x[:5])
def test_only_libpq_says_that_a_connection_is_lost(project, warehouse, mount, state, sql):
    make_events(warehouse)
    warehouse.sql("CREATE FUNCTION an.unreachable(state text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS"
                  " $$ BEGIN RAISE EXCEPTION 'connection to the remote node n:5432 failed' USING ERRCODE = state; END $$")
    project.source("events", event_time="event_time")
    project.model("sessions", sql, inputs=["events"])
    warehouse.sql(COPY)
    m = mount(project, "jobs=1", now=NOW)
    os.utime(m / "sessions" / "2024-09-01")
    assert errno_of(m.sync, "sessions", "2024-09-01") == errno.EIO
    document = m.document("sessions", "2024-09-01")
    assert document["error"]["sqlstate"] == state and document["attempt"] == (1 if state == "08P01" else 6)
    assert ("a server behind the warehouse" in document["error"]["message"]) == (state != "08P01")
    assert m.document(".status")["mount"]["warehouse"] == "connected"
    started = warehouse.sql(WORKERS)
    assert len(started) == 1
    assert errno_of(os.utime, m / "sessions" / "2024-09-01") == 0
    assert errno_of(m.sync, "sessions", "2024-09-01") == errno.EIO
    assert warehouse.sql(WORKERS) == started


def test_a_name_that_the_server_cuts(project, warehouse, mount):
    """dbt counts characters, PostgreSQL bytes."""
    make_events(warehouse)
    project.source("events", event_time="event_time")
    name = "ä" * 40
    project.model("sessions", "select id, event_time, val from {events}", inputs=["events"], alias=name)
    m = mount(project, now=NOW)
    assert errno_of(os.utime, m / "sessions" / "2024-09") == errno.EOPNOTSUPP
    assert "80 bytes" in m.document("sessions", ".model")["why_not"]


def test_an_input_whose_name_the_server_cuts_is_found(project, warehouse, mount):
    name = "é" * 40
    make_events(warehouse, name=name)
    project.source(name, event_time="event_time")
    project.model("sessions", "select id, event_time, val from {" + name + "}", inputs=[name])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09")
    assert stored(warehouse, "sessions") == ALL


def refuse_operator(warehouse, name, right, returns):
    """The server refuses what uses it, as Citus refuses a recursive query over a distributed table."""
    warehouse.sql("CREATE SCHEMA IF NOT EXISTS refusing")
    warehouse.sql(f"CREATE FUNCTION refusing.refuse(timestamp, {right}) RETURNS {returns} LANGUAGE plpgsql AS $$ BEGIN"
                  " RAISE EXCEPTION 'recursive CTEs are not supported here' USING ERRCODE = '0A000'; END $$")
    warehouse.sql(f"CREATE OPERATOR refusing.{name} (LEFTARG = timestamp, RIGHTARG = {right},"
                  " FUNCTION = refusing.refuse)")
    warehouse.sql("ALTER DATABASE warehouse SET search_path = refusing, pg_catalog")


def make_indexed(project, warehouse):
    make_events(warehouse)
    add_sessions(project)
    warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events WHERE event_time >= '2024-09-01' AND"
                  " event_time < '2024-09-03';"
                  " CREATE INDEX ON an.sessions (event_time)")


def test_a_look_that_the_server_refuses_finds_another_way(project, warehouse, mount):
    make_indexed(project, warehouse)
    refuse_operator(warehouse, "+", "interval", "timestamp")
    m = mount(project, now=NOW)
    wait_until(lambda: m.states("sessions")["2024-09-01"] == "done", what="the table is adopted")
    assert m.states("sessions") == {"2024-09-01": "done", "2024-09-02": "done", "2024-09-03": "pending",
                                    "2024-09-04": "pending"}
    assert "refuses to skip" in m.log_text()


def test_a_look_that_finds_no_way_says_why(project, warehouse, mount):
    """Requests are refused with the reason, none hangs; when it has gone, the table is adopted."""
    make_indexed(project, warehouse)
    refuse_operator(warehouse, ">=", "timestamp", "boolean")
    m = mount(project, now=NOW)
    wait_until(lambda: m.document("sessions", ".model")["why_not"], what="the reason is in .model")
    assert "recursive CTEs" in m.document("sessions", ".model")["why_not"]
    assert errno_of(os.utime, m / "sessions" / "2024-09") == errno.EOPNOTSUPP
    warehouse.sql("DROP OPERATOR refusing.>= (timestamp, timestamp)")
    wait_until(lambda: m.states("sessions")["2024-09-01"] == "done", what="the table is adopted")
    builds_again(m, warehouse)
