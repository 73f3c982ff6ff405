# SPDX-License-Identifier: Apache-2.0
"""Partitions that are made as batches need them: meta.batchfs.partitions: make."""
import os

import pytest

from lib.partitions import (DAYS, MADE, MAKE, NOW, READ, TRIGGER, add_model, in_transaction, leftovers,
                            make_large_events, make_partitioned, partitions, rebuild, rows_of)
from lib.truth import check_rows


@pytest.fixture
def engine():
    return "postgres"


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date"])
def test_partitions_are_made_as_they_are_needed(project, warehouse, mount, kind):
    warehouse.sql("ALTER DATABASE warehouse SET timezone = 'UTC'")
    make_large_events(warehouse, 100, kind)
    make_partitioned(warehouse, kind, days=[])
    warehouse.sql("ALTER TABLE an.sessions ADD PRIMARY KEY (id, event_time)")
    add_model(project, **MAKE)
    m = mount(project, now=NOW)
    # Who reads the table is not in the way, and does not wait.
    with in_transaction(warehouse, READ) as reader:
        m.build("sessions", "2024-09-02")
        assert partitions(warehouse) == MADE[1:2]
        m.build("sessions", "2024-09-01--2024-09-04")
        reader.rollback()
    assert partitions(warehouse) == MADE
    assert [warehouse.count(name) for name in MADE] == [m.document("sessions", day)["rows_inserted"] for day in DAYS]
    assert warehouse.sql("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'an.sessions_p2024_09_02'::regclass"
                         " ORDER BY 1") == [("an.sessions_p2024_09_02_event_time_idx",), ("an.sessions_p2024_09_02_id_idx",),
                                            ("an.sessions_p2024_09_02_pkey",)]
    m.build("sessions", "2024-09-01--2024-09-04")
    assert partitions(warehouse) == MADE
    check_rows(warehouse, "sessions")


def test_a_target_that_is_made_has_partitions(project, warehouse, mount):
    make_large_events(warehouse)
    add_model(project, indexes=[{"columns": ["id"]}], **MAKE)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    assert partitions(warehouse) == MADE and leftovers(warehouse) == []
    assert warehouse.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'sessions' ORDER BY 1") == [
        ("CREATE INDEX sessions_event_time_idx ON ONLY an.sessions USING btree (event_time)",),
        ("CREATE INDEX sessions_id_idx ON ONLY an.sessions USING btree (id)",)]
    assert rebuild(warehouse, m, name=MADE[1])
    assert partitions(warehouse) == MADE
    check_rows(warehouse, "sessions")
    assert m.document("sessions", ".model")["strategy"] == "exchange"


@pytest.mark.parametrize("size, begin, names", [
    ("hour", "2024-09-03T22:00:00", ["sessions_p2024_09_03t22", "sessions_p2024_09_03t23", "sessions_p2024_09_04t00"]),
    ("month", "2024-08-01", ["sessions_p2024_08", "sessions_p2024_09"]), ("year", "2024-01-01", ["sessions_p2024"])])
def test_partitions_are_as_large_as_batches(project, warehouse, mount, size, begin, names):
    make_large_events(warehouse, 100)
    add_model(project, batch_size=size, begin=begin, **MAKE)
    m = mount(project, now="2024-09-04T00:30:00")
    m.build("sessions", ".run")
    assert partitions(warehouse) == names


@pytest.mark.parametrize("statements, made", [
    (["CREATE TABLE an.sessions_p2024_09_02 (id integer)"], [MADE[0], "sessions_p2024_09_02_1", MADE[2]]),
    (["CREATE TABLE an.first PARTITION OF an.sessions FOR VALUES FROM (MINVALUE) TO ('2024-09-03')"], ["first", MADE[2]]),
    (["CREATE TABLE an.last PARTITION OF an.sessions FOR VALUES FROM ('2024-09-03') TO (MAXVALUE)"], ["last", *MADE[:2]]),
    (["CREATE TABLE an.every PARTITION OF an.sessions FOR VALUES FROM ('2024-09-02 00:00') TO ('2024-09-02 12:00')",
      "CREATE TABLE an.other PARTITION OF an.sessions FOR VALUES FROM ('2024-09-02 12:00') TO ('2024-09-03 00:00')"],
     ["every", "other", MADE[0], MADE[2]]),
    (["CREATE TABLE an.rest PARTITION OF an.sessions DEFAULT"], ["rest", *MADE]),
    (["CREATE TABLE an.rest PARTITION OF an.sessions DEFAULT", "INSERT INTO an.sessions VALUES (1, '1999-01-01', 1)"], ["rest"]),
    ([*TRIGGER, "CREATE TRIGGER t AFTER INSERT ON an.sessions FOR EACH ROW EXECUTE FUNCTION an.fire()"], MADE),
], ids=["name taken", "from the beginning", "to the end", "smaller ones", "empty default", "default", "trigger"])
def test_what_is_there_already_is_used(project, warehouse, mount, statements, made):
    make_large_events(warehouse, 100)
    make_partitioned(warehouse, days=[])
    for statement in statements:
        warehouse.sql(statement)
    add_model(project, **MAKE)
    m = mount(project, now=NOW)
    m.sync("sessions", ".adopt")
    m.build("sessions", "2024-09-01--2024-09-04")
    assert partitions(warehouse) == made
    assert warehouse.count("sessions", "event_time >= '2024-09-01'") == 300
    if warehouse.sql("SELECT to_regclass('an.fired') IS NOT NULL")[0][0]:
        assert rows_of(warehouse, "fired") == 300


def test_two_mounts_make_partitions(project, warehouse, mount):
    make_large_events(warehouse, 100)
    make_partitioned(warehouse, days=[])
    add_model(project, **MAKE)
    mounts = [mount(project, "jobs=2", now=NOW) for _ in range(2)]
    for m in mounts:
        for day in DAYS:
            os.utime(m / "sessions" / day)
    for m in mounts:
        m.sync("sessions", "2024-09")
    assert partitions(warehouse) == MADE
    check_rows(warehouse, "sessions")


def test_a_partition_that_cannot_be_made_fails_its_batch(project, warehouse, mount):
    make_large_events(warehouse, 100)
    make_partitioned(warehouse, days=[])
    warehouse.sql("CREATE ROLE p_builder")
    warehouse.sql("GRANT USAGE ON SCHEMA an TO p_builder")
    warehouse.sql("GRANT CREATE ON DATABASE warehouse TO p_builder")
    warehouse.sql("GRANT ALL ON ALL TABLES IN SCHEMA an TO p_builder")
    add_model(project, **MAKE)
    m = mount(project, "role=p_builder", now=NOW)
    with pytest.raises(OSError):
        m.build("sessions", "2024-09-02")
    error = m.document("sessions", "2024-09-02")["error"]
    assert error["sqlstate"] == "42501" and error["message"].startswith("no partition could be made for the batch")
    assert "belongs to another role" in " ".join(m.document("sessions", ".model")["notes"])


def test_without_partitions_to_make_the_model_says_so(project, warehouse, mount):
    make_large_events(warehouse, 100)
    warehouse.sql("CREATE TABLE an.sessions (id integer, event_time timestamp, val integer)")
    add_model(project, **MAKE)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-02")
    model = m.document("sessions", ".model")
    assert model["strategy"] == "delete+insert"
    assert "is not partitioned by range of its event_time alone" in " ".join(model["notes"])
