# SPDX-License-Identifier: Apache-2.0
"""What a model's config says of its table: contract, grants, comments, header, indexes; as dbt-postgres does it."""
import errno
import os

import pytest

from lib.events import make_events
from lib.refused import fails

NOW = "2024-09-03T12:00:00"
EVENTS = "select id, event_time, val from {events}"


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def warehouse(warehouse):
    make_events(warehouse)
    return warehouse


def add_model(project, sql=EVENTS, keys=None, **config):
    project.source("events", event_time="event_time")
    node = project.model("sessions", sql, inputs=["events"], **config)
    node.update(keys or {})


def column(name, data_type, *constraints, **more):
    return {name: {"name": name, "data_type": data_type, "description": "", "constraints": [
        {"type": c} for c in constraints], **more}}


CONTRACT = {"contract": {"enforced": True}}
COLUMNS = {**column("val", "integer"), **column("id", "integer", "not_null"), **column("event_time", "timestamp")}


def columns(warehouse):
    return warehouse.sql("SELECT attname::text, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
                         " WHERE attrelid = 'an.sessions'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum")


def test_a_contract_makes_the_table(project, warehouse, mount):
    add_model(project, keys={"columns": COLUMNS, "contract": {"enforced": True, "alias_types": True}}, unlogged=True,
              **CONTRACT)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    m.build("sessions", "2024-09-01--2024-09-03")
    assert columns(warehouse) == [("val", "integer", False), ("id", "integer", True),
                                  ("event_time", "timestamp without time zone", False)]
    assert warehouse.sql("SELECT relpersistence, (SELECT count(*) FROM an.sessions WHERE id > 7) FROM pg_class"
                         " WHERE oid = 'an.sessions'::regclass") == [("u", 8)]
    assert m.document("sessions", "2024-09-02")["rows_inserted"] == 4


@pytest.mark.parametrize("known", [False, True])
def test_a_query_that_breaks_its_contract(project, warehouse, mount, known):
    add_model(project, "select id::text as id, event_time, 1 as other from {events}", keys={"columns": COLUMNS}, **CONTRACT)
    if known:
        warehouse.sql("CREATE TABLE an.sessions AS SELECT id::text, event_time, 1 AS other FROM an.events WITH NO DATA")
    m = mount(project, now=NOW)
    message = fails(m)
    assert "missing: val" in message and "of another type: id" in message and "not in the contract: other" in message
    # What is found before a build has a code, too.
    error = m.document("sessions", "2024-09-01")["error"]
    assert known or error["sqlstate"] == "55000"
    assert warehouse.sql("SELECT to_regclass('an.sessions') IS NULL") == [(not known,)]


def test_a_constraint_of_the_contract_fails_the_batch(project, warehouse, mount):
    add_model(project, "select nullif(id, 8) as id, event_time, val from {events}", keys={"columns": COLUMNS}, **CONTRACT)
    m = mount(project, now=NOW)
    os.utime(m / "sessions" / "2024-09-01")
    with pytest.raises(OSError) as failed:
        m.sync("sessions", "2024-09-01")
    assert failed.value.errno == errno.EIO
    assert m.document("sessions", "2024-09-01")["error"]["sqlstate"] == "23502"


def grants(warehouse):
    return set(warehouse.sql("SELECT grantee::text, privilege_type::text FROM information_schema.role_table_grants"
                             " WHERE table_schema = 'an' AND table_name = 'sessions' AND grantee <> 'postgres'"))


def test_grants(project, warehouse, mount):
    warehouse.sql('CREATE ROLE reader; CREATE ROLE "Other Reader"; CREATE ROLE gone')
    add_model(project, grants={"select": ["reader", '"Other Reader"'], "INSERT": ["reader"]})
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    wanted = {("reader", "SELECT"), ("Other Reader", "SELECT"), ("reader", "INSERT")}
    assert grants(warehouse) == wanted
    m.unmount()
    warehouse.sql("GRANT SELECT, DELETE ON an.sessions TO gone; REVOKE SELECT ON an.sessions FROM reader")
    mount(project, now=NOW).build("sessions", "2024-09-02")
    assert grants(warehouse) == wanted


def test_grants_to_nobody_that_there_is(project, warehouse, mount):
    add_model(project, grants={"select": ["nobody_here"]})
    assert "nobody_here" in fails(mount(project, now=NOW))


def test_comments(project, warehouse, mount):
    described = {"id": {"name": "id", "description": "it's an id", "data_type": None},
                 "Val": {"name": "Val", "description": "in quotes", "data_type": None, "quote": True},
                 "VAL": {"name": "VAL", "description": "folded", "data_type": None},
                 "away": {"name": "away", "description": "nowhere", "data_type": None}}
    add_model(project, 'select id, event_time, val, val as "Val" from {events}',
              keys={"columns": described, "description": "a \\ table's"},
              persist_docs={"relation": True, "columns": True})
    mount(project, now=NOW).build("sessions", "2024-09-01")
    assert warehouse.sql("SELECT obj_description('an.sessions'::regclass)") == [("a \\ table's",)]
    assert warehouse.sql("SELECT attname::text, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid ="
                         " 'an.sessions'::regclass AND attnum > 0 ORDER BY attnum") == [
        ("id", "it's an id"), ("event_time", None), ("val", "folded"), ("Val", "in quotes")]


def test_a_sql_header(project, warehouse, mount):
    warehouse.sql("CREATE SCHEMA hidden; CREATE FUNCTION hidden.twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'")
    add_model(project, "select id, event_time, twice(val) as val, current_setting('an.x') as x from {events}",
              sql_header="set search_path = hidden, an; -- what follows ; is a comment\nset an.x = 'a;b';")
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    assert "set an.x = 'a;b';" in (m / "sessions" / "2024-09-02.sql").read_text()
    assert warehouse.sql("SELECT DISTINCT val, x FROM an.sessions WHERE event_time < '2024-09-02'") == [(4, "a;b")]


def indexes(warehouse):
    return {definition.partition(" USING ")[2]: "UNIQUE" in definition for definition, in warehouse.sql(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'an' AND tablename = 'sessions'")}


def test_indexes_as_they_are_written(project, warehouse, mount):
    add_model(project, indexes=[{"columns": ["event_time desc", "id"], "type": "BTREE"},
                                {"columns": ["(val % 2)", "ID"]}, {"columns": ["coalesce(val, 0)"]},
                                {"columns": ["id", "event_time"], "unique": True}, {"columns": ["val"], "type": "Hash"}])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    assert indexes(warehouse) == {"btree (event_time DESC, id)": False, "btree (((val % 2)), id)": False,
                                  "btree (COALESCE(val, 0))": False, "btree (id, event_time)": True, "hash (val)": False}


def test_an_event_time_that_no_index_can_be_made_of(project, warehouse, mount):
    """It is a note, and the batch is built."""
    add_model(project, "select id, event_time at time zone 'UTC' as at, val from {events}",
              event_time="date_trunc('minute', at)")
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-02")
    assert warehouse.count("sessions") == 4 and indexes(warehouse) == {}
    assert any("no index" in n and "((date_trunc('minute', at)))" in n for n in m.document("sessions", ".model")["notes"])
