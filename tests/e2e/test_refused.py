# SPDX-License-Identifier: Apache-2.0
"""What cannot be prepared or built fails with its reason, nothing stays queued; and runs once the reason has gone."""
import errno
import os

import pytest

from lib.command import errno_of
from lib.events import add_sessions, make_events
from lib.refused import builds_again, queue_all, reason
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
COPY = {"postgres": "CREATE TABLE an.sessions AS SELECT * FROM an.events WITH NO DATA",
        "sqlite": "CREATE TABLE sessions AS SELECT * FROM events WHERE false"}

# What is done, how the reason reads, what is done to undo it.
POSTGRES = {
    "view": ("ALTER TABLE an.sessions RENAME TO was; CREATE VIEW an.sessions AS SELECT * FROM an.events", "is a view",
             "DROP VIEW an.sessions; ALTER TABLE an.was RENAME TO sessions"),
    "materialized view": ("ALTER TABLE an.sessions RENAME TO was; "
                          "CREATE MATERIALIZED VIEW an.sessions AS SELECT * FROM an.events", "a materialized view",
                          "DROP MATERIALIZED VIEW an.sessions; ALTER TABLE an.was RENAME TO sessions"),
    "foreign table": ("CREATE EXTENSION IF NOT EXISTS postgres_fdw; CREATE SERVER IF NOT EXISTS far FOREIGN DATA WRAPPER"
                      " postgres_fdw; ALTER TABLE an.sessions RENAME TO was; CREATE FOREIGN TABLE an.sessions"
                      " (id int, event_time timestamp, val int) SERVER far", "is a foreign table",
                      "DROP FOREIGN TABLE an.sessions; ALTER TABLE an.was RENAME TO sessions"),
    "sequence": ("ALTER TABLE an.sessions RENAME TO was; CREATE SEQUENCE an.sessions", "no table",
                 "DROP SEQUENCE an.sessions; ALTER TABLE an.was RENAME TO sessions"),
    "event_time of the target": ("ALTER TABLE an.sessions ALTER event_time TYPE text", "of type text",
                                 "ALTER TABLE an.sessions ALTER event_time TYPE timestamp USING event_time::timestamp"),
    "no event_time": ("ALTER TABLE an.sessions RENAME event_time TO at", "no column event_time",
                      "ALTER TABLE an.sessions RENAME at TO event_time"),
    "event_time of an input": ("ALTER TABLE an.events ALTER event_time TYPE text", "of type text",
                               "ALTER TABLE an.events ALTER event_time TYPE timestamp USING event_time::timestamp"),
    "input": ("ALTER TABLE an.events RENAME TO away", "an.events", "ALTER TABLE an.away RENAME TO events"),
    "column": ("ALTER TABLE an.events RENAME val TO away", "val", "ALTER TABLE an.events RENAME away TO val"),
}
SQLITE = {
    "view": (["ALTER TABLE sessions RENAME TO was", "CREATE VIEW sessions AS SELECT * FROM events"], "is a view",
             ["DROP VIEW sessions", "ALTER TABLE was RENAME TO sessions"]),
    "event_time of the target": (["INSERT INTO sessions VALUES (99, 'zzz', 1)"], "holds 'zzz'",
                                 ["DELETE FROM sessions WHERE id = 99"]),
    "no event_time": (["ALTER TABLE sessions RENAME event_time TO at"], "no column event_time",
                      ["ALTER TABLE sessions RENAME at TO event_time"]),
    "event_time of an input": (["UPDATE events SET event_time = replace(event_time, ' ', 'T')"], "T00:00:00'",
                               ["UPDATE events SET event_time = replace(event_time, 'T', ' ')"]),
    "type of an input": (["ALTER TABLE events RENAME TO away",
                          "CREATE TABLE events AS SELECT id, unixepoch(event_time) AS event_time, val FROM away"], "yields its event_time",
                         ["DROP TABLE events", "ALTER TABLE away RENAME TO events"]),
    "input": (["ALTER TABLE events RENAME TO away"], "events", ["ALTER TABLE away RENAME TO events"]),
    "broken view as an input": (["ALTER TABLE events RENAME TO away", "CREATE VIEW events AS SELECT * FROM nowhere"],
                                "nowhere", ["DROP VIEW events", "ALTER TABLE away RENAME TO events"]),
    "column": (["ALTER TABLE events RENAME val TO away"], "val", ["ALTER TABLE events RENAME away TO val"]),
    "trigger": (["CREATE TRIGGER bad AFTER INSERT ON sessions BEGIN DELETE FROM batchfs_state; END"],
                "write the table batchfs_state, by way of bad", ["DROP TRIGGER bad"]),
}
TROUBLES = {"postgres": POSTGRES, "sqlite": SQLITE}
# Those that are found when the mount begins.
EARLY = {"postgres": ("view", "materialized view", "foreign table", "event_time of the target"),
         "sqlite": ("view", "event_time of the target", "no event_time")}


def cases(kinds):
    return pytest.mark.parametrize("engine, trouble", [(engine, kind) for engine in kinds for kind in kinds[engine]])


def do(warehouse, statements):
    for statement in [statements] if isinstance(statements, str) else statements:
        warehouse.sql(statement)


