# SPDX-License-Identifier: Apache-2.0
"""Targets that are partitioned: batches that are replaced by exchange of their partition."""
import os
import threading
import time

import pytest

from lib.partitions import (DAYS, LARGE, MADE, MAKE, NOW, READ, TRIGGER, add_model, in_transaction, leftovers,
                            make_large_events, make_partitioned, oid, partition_of, partitions, rebuild, rows_of)
from lib.proxy import ANSWERED, BEFORE, UNHEARD, Proxy
from lib.truth import check_rows
from lib.wait import wait_until


@pytest.fixture
def engine():
    return "postgres"


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date"])
def test_a_large_batch_is_replaced_by_exchange_of_its_partition(project, warehouse, mount, kind):
    warehouse.sql("ALTER DATABASE warehouse SET timezone = 'UTC'")
    make_large_events(warehouse, kind=kind)
    make_partitioned(warehouse, kind)
    add_model(project)
    m = mount(project, now=NOW)
    bounds = partition_of(warehouse, "s_02")
    m.build("sessions", "2024-09-01--2024-09-04")
    assert m.document("sessions", ".model")["strategy"] == "exchange"
    warehouse.sql("UPDATE an.sessions SET val = -1")
    warehouse.sql("INSERT INTO an.sessions VALUES (-1, '2024-09-02', 0)")
    assert rebuild(warehouse, m)
    shown = m.document("sessions", "2024-09-02")
    assert (shown["rows_deleted"], shown["rows_inserted"], shown["rows_outside"]) == (LARGE + 1, LARGE, 0)
    assert partition_of(warehouse, "s_02") == bounds
    assert warehouse.count("sessions", "val >= 0") == LARGE
    assert warehouse.count("sessions") == 3 * LARGE
    assert warehouse.sql("SELECT conname FROM pg_constraint WHERE conrelid = 'an.s_02'::regclass") == []
    assert rebuild(warehouse, m)
    check_rows(warehouse, "sessions")


@pytest.mark.parametrize("settings", [["timezone = 'Asia/Tokyo'", "datestyle = 'ISO, DMY'"],
                                      ["timezone = 'America/New_York'", "datestyle = 'Postgres, DMY'"]], ids=str)
def test_a_batch_is_its_partition_in_every_time_zone(project, warehouse, mount, settings):
    for setting in settings:
        warehouse.sql(f"ALTER DATABASE warehouse SET {setting}")
    warehouse.sql(f"CREATE TABLE an.events AS SELECT i AS id, timestamptz '2024-09-01 00:00+00' + (i * interval '1 day' / {LARGE})"
                  f" AS event_time, i % 7 AS val FROM generate_series(0, {3 * LARGE}) i")
    warehouse.sql("CREATE TABLE an.sessions (LIKE an.events) PARTITION BY RANGE (event_time)")
    for day in ("01", "02"):
        warehouse.sql(f"CREATE TABLE an.s_{day} PARTITION OF an.sessions FOR VALUES FROM ('2024-09-{day} 00:00+00')"
                      f" TO ('2024-09-{int(day) + 1:02} 00:00+00')")
    add_model(project, **MAKE)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    assert partitions(warehouse) == ["s_01", "s_02", MADE[2]]
    was = partition_of(warehouse, "s_02")
    assert rebuild(warehouse, m)
    assert partition_of(warehouse, "s_02") == was
    assert rebuild(warehouse, m, "2024-09-03", MADE[2])
    assert [rows_of(warehouse, name) for name in ("s_01", "s_02", MADE[2])] == [LARGE] * 3


def test_the_exchange_scans_nothing(large, warehouse, pg):
    m = large()
    warehouse.sql("ALTER DATABASE warehouse SET log_min_messages = 'debug1'")
    m.unmount()
    m.start()
    said = len(pg.log_text())
    assert rebuild(warehouse, m)
    # What ATTACH says where a CHECK spares it the scan.
    assert "is implied by existing constraints" in pg.log_text()[said:]


