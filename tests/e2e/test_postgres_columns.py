# SPDX-License-Identifier: Apache-2.0
"""on_schema_change: what the query yields against what the target has, as dbt-postgres compares and changes them."""
import os

import pytest

from lib.events import make_events
from lib.refused import fails

NOW = "2024-09-04T12:00:00"
QUERY = "select id, event_time, val, 'é'::text as note, val::bigint as big from {events}"
# A table of yesterday: a column that has gone, one that is narrower, two that are not there yet.
OLD = "CREATE TABLE an.sessions (id int, event_time timestamp, gone int DEFAULT 7, val smallint)"
YIELDED = ["id integer", "event_time timestamp without time zone", "val integer", "note text", "big bigint"]


@pytest.fixture
def engine():
    return "postgres"


def add_model(project, mode, sql=QUERY, **config):
    project.source("events", event_time="event_time")
    project.model("sessions", sql, inputs=["events"], on_schema_change=mode, **config)


def columns(warehouse):
    return [" ".join(row) for row in warehouse.sql(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'an.sessions'::regclass"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attnum")]


def test_append_new_columns(project, warehouse, mount):
    make_events(warehouse)
    add_model(project, "append_new_columns")
    warehouse.sql(OLD + "; INSERT INTO an.sessions VALUES (0, '2024-08-01', 1, 1)")
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    assert columns(warehouse) == ["id integer", "event_time timestamp without time zone", "gone integer", "val smallint",
                                  "note text", "big bigint"]
    # What the query does not yield is filled by nobody but the table itself.
    assert warehouse.sql("SELECT DISTINCT gone, note, big = val FROM an.sessions WHERE event_time >= '2024-09-01'") == [
        (7, "é", True)]
    assert warehouse.sql("SELECT count(*) FROM an.sessions WHERE note IS NULL") == [(1,)]


def test_sync_all_columns(project, warehouse, mount):
    make_events(warehouse)
    add_model(project, "sync_all_columns")
    warehouse.sql(OLD + "; ALTER TABLE an.sessions ADD twice int GENERATED ALWAYS AS (id * 2) STORED;"
                  " INSERT INTO an.sessions VALUES (1, '2024-08-01', 1, 5); CREATE INDEX ON an.sessions (val)")
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    assert sorted(columns(warehouse)) == sorted([*YIELDED, "twice integer"])
    assert warehouse.sql("SELECT val, twice FROM an.sessions WHERE event_time < '2024-09-01'") == [(5, 2)]
    assert warehouse.sql("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%sessions%(val)'") == [(1,)]


def test_fail(project, warehouse, mount):
    make_events(warehouse)
    add_model(project, "fail")
    warehouse.sql(OLD)
    m = mount(project, now=NOW)
    message = fails(m)
    assert "on_schema_change is fail" in message
    assert "new: note, new: big, gone: gone, of another type: val" in message
    assert "note text" not in columns(warehouse)
    warehouse.sql("DROP TABLE an.sessions; CREATE TABLE an.sessions AS SELECT *, 'x'::text AS note, val::bigint AS big"
                  " FROM an.events WITH NO DATA")
    m.build("sessions", "2024-09-01")


def test_ignore_fills_the_columns_that_there_are(project, warehouse, mount):
    make_events(warehouse)
    add_model(project, "ignore")
    warehouse.sql("CREATE TABLE an.sessions (id int, event_time timestamp, val smallint)")
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    assert columns(warehouse) == ["id integer", "event_time timestamp without time zone", "val smallint"]


def test_ignore_says_which_column_has_gone(project, warehouse, mount):
    make_events(warehouse)
    add_model(project, "ignore", "select id, event_time from {events}")
    warehouse.sql(OLD)
    m = mount(project, now=NOW)
    message = fails(m)
    assert "the query of sessions no longer yields every column" in message and 'column "gone" does not exist' in message


def test_a_column_that_the_query_itself_lacks_is_another_matter(project, warehouse, mount):
    make_events(warehouse)
    add_model(project, "ignore", "select id, event_time, gone, val from {events}")
    warehouse.sql(OLD)
    message = fails(mount(project, now=NOW))
    assert "no longer yields" not in message and 'column "gone" does not exist' in message