@pytest.mark.parametrize("known", ["built", "new"])
@cases(TROUBLES)
def test_what_cannot_be_prepared_fails(project, warehouse, mount, trouble, known):
    change, words, undo = TROUBLES[warehouse.engine][trouble]
    make_events(warehouse)
    add_sessions(project)
    do(warehouse, COPY[warehouse.engine])
    m = mount(project, now=NOW)
    if known == "built":
        m.build("sessions", "2024-09")
    do(warehouse, change)
    said = queue_all(m)
    assert words in reason(m, said).replace('"', "")
    # Again, and at once: what was found out a moment ago is no reason to wait.
    queue_all(m)
    do(warehouse, undo)
    builds_again(m, warehouse)


@cases(EARLY)
def test_what_refuses_at_mount_time_may_go_away(project, warehouse, mount, trouble):
    change, words, undo = TROUBLES[warehouse.engine][trouble]
    make_events(warehouse)
    add_sessions(project)
    do(warehouse, COPY[warehouse.engine])
    do(warehouse, change)
    m = mount(project, now=NOW)
    assert queue_all(m) == errno.EOPNOTSUPP
    assert words in m.document("sessions", ".model")["why_not"]
    do(warehouse, undo)
    builds_again(m, warehouse)


def test_a_table_that_was_never_there(project, warehouse, mount):
    """Each request fails with what is in the way now."""
    make_events(warehouse)
    add_sessions(project)
    events = {"postgres": "an.events", "sqlite": "events"}[warehouse.engine]
    warehouse.sql(f"ALTER TABLE {events} RENAME TO away")
    m = mount(project, now=NOW)
    assert events in reason(m, queue_all(m)).replace('"', "")
    warehouse.sql(f"ALTER TABLE {events.replace('events', 'away')} RENAME TO events")
    builds_again(m, warehouse)


def held_by_somebody(warehouse):
    """The table holds rows, so that it is looked at."""
    warehouse.sql(f"CREATE TABLE {warehouse.relation('sessions')} AS SELECT * FROM {warehouse.relation('events')}")


def looked_at(m):
    return wait_until(lambda: m.document("sessions", ".model")["looked_at"] and m.document("sessions", ".model"), what="the first look")


@pytest.mark.parametrize("sql", ["select id, event_time, val from {events}) x; commit; select * from (select 1",
                                 "select id, event_time, val from {events}; commit"], ids=["parentheses", "two statements"])
def test_a_look_that_succeeds_is_no_reason_to_build(project, warehouse, mount, sql):
    """What the SQL is refused for is not mended by what the table holds."""
    make_events(warehouse)
    project.source("events", event_time="event_time")
    project.model("sessions", sql, inputs=["events"])
    held_by_somebody(warehouse)
    m = mount(project, now=NOW)
    model = looked_at(m)
    assert (model["runnable"], model["builder"]) == (False, None) and "the compiled SQL of sessions: line 1" in model["why_not"]
    assert m.states("sessions")["2024-09-01"] == "done"
    assert errno_of(os.utime, m / "sessions" / "2024-09-01") == errno.EOPNOTSUPP


@pytest.mark.parametrize("engine", ["postgres"])
def test_a_model_whose_input_is_wrong_is_looked_at(project, warehouse, mount):
    """Its table is as true as any other, and stays refused until the input is mended."""
    make_events(warehouse)
    add_sessions(project)
    held_by_somebody(warehouse)
    warehouse.sql("ALTER TABLE an.events RENAME event_time TO away")
    m = mount(project, now=NOW)
    assert "event_time" in looked_at(m)["why_not"]
    assert m.states("sessions")["2024-09-01"] == "done"
    assert errno_of(os.utime, m / "sessions" / ".run") == errno.EOPNOTSUPP
    warehouse.sql("ALTER TABLE an.events RENAME away TO event_time")
    wait_until(lambda: m.document("sessions", ".model")["runnable"], what="the input is right again")
    m.build("sessions", "2024-09-01")


@pytest.mark.parametrize("engine, trouble, known", [
    ("postgres", "column", "new"), ("postgres", "input", "new"), ("postgres", "event_time of an input", "new"),
    ("postgres", "event_time of an input", "built"), ("sqlite", "column", "built"), ("sqlite", "input", "new"),
    ("sqlite", "event_time of the target", "built"), ("sqlite", "event_time of an input", "new")])
def test_what_no_batch_can_be_built_for_is_tried_once(project, warehouse, mount, trouble, known):
    """One batch says why; the rest of the request is skipped with that, and not tried one by one."""
    change, words, undo = TROUBLES[warehouse.engine][trouble]
    make_events(warehouse)
    add_sessions(project, begin="2024-07-01")
    if known == "built":
        do(warehouse, COPY[warehouse.engine])
    m = mount(project, "jobs=1", now=NOW)
    if known == "built":
        m.build("sessions", "2024-09-02")
    do(warehouse, change)
    os.utime(m / "sessions" / "2024-07-01--2024-09-04")
    assert errno_of(m.sync, "sessions", "2024-07-01--2024-09-04") == errno.EIO
    states = list(m.states("sessions").values())
    assert (states.count("failed"), states.count("skipped")) == (1, 64)
    for batch in ("2024-07-01", "2024-08-31"):
        assert words in m.document("sessions", batch)["error"]["message"].replace('"', "")
    assert "no batch of sessions can be built" in m.document("sessions", "2024-08-31")["error"]["message"]
    do(warehouse, undo)
    builds_again(m, warehouse)
