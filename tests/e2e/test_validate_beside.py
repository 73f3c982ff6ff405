# SPDX-License-Identifier: Apache-2.0
"""Validation beside others: other mounts, who writes and reads, who locks the table."""
import errno
import os

import pytest

from lib.command import errno_of, finish, parked_sync
from lib.events import add_sessions, make_events
from lib.roles import BUILDER, login, make_role
from lib.wait import wait_until
from test_adoption import NOW
from test_validate import insert, problems, synced, table, touch, validate

UNDER_WAY = "is under way"


# A SQLite file has one mount, and nobody locks a table of it.
@pytest.fixture(params=["postgres"])
def engine(request):
    return request.param


@pytest.fixture(autouse=True)
def events(warehouse):
    make_events(warehouse)


@pytest.fixture
def gate(warehouse, pg):
    """A model's meta.batchfs.expect that is answered when the gate has been opened; its snapshot is older."""
    warehouse.sql("""
        CREATE FUNCTION an.passes() RETURNS timestamp VOLATILE LANGUAGE plpgsql AS $$
        BEGIN
            WHILE NOT pg_try_advisory_xact_lock_shared(42) LOOP
                PERFORM pg_sleep(0.005);
            END LOOP;
            RETURN '2000-01-01';
        END $$""")
    with pg.connect() as conn, conn.cursor() as keeper:
        keeper.execute("SELECT pg_advisory_lock(42)")
        yield lambda: keeper.execute("SELECT pg_advisory_unlock(42)")


EXPECT = ("select date_trunc('day', event_time), count(*) from an.events group by 1 "
          "union all select an.passes(), 0")


def text(m):
    return (m / "sessions" / ".validate").read_text()


def wait_text(m, words):
    wait_until(lambda: words in text(m), what=f"{m.path}: {words}")


def test_a_touch_counts_on_every_mount(project, warehouse, mount, fault_binary, fault):
    add_sessions(project)
    one, other = mount(project, now=NOW, binary=fault_binary, env=fault.env()), mount(project, now=NOW)
    one.build("sessions", "2024-09-01--2024-09-04")
    insert(warehouse, "2024-09-03 01:00:00")
    fault.set("validate:hold")
    touch(one, "sessions", ".validate")
    wait_text(other, "is to come")
    waits = parked_sync(other / "sessions" / ".validate")
    fault.clear()
    assert os.strerror(errno.EUCLEAN) in finish(waits).stderr
    assert problems(other, "sessions", ".validate.json") == [("2024-09-03", "count")]
    wait_until(lambda: one.document("sessions", ".validate.json") == other.document("sessions", ".validate.json"),
               what="both show the same")


def test_a_cancel_counts_on_every_mount(project, warehouse, mount, gate):
    add_sessions(project, meta={"batchfs": {"expect": EXPECT}})
    one, other = mount(project, now=NOW), mount(project, now=NOW)
    one.build("sessions", "2024-09-01")
    touch(one, "sessions", ".validate")
    wait_text(one, UNDER_WAY)
    waits = parked_sync(one / "sessions" / ".validate")
    wait_text(other, "is to come")
    os.unlink(other / "sessions" / ".validate")
    assert os.strerror(errno.ECANCELED) in finish(waits).stderr
    assert synced(one, "sessions", ".validate") == errno.ENODATA
    wait_until(lambda: not warehouse.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%batchfs_e%' "
                                         "AND pid <> pg_backend_pid() AND state = 'active'"),
               what="the query has ended")


@pytest.mark.parametrize("end", ["kill", "unmount"])
def test_another_mount_takes_over(project, warehouse, mount, fault_binary, fault, end):
    add_sessions(project)
    one = mount(project, now=NOW, binary=fault_binary, env=fault.env())
    one.build("sessions", "2024-09-01--2024-09-04")
    insert(warehouse, "2024-09-03 01:00:00")
    fault.set("validate:hold")
    touch(one, "sessions", ".validate")
    other = mount(project, now=NOW)
    wait_text(other, "is to come")
    waits = parked_sync(other / "sessions" / ".validate")
    getattr(one, end)()
    assert os.strerror(errno.EUCLEAN) in finish(waits).stderr
    assert problems(other, "sessions", ".validate.json") == [("2024-09-03", "count")]