def test_a_small_batch_is_replaced_row_by_row(project, warehouse, mount):
    make_large_events(warehouse, LARGE - 1)
    make_partitioned(warehouse)
    add_model(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    assert not rebuild(warehouse, m)
    assert m.document("sessions", "2024-09-02")["rows_deleted"] == LARGE - 1
    check_rows(warehouse, "sessions")


@pytest.fixture
def large(project, warehouse, mount):
    """make(*statements, **config): the mount, with three large days that are built, and then the statements carried out."""
    make_large_events(warehouse)
    make_partitioned(warehouse)

    def make(*statements, options=(), sql="select id, event_time, val from {events}", inputs=("events",), env=None,
             **config):
        project.source("events", event_time="event_time")
        if "other" in inputs:
            project.source("other")
        project.model("sessions", sql, inputs=list(inputs), **config)
        m = mount(project, *options, now=NOW, env=env)
        m.build("sessions", "2024-09-01--2024-09-04")
        for statement in statements:
            warehouse.sql(statement)
        return m
    return make


KEPT = """
SELECT (SELECT string_agg(format('%s %s %s', attname, attstattarget, attstorage), ', ' ORDER BY attname) FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
    (SELECT string_agg(format('%s %s', pg_get_indexdef(indexrelid), (
            SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = indexrelid)), ', ' ORDER BY indexrelid::regclass::text)
        FROM pg_index WHERE indrelid = c.oid),
    (SELECT string_agg(format('%s %s', conname, pg_get_constraintdef(oid)), ', ' ORDER BY conname)
        FROM pg_constraint WHERE conrelid = c.oid),
    (SELECT array_agg(format('%s %s', grantee::regrole::text, privilege_type) ORDER BY 1) FROM aclexplode(relacl)),
    obj_description(oid), col_description(oid, 1), relreplident, reloptions, relowner::regrole::text, relpersistence,
    pg_get_expr(relpartbound, oid), relhastriggers
FROM pg_class c WHERE relname = 's_02'"""


@pytest.mark.parametrize("statements", [
    ["COMMENT ON TABLE an.s_02 IS 'it''s the second'", "COMMENT ON COLUMN an.s_02.id IS 'which'"],
    ["CREATE ROLE p_reader", "GRANT SELECT, INSERT ON an.s_02 TO p_reader WITH GRANT OPTION", "GRANT SELECT ON an.s_02 TO public"],
    ["ALTER TABLE an.s_02 ALTER COLUMN val SET STATISTICS 7", "ALTER TABLE an.s_02 REPLICA IDENTITY FULL"],
    ["ALTER TABLE an.s_02 SET (fillfactor = 70, autovacuum_enabled = false)"],
    ["CREATE INDEX \"Own one\" ON an.s_02 (val DESC, (id + 1)) WHERE val > 2", "CREATE UNIQUE INDEX ON an.s_02 USING btree (id)"],
    ["ALTER TABLE an.sessions ADD PRIMARY KEY (id, event_time)", "ALTER TABLE an.s_02 ADD CONSTRAINT own UNIQUE (id)"],
    ["ALTER TABLE an.sessions ADD CHECK (val >= 0)", "ALTER TABLE an.s_02 ADD CONSTRAINT own CHECK (val < 7)"],
    ["ALTER TABLE an.s_02 SET UNLOGGED"],
    ["ALTER TABLE an.sessions RENAME COLUMN val TO old", "ALTER TABLE an.sessions ADD COLUMN val integer NOT NULL DEFAULT 3",
     "ALTER TABLE an.sessions DROP COLUMN old"],
    ["CREATE TABLE an.rest PARTITION OF an.sessions DEFAULT"],
    ["CREATE VIEW an.seen AS SELECT count(*) FROM an.sessions"],
    ["ALTER TABLE an.s_02 RENAME TO \"Odd \"\"%s name\"", "ALTER TABLE an.\"Odd \"\"%s name\" RENAME TO s_02"],
], ids=lambda statements: statements[0][:60])
def test_what_a_partition_has_is_kept(large, warehouse, statements):
    m = large(*statements)
    was = warehouse.sql(KEPT)
    assert rebuild(warehouse, m)
    assert warehouse.sql(KEPT) == was
    # The new one is as good as the old one for that.
    assert rebuild(warehouse, m)
    assert warehouse.sql(KEPT) == was
    check_rows(warehouse, "sessions")
    assert m.document("sessions", "2024-09-02")["rows_deleted"] == LARGE


IDENTIFIED = [f"ALTER TABLE an.{name} REPLICA IDENTITY FULL" for name in ("s_01", "s_02", "s_03")]


@pytest.mark.parametrize("statements", [
    [*TRIGGER, "CREATE TRIGGER t AFTER INSERT ON an.sessions FOR EACH ROW EXECUTE FUNCTION an.fire()"],
    [*TRIGGER, "CREATE TRIGGER t AFTER INSERT ON an.s_02 FOR EACH ROW EXECUTE FUNCTION an.fire()"],
    ["CREATE TABLE an.vals AS SELECT v FROM generate_series(0, 6) v", "ALTER TABLE an.vals ADD PRIMARY KEY (v)",
     "ALTER TABLE an.sessions ADD FOREIGN KEY (val) REFERENCES an.vals"],
    ["CREATE TABLE an.vals AS SELECT v FROM generate_series(0, 6) v", "ALTER TABLE an.vals ADD PRIMARY KEY (v)",
     "ALTER TABLE an.s_02 ADD FOREIGN KEY (val) REFERENCES an.vals"],
    ["CREATE VIEW an.seen AS SELECT count(*) FROM an.s_02"],
    ["CREATE STATISTICS an.both ON id, val FROM an.s_02"],
    [*IDENTIFIED, "CREATE PUBLICATION every FOR ALL TABLES"],
    [*IDENTIFIED, "CREATE PUBLICATION a_few FOR TABLE an.sessions"],
    ["ALTER TABLE an.s_02 REPLICA IDENTITY FULL", "CREATE PUBLICATION one FOR TABLE an.s_02"],
    ["ALTER TABLE an.sessions ENABLE ROW LEVEL SECURITY"],
    ["ALTER TABLE an.s_02 ENABLE ROW LEVEL SECURITY"],
    ["GRANT SELECT (id) ON an.s_02 TO public"],
    ["CREATE INDEX named ON an.s_02 (val)", "COMMENT ON INDEX an.named IS 'mine'"],
    ["ALTER TABLE an.s_02 ADD CONSTRAINT own EXCLUDE USING btree (id WITH =)"],
    ["CREATE UNIQUE INDEX mine ON an.s_02 (id)", "ALTER TABLE an.s_02 ALTER COLUMN id SET NOT NULL",
     "ALTER TABLE an.s_02 REPLICA IDENTITY USING INDEX mine"],
    ["ALTER TABLE an.s_02 ALTER COLUMN val SET DEFAULT 12"],
    ["CREATE TABLE an.rest PARTITION OF an.sessions DEFAULT", "INSERT INTO an.sessions VALUES (1, '1999-01-01', 1)"],
    ["CREATE FUNCTION an.of(an.s_02) RETURNS integer LANGUAGE sql AS 'SELECT 1'"],
    ["CREATE ROLE p_other", "GRANT ALL ON SCHEMA an TO p_other", "ALTER TABLE an.s_02 OWNER TO p_other"],
    ["ALTER TABLE an.sessions DETACH PARTITION an.s_02", "ALTER TABLE an.s_02 RENAME TO leaf",
     "CREATE TABLE an.s_02 PARTITION OF an.sessions FOR VALUES FROM ('2024-09-02') TO ('2024-09-03') PARTITION BY LIST (val)",
     "ALTER TABLE an.s_02 ATTACH PARTITION an.leaf DEFAULT"],
    ["ALTER TABLE an.sessions DETACH PARTITION an.s_02", "ALTER TABLE an.sessions DETACH PARTITION an.s_03",
     "ALTER TABLE an.sessions ATTACH PARTITION an.s_02 FOR VALUES FROM ('2024-09-02') TO ('2024-09-10')"],
], ids=lambda statements: statements[-1][:60])
def test_what_cannot_be_kept_is_replaced_row_by_row(large, warehouse, statements):
    m = large(*statements)
    was = warehouse.sql(KEPT)
    warehouse.sql("UPDATE an.sessions SET val = 1 - val % 2 WHERE id = 15000")
    assert not rebuild(warehouse, m)
    assert warehouse.sql(KEPT) == was
    assert warehouse.count("sessions", "event_time >= '2024-09-02' AND event_time < '2024-09-03'") == LARGE
    assert m.document("sessions", "2024-09-02")["rows_deleted"] == LARGE
    assert warehouse.sql("SELECT val FROM an.sessions WHERE id = 15000") == [(15000 % 7,)]
    if warehouse.sql("SELECT to_regclass('an.fired') IS NOT NULL")[0][0]:
        assert rows_of(warehouse, "fired") == LARGE


@pytest.mark.parametrize("reads", ["itself", "a view of itself"])
def test_a_query_that_reads_its_target_does_not_see_what_it_replaces(large, warehouse, reads):
    sql = ("select id, event_time, val + (select count(*) from {sessions} s where s.event_time >= '2024-09-02'"
           " and s.event_time < '2024-09-03')::int as val from {events}")
    if reads == "itself":
        m = large(sql=sql, inputs=("events", "sessions"))
    else:
        warehouse.sql("CREATE VIEW an.other AS SELECT * FROM an.sessions")
        m = large(sql=sql.replace("{sessions}", "{other}"), inputs=("events", "other"))
    assert not rebuild(warehouse, m)
    assert warehouse.sql("SELECT min(val), max(val) FROM an.s_02") == [(0, 6)]


def test_hooks_are_run_around_rows_that_are_replaced(large, warehouse):
    warehouse.sql("CREATE TABLE an.log (n bigint)")
    m = large(**{"post-hook": [{"sql": "insert into an.log select count(*) from an.sessions", "transaction": True}]})
    assert not rebuild(warehouse, m)
    assert warehouse.sql("SELECT n FROM an.log") == [(3 * LARGE,), (3 * LARGE,)]
    assert "has hooks" in " ".join(m.document("sessions", ".model")["notes"])


def waits_for_lock(warehouse):
    return warehouse.sql("SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted"
                         " AND l.relation = 'an.sessions'::regclass")[0][0]


def test_who_reads_the_table_all_along_is_not_in_the_way(large, warehouse):
    m = large()
    with in_transaction(warehouse, READ) as reader:
        warehouse.sql("INSERT INTO an.sessions VALUES (-1, '2024-09-02', 0)")
        stop, waited = threading.Event(), []

        def read():
            while not stop.is_set():
                # Whoever waited behind a lock that is not to be had would wait for ever.
                waited.append(warehouse.sql(f"SET statement_timeout = '30s'; {READ}"))
                time.sleep(0.001)
        others = threading.Thread(target=read)
        others.start()
        try:
            assert not rebuild(warehouse, m)
        finally:
            reading = others.is_alive()
            stop.set()
            others.join()
        assert reading and waited and {rows for [(rows,)] in waited} <= {3 * LARGE, 3 * LARGE + 1}
        reader.rollback()
    shown = m.document("sessions", "2024-09-02")
    assert (shown["rows_deleted"], shown["rows_inserted"]) == (LARGE + 1, LARGE)
    check_rows(warehouse, "sessions")
    assert rebuild(warehouse, m)


def test_who_reads_the_table_for_a_moment_is_waited_for(large, warehouse):
    m = large()
    with in_transaction(warehouse, READ) as reader:
        os.utime(m / "sessions" / "2024-09-02")
        was = oid(warehouse, "s_02")
        wait_until(lambda: waits_for_lock(warehouse))
        reader.rollback()
    m.sync("sessions", "2024-09-02")
    assert oid(warehouse, "s_02") != was
    check_rows(warehouse, "sessions")


def test_a_look_while_it_waits_for_the_table_finds_nothing(large, warehouse):
    m = large()
    with in_transaction(warehouse, READ):
        os.utime(m / "sessions" / "2024-09-02")
        wait_until(lambda: waits_for_lock(warehouse), what="the exchange is tried")
        os.utime(m / "sessions" / ".adopt")
        m.sync("sessions", ".adopt")
    m.sync("sessions", "2024-09-02")
    os.utime(m / "sessions" / ".adopt")
    m.sync("sessions", ".adopt")
    assert set(m.states("sessions")[day] for day in DAYS) == {"done"}
    lines = (m / "sessions" / ".history").read_text()
    assert "adopted" not in lines and "gone" not in lines


def test_writers_of_other_windows_are_not_disturbed(large, warehouse):
    m = large()
    with in_transaction(warehouse, "DELETE FROM an.sessions WHERE event_time >= '2024-09-03' AND id % 2 = 0") as writer:
        assert not rebuild(warehouse, m)
        writer.commit()
    assert warehouse.count("sessions") == 2 * LARGE + LARGE // 2
    # Nor does one of the same window lose or double a row: it waits, as it would for a DELETE.
    with in_transaction(warehouse, "INSERT INTO an.sessions VALUES (-7, '2024-09-02', 0)") as writer:
        os.utime(m / "sessions" / "2024-09-02")
        wait_until(lambda: m.states("sessions")["2024-09-02"] == "running")
        writer.commit()
    m.sync("sessions", "2024-09-02")
    assert warehouse.count("sessions", "event_time >= '2024-09-02' AND event_time < '2024-09-03'") in (LARGE, LARGE + 1)
    assert rebuild(warehouse, m)
    assert rows_of(warehouse, "s_02") == LARGE


def test_nothing_is_left_of_one_that_was_killed(large, warehouse):
    m = large()
    with in_transaction(warehouse, READ) as reader:
        os.utime(m / "sessions" / "2024-09-02")
        wait_until(lambda: waits_for_lock(warehouse))
        m.kill()
        wait_until(lambda: not warehouse.sql("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'batchfs%'"))
        reader.rollback()
    assert leftovers(warehouse) == [] and rows_of(warehouse, "s_02") == LARGE
    m.start()
    m.sync("sessions", "2024-09-02")
    assert m.document("sessions", "2024-09-02")["attempt"] == 3
    assert leftovers(warehouse) == []
    check_rows(warehouse, "sessions")


def test_a_cancel_ends_what_waits_for_the_table(large, warehouse):
    m = large()
    was = oid(warehouse, "s_02")
    with in_transaction(warehouse, READ) as reader:
        os.utime(m / "sessions" / "2024-09-02")
        wait_until(lambda: waits_for_lock(warehouse))
        os.unlink(m / "sessions" / "2024-09-02")
        wait_until(lambda: m.states("sessions")["2024-09-02"] == "done")
        reader.rollback()
    assert oid(warehouse, "s_02") == was and leftovers(warehouse) == []
    check_rows(warehouse, "sessions")


@pytest.mark.parametrize("where", [BEFORE, ANSWERED, UNHEARD])
def test_cut_at_the_commit_of_an_exchange(large, warehouse, pg, where):
    with Proxy(pg) as proxy:
        m = large(options=["timeout=20"], env=proxy.env())
        cut = proxy.cut("detach partition", where)
        assert rebuild(warehouse, m)
        assert cut.done == 1
        assert m.document("sessions", "2024-09-02")["rows_deleted"] == LARGE
        check_rows(warehouse, "sessions")
        m.unmount()


def test_two_mounts(project, large, warehouse, mount):
    m = large()
    other = mount(project, now=NOW)
    before = {name: oid(warehouse, name) for name in ("s_01", "s_02", "s_03")}
    for _ in range(3):
        for each in (m, other):
            os.utime(each / "sessions" / "2024-09-01--2024-09-04")
        for each in (m, other):
            each.sync("sessions", "2024-09")
        assert leftovers(warehouse) == []
        check_rows(warehouse, "sessions")
    assert {name: oid(warehouse, name) for name in before} != before
    # Neither takes that for a table that was replaced, or for what somebody else has written.
    for each in (m, other):
        (each / "sessions" / ".adopt").touch()
        each.sync("sessions", ".adopt")
        assert {each.states("sessions")[day] for day in DAYS} == {"done"}
        assert not any(each.document("sessions", day)["adopted"] for day in DAYS)
        assert "another table" not in each.log_text()
    assert "gone" not in (m / "sessions" / ".history").read_text()


def test_a_batch_that_fails_says_why_as_any_other(large, warehouse):
    m = large("ALTER TABLE an.s_02 ADD CONSTRAINT own UNIQUE (id)")
    for wrong, sqlstate in (("UPDATE an.events SET id = 10001 WHERE id = 10002", "23505"),
                            ("UPDATE an.events SET id = NULL WHERE id = 10003", "23502")):
        if sqlstate == "23502":
            warehouse.sql("ALTER TABLE an.s_02 ALTER COLUMN id SET NOT NULL")
        warehouse.sql(wrong)
        with pytest.raises(OSError):
            m.build("sessions", "2024-09-02")
        error = m.document("sessions", "2024-09-02")["error"]
        assert error["sqlstate"] == sqlstate and "batchfs_" not in error["message"]
        assert leftovers(warehouse) == [] and rows_of(warehouse, "s_02") == LARGE
        warehouse.sql("UPDATE an.events SET id = 10002 WHERE event_time = (SELECT event_time FROM an.sessions WHERE id = 10002)")