@pytest.mark.parametrize("made", [False, True])
def test_an_input_without_the_column_that_it_is_read_by(project, warehouse, mount, made):
    make_events(warehouse)
    add_model(project, "ignore")
    if made:
        warehouse.sql(OLD)
    warehouse.sql("ALTER TABLE an.events RENAME event_time TO at")
    m = mount(project, now=NOW)
    fails(m)
    message = m.document("sessions", ".model")["why_not"]
    assert "has no column event_time, which is its event_time, by which sessions reads it" in message


@pytest.mark.parametrize("mode", ["ignore", "append_new_columns", "fail"])
def test_a_varchar_is_widened(project, warehouse, mount, mode):
    make_events(warehouse)
    add_model(project, mode, "select id, event_time, repeat('x', 9)::varchar(9) as short, 'y'::varchar(2) as wide"
              " from {events}")
    warehouse.sql("CREATE TABLE an.sessions (id int, event_time timestamp, short varchar(3), wide varchar(9))")
    m = mount(project, now=NOW)
    if mode == "fail":
        # What is narrower than the target's is another type as well, for dbt.
        assert "of another type: wide" in fails(m)
        return
    m.build("sessions", "2024-09-01")
    assert columns(warehouse)[2:] == ["short character varying(9)", "wide character varying(9)"]
    assert warehouse.sql("SELECT DISTINCT short, wide FROM an.sessions") == [("x" * 9, "y")]


@pytest.mark.parametrize("mode", ["append_new_columns", "sync_all_columns", "fail"])
def test_what_is_equal_is_left_alone(project, warehouse, mount, mode):
    """Domains over domains, arrays, enums, lengths of every kind; a view depends on all of it."""
    make_events(warehouse)
    warehouse.sql("CREATE DOMAIN an.short AS varchar(5); CREATE DOMAIN an.shorter AS an.short CHECK (value <> 'x');"
                  " CREATE DOMAIN an.moment AS timestamp; CREATE DOMAIN an.then AS an.moment;"
                  " CREATE TYPE an.mood AS ENUM ('ok')")
    query = ("select id, event_time::an.then as event_time, 'a'::an.shorter as s, array[1] as a, 'ok'::an.mood as m,"
             " 1.5::numeric(5,2) as n, 2::numeric as nn, 'c'::char(3) as c, 'v'::varchar as v, now() as t,"
             " 'literal' as l from {events}")
    add_model(project, mode, query)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    was = columns(warehouse)
    assert "event_time an.\"then\"" in was and m.document("sessions", ".model")["event_time_type"] == "timestamp"
    warehouse.sql("CREATE VIEW an.looker AS SELECT * FROM an.sessions")
    m.build("sessions", "2024-09-02")
    m.build("sessions", "2024-09-01")
    assert columns(warehouse) == was and "alter table" not in m.log_text()


def test_a_change_while_the_table_is_read(project, warehouse, mount):
    """Readers are not held up behind it for longer than a second, and it comes to its end."""
    make_events(warehouse)
    add_model(project, "append_new_columns")
    warehouse.sql(OLD)
    m = mount(project, "jobs=2", now=NOW)
    reader = warehouse.pg.connect()
    reader.autocommit = False
    reader.cursor().execute("SELECT * FROM an.sessions")
    os.utime(m / "sessions" / "2024-09")
    warehouse.sql("SELECT * FROM an.sessions")
    reader.rollback()
    reader.close()
    m.sync("sessions", "2024-09")
    assert columns(warehouse)[-1] == "big bigint"
    assert warehouse.sql("SELECT count(*), count(note) FROM an.sessions") == [(16, 16)]


def test_a_change_that_is_not_allowed_says_why(project, warehouse, mount):
    make_events(warehouse)
    add_model(project, "sync_all_columns")
    warehouse.sql(OLD + "; CREATE VIEW an.looker AS SELECT gone FROM an.sessions")
    m = mount(project, now=NOW)
    assert "looker" in fails(m)
    warehouse.sql("DROP VIEW an.looker")
    m.build("sessions", "2024-09-01")
    assert columns(warehouse)[-1] == "big bigint"