def test_nobody_waits_for_it(project, warehouse, mount, gate, pg):
    """Writers and readers of the table, and a batch that is built anew meanwhile, which is no problem."""
    add_sessions(project, unique_key="id", meta={"batchfs": {"expect": EXPECT}})
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-06")
    touch(m, "sessions", ".validate")
    wait_text(m, UNDER_WAY)
    wait_until(lambda: warehouse.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%passes%' AND state = 'active' "
                                     "AND pid <> pg_backend_pid()"), what="it waits at the gate")
    with pg.connect() as conn, conn.cursor() as beside:
        conn.autocommit = False
        beside.execute("SET lock_timeout = '1ms'")
        beside.execute("INSERT INTO an.sessions VALUES (9000, '2024-09-01 01:00:00', 0)")
        beside.execute("UPDATE an.sessions SET val = val + 1")
        beside.execute("LOCK TABLE an.sessions IN EXCLUSIVE MODE")
        beside.execute("SELECT count(*) FROM an.sessions")
        beside.execute("CREATE INDEX ON an.events (val)")
        conn.rollback()
    # More has come in.
    insert(warehouse, "2024-09-02 03:00:00", id_=9001, table="events")
    m.build("sessions", "2024-09-02")
    gate()
    assert synced(m, "sessions", ".validate") == 0
    assert validate(m, "sessions", ".validate") == 0
    # Built by nobody but one who is at it just now: none of its rows are seen, its former ones are right.
    assert m.document("sessions", ".validate.json")["batches"] == 5


def test_a_locked_table_holds_up_its_own_only(project, warehouse, mount, pg):
    add_sessions(project)
    project.model("other", "select id, event_time, val from {events}", inputs=["events"])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    m.build("other", "2024-09-01")
    with pg.connect() as conn, conn.cursor() as keeper:
        conn.autocommit = False
        keeper.execute("LOCK TABLE an.sessions IN ACCESS EXCLUSIVE MODE")
        touch(m, ".validate")
        wait_text(m, "is tried again: ")
        assert synced(m, "other", ".validate") == 0
        waits = parked_sync(m / ".validate")
        conn.rollback()
    assert finish(waits).returncode == 0


def test_what_may_not_be_read_says_so(project, warehouse, mount, pg, tmp_path):
    role = make_role(warehouse, "watcher", *BUILDER)
    add_sessions(project)
    m = mount(project, now=NOW, env=login(pg, tmp_path, role))
    m.build("sessions", "2024-09-01")
    warehouse.sql("ALTER TABLE an.sessions OWNER TO postgres")
    assert validate(m, "sessions", ".validate") == errno.EIO
    assert "GRANT SELECT" in table(m, "sessions", ".validate")[-1] and "came to no report" in text(m)
    warehouse.sql("GRANT ALL ON an.sessions TO watcher")
    assert validate(m, "sessions", ".validate") == 0 and "came to no report" not in text(m)


def test_windows_that_were_built_in_another_size(project, warehouse, mount, tmp_path):
    """The days' numbers are of before the hours were built: nobody knows them any more."""
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-04")
    m.unmount()
    add_sessions(project, batch_size="hour")
    insert(warehouse, "2024-09-02 03:00:00", table="events", id_=9001)
    m = mount(project, now="2024-09-05T13:00:00")
    m.build("sessions", "2024-09-02T03")
    m.unmount()
    add_sessions(project)
    m = mount(project, now="2024-09-05T14:00:00")
    insert(warehouse, "2024-09-01 05:00:00")
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    assert problems(m, "sessions", ".validate.json") == [("2024-09-01", "count")]


def test_time_zones(project, warehouse, mount):
    """Days are UTC's, whatever the role's session says."""
    warehouse.sql("ALTER ROLE postgres SET TimeZone = 'America/New_York'")
    try:
        warehouse.sql("ALTER TABLE an.events ALTER event_time TYPE timestamptz USING event_time AT TIME ZONE 'UTC'")
        add_sessions(project, unique_key="id", meta={"batchfs": {
            "expect": "select date_trunc('day', event_time at time zone 'UTC'), count(*) from an.events group by 1"}})
        m = mount(project, now=NOW)
        m.build("sessions", "2024-09-01--2024-09-06")
        assert validate(m, "sessions", ".validate") == 0
        warehouse.sql("DELETE FROM an.sessions WHERE event_time >= '2024-09-02Z' AND event_time < '2024-09-03Z'")
        assert validate(m, "sessions", ".validate") == errno.EUCLEAN
        assert problems(m, "sessions", ".validate.json") == \
            [("2024-09-02", "empty"), ("2024-09-02", "count"), ("2024-09-02", "expect")]
    finally:
        warehouse.sql("ALTER ROLE postgres RESET TimeZone")


def test_a_table_that_was_replaced_has_no_report(project, warehouse, mount):
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    insert(warehouse, "2024-09-01 05:00:00")
    assert validate(m, "sessions", ".validate") == errno.EUCLEAN
    warehouse.sql("CREATE TABLE an.s2 AS SELECT * FROM an.sessions; DROP TABLE an.sessions; "
                  "ALTER TABLE an.s2 RENAME TO sessions")
    wait_until(lambda: synced(m, "sessions", ".validate") == errno.ENODATA, what="the replaced table is noticed")
    m.unmount()
    m.start()
    assert synced(m, "sessions", ".validate") == errno.ENODATA
    assert errno_of(os.unlink, m / "sessions" / ".validate") == errno.EPERM
