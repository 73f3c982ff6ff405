# SPDX-License-Identifier: Apache-2.0
"""What a batch may and may not do to its table; types of time; order of batches."""
import errno
import os

import pytest

from lib.events import add_sessions, make_events
from lib.hold import add_held, make_hold
from lib.truth import built, check_rows, stored
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
TYPES = ["timestamptz", "timestamp", "date"]
NEW_YORK = "America/New_York"


@pytest.fixture
def engine():
    return "postgres"


def fails(mount, *names):
    """touch and sync must fail; the number."""
    with pytest.raises(OSError) as failed:
        mount.build(*names)
    return failed.value.errno


def make_typed(warehouse, kind):
    """Rows at the edges of UTC's days, which are elsewhere in New York's; `utc` keeps when they happened."""
    warehouse.sql(f"ALTER DATABASE warehouse SET timezone = '{NEW_YORK}'")
    warehouse.sql(f"CREATE TABLE an.events (id integer, event_time {kind}, utc timestamp)")
    for i, at in enumerate(["2024-08-31 23:59:59.999999", "2024-09-01 00:00:00", "2024-09-01 03:30:00",
                            "2024-09-01 23:59:59.999999", "2024-09-02 00:00:00", "2024-09-03 00:30:00"]):
        warehouse.sql(f"INSERT INTO an.events VALUES (%s, (%s::timestamp AT TIME ZONE 'UTC') "
                      f"{'' if kind == 'timestamptz' else 'AT TIME ZONE ' + repr('UTC')}, %s)", i, at, at)


@pytest.mark.parametrize("made", ["by us", "by dbt"])
@pytest.mark.parametrize("kind", TYPES)
def test_windows_are_those_of_utc(project, warehouse, mount, kind, made):
    make_typed(warehouse, kind)
    if made == "by dbt":
        warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events WITH NO DATA")
    project.source("events", event_time="event_time")
    project.model("sessions", "select id, event_time, utc from {events}", inputs=["events"])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    assert warehouse.sql("SELECT id FROM an.sessions ORDER BY id") == [(1,), (2,), (3,)]
    m.build("sessions", "2024-09-02")
    m.build("sessions", "2024-09-01")
    assert warehouse.sql("SELECT id FROM an.sessions ORDER BY id") == [(1,), (2,), (3,), (4,)]
    assert m.document("sessions", "2024-09-01")["rows_deleted"] == 3
    assert m.document("sessions", "2024-09-01")["rows_outside"] == 0
    assert m.document("sessions", ".model")["event_time_type"] == kind


@pytest.mark.parametrize("kind", TYPES)
def test_adoption_cuts_windows_in_utc(project, warehouse, mount, kind):
    make_typed(warehouse, kind)
    add_sessions_typed(project)
    warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events WHERE id IN (3, 5)")
    m = mount(project, now=NOW)
    wait_until(lambda: m.states("sessions")["2024-09-01"] == "done", what="the table is adopted")
    assert m.states("sessions") == {"2024-09-01": "done", "2024-09-02": "pending", "2024-09-03": "done",
                                    "2024-09-04": "pending"}


def add_sessions_typed(project):
    project.source("events", event_time="event_time")
    project.model("sessions", "select id, event_time, utc from {events}", inputs=["events"])


@pytest.mark.parametrize("target", [False, True], ids=["no target", "target"])
def test_hours_cannot_be_cut_from_dates(project, warehouse, mount, target):
    make_typed(warehouse, "date")
    project.source("events", event_time="event_time")
    project.model("sessions", "select id, event_time, utc from {events}", inputs=["events"], batch_size="hour",
                  begin="2024-09-04")
    if target:
        warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events WITH NO DATA")
    m = mount(project, now=NOW)
    assert fails(m, "sessions", "2024-09-04T01") == errno.EOPNOTSUPP
    document = m.document("sessions", ".model")
    assert document["runnable"] is False
    assert "type date" in document["why_not"] and "event_time" in document["why_not"]
    assert not target or warehouse.count("sessions") == 0


def test_hours(project, warehouse, mount):
    make_events(warehouse, first="2024-09-04", days=1, a_day=24)
    add_sessions(project, batch_size="hour", begin="2024-09-04")
    m = mount(project, now="2024-09-04T05:30:00")
    assert len(m.ls("sessions")) == 6
    m.build("sessions", "2024-09-04T03")
    assert warehouse.sql("SELECT event_time::text FROM an.sessions") == [("2024-09-04 03:00:00",)]


LATE = ("select id, event_time + case id % 4 when 3 then interval '1 day' "
        "when 2 then null else interval '0' end as event_time, val from {events}")


def add_late(project, warehouse, sql=LATE, **config):
    """Half of a day's rows are not its own."""
    make_events(warehouse)
    project.source("events", event_time="event_time")
    node = project.model("sessions", sql, inputs=["events"])
    node["config"].update(config)


@pytest.mark.parametrize("why", ["drop", "something is not filtered"])
def test_rows_outside_of_the_window_are_counted_and_left_out(project, warehouse, mount, why):
    if why == "drop":
        add_late(project, warehouse, meta={"batchfs": {"outside": "drop"}})
    else:
        add_late(project, warehouse)
        warehouse.sql("CREATE TABLE an.one AS SELECT 1 AS one")
        project.source("one")
        project.model("sessions", LATE + " cross join {one}", inputs=["events", "one"])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    assert stored(warehouse, "sessions") == {"2024-09-01": 2, "2024-09-02": 2}
    for batch in ("2024-09-01", "2024-09-02"):
        document = m.document("sessions", batch)
        assert (document["rows_inserted"], document["rows_outside"], document["state"]) == (2, 2, "done")


def test_rows_outside_fail_where_everything_is_filtered(project, warehouse, mount):
    """They would be lost: no other batch yields them."""
    add_late(project, warehouse)
    m = mount(project, now=NOW)
    assert fails(m, "sessions", "2024-09-01") == errno.EIO
    assert stored(warehouse, "sessions") == {}
    document = m.document("sessions", "2024-09-01")
    assert document["state"] == "failed" and document["error"]["sqlstate"] == "44000"
    assert "2 rows that the query yields" in document["error"]["message"] and "outside: drop" in document["error"]["message"]


def test_a_day_cut_in_another_zone_loses_no_rows_silently(project, warehouse, mount):
    warehouse.sql(f"ALTER DATABASE warehouse SET timezone = '{NEW_YORK}'")
    add_late(project, warehouse, "select id, date_trunc('day', event_time) as event_time, val from {events}")
    warehouse.sql("ALTER TABLE an.events ALTER event_time TYPE timestamptz USING event_time AT TIME ZONE 'UTC'")
    m = mount(project, now=NOW)
    assert fails(m, "sessions", "2024-09-02") == errno.EIO
    message = m.document("sessions", "2024-09-02")["error"]["message"]
    assert NEW_YORK in message and "time zone" in message


def test_rows_without_an_event_time_stay(project, warehouse, mount):
    """Somebody's rows that are in no window belong to no batch."""
    make_events(warehouse)
    add_sessions(project)
    warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events WHERE event_time < '2024-09-02'")
    warehouse.sql("INSERT INTO an.sessions VALUES (-1, NULL, 0), (-2, 'infinity', 0), (-3, '-infinity', 0)")
    m = mount(project, now=NOW)
    wait_until(lambda: m.states("sessions")["2024-09-01"] == "done", what="the table is adopted")
    m.build("sessions", "2024-09")
    assert warehouse.count("sessions", "id < 0") == 3
    assert warehouse.count("sessions", "event_time >= '2024-09-01' AND event_time < '2024-09-05'") == 16


@pytest.mark.parametrize("sql", [
    "select id, event_time, val from {events}; commit; drop table {events}; select 1, now(), 2",
    "select id, event_time, val from {events}) x; commit; delete from {events}; select * from (select 1",
    "select id, event_time, val from {events} where val = 1 /* ' */; commit; delete from {events} -- '",
    "select id, event_time, val from {events} ; COMMIT;",
], ids=["three statements", "parentheses", "comments", "at the end"])
def test_a_commit_in_the_models_sql_changes_nothing(project, warehouse, mount, sql):
    make_events(warehouse)
    project.source("events", event_time="event_time")
    project.model("sessions", sql, inputs=["events"])
    warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events")
    m = mount(project, now=NOW)
    assert fails(m, "sessions", "2024-09-01") in (errno.EIO, errno.EOPNOTSUPP)
    assert warehouse.count("events") == 32 and warehouse.count("sessions") == 32
    if not m.document("sessions", ".model")["runnable"]:
        assert m.document("sessions", ".model")["why_not"]


def test_a_function_that_commits_fails(project, warehouse, mount):
    """What a statement cannot do by its text it cannot do by a procedure either."""
    make_events(warehouse)
    warehouse.sql("CREATE PROCEDURE an.ends() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'")
    warehouse.sql("CREATE FUNCTION an.calls() RETURNS boolean LANGUAGE plpgsql VOLATILE AS"
                  " 'BEGIN CALL an.ends(); RETURN true; END'")
    project.source("events", event_time="event_time")
    project.model("sessions", "select id, event_time, val from {events} where an.calls()", inputs=["events"])
    warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events")
    m = mount(project, now=NOW)
    wait_until(lambda: m.states("sessions")["2024-09-01"] == "done", what="the table is adopted")
    assert fails(m, "sessions", "2024-09-01") == errno.EIO
    assert m.document("sessions", "2024-09-01")["error"]["sqlstate"] == "2D000"
    assert warehouse.count("sessions") == 32


def notes_on(mount, words):
    return [note for note in mount.document("sessions", ".model")["notes"] if words in note]


def indexes(warehouse):
    return {definition.partition(" USING ")[2]: "UNIQUE" in definition for definition, in warehouse.sql(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'an' AND tablename = 'sessions'")}


def test_indexes_of_the_config(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, indexes=[{"columns": ["id"], "unique": True}, {"columns": ["val", "id"], "type": "btree"},
                                   {"columns": ["val"], "type": "hash"}])
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    assert indexes(warehouse) == {"btree (id)": True, "btree (val, id)": False, "hash (val)": False,
                                  "btree (event_time)": False}
    assert notes_on(m, "index") == []


@pytest.mark.parametrize("index, made", [({"columns": ["event_time", "id"]}, {"btree (event_time, id)"}),
                                         ({"columns": ["event_time"], "type": "brin"},
                                          {"brin (event_time)", "btree (event_time)"})])
def test_an_index_led_by_event_time_is_enough(project, warehouse, mount, index, made):
    make_events(warehouse)
    add_sessions(project, indexes=[index])
    mount(project, now=NOW).build("sessions", "2024-09-01")
    assert indexes(warehouse).keys() == made


def test_a_table_of_somebody_gets_a_note_and_no_index(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    warehouse.sql("CREATE TABLE an.sessions AS SELECT * FROM an.events WITH NO DATA")
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    assert indexes(warehouse) == {}
    [note] = notes_on(m, "index")
    assert 'CREATE INDEX ON "an"."sessions" (event_time)' in note


def test_a_time_zone_in_which_days_are_cut_is_noted_once(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")
    [note] = notes_on(m, "time zone")
    assert "time zone is Asia/Tokyo" in note and "date_trunc" in note
    m.unmount()
    warehouse.sql("ALTER ROLE postgres SET timezone = 'UTC'")
    try:
        assert notes_on(mount(project, now=NOW), "time zone") == []
    finally:
        warehouse.sql("ALTER ROLE postgres RESET timezone")


ALONE = """
    CREATE FUNCTION an.alone() RETURNS boolean VOLATILE LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT pg_try_advisory_xact_lock(77) THEN
            RAISE EXCEPTION 'two at once';
        END IF;
        RETURN true;
    END $$"""


@pytest.mark.parametrize("why", ["concurrent_batches", "reads itself", "free"])
def test_batches_of_a_serial_model_never_overlap(project, warehouse, mount, why):
    """Each takes a lock that it holds to its end; a model that is free to overlap must trip over it."""
    make_events(warehouse, days=40)
    hold = make_hold(warehouse)
    warehouse.sql(ALONE)
    warehouse.sql("CREATE TABLE an.sessions (id integer, event_time timestamp, val integer)")
    project.source("events", event_time="event_time")
    sql = "select id, event_time, val from {events} where case when an.alone() then an.passes(event_time) end"
    inputs = ["events"]
    if why == "reads itself":
        sql += " and id not in (select id from {sessions} where val < 0)"
    node = project.model("sessions", sql, inputs=inputs,
                         concurrent_batches=False if why == "concurrent_batches" else None)
    if why == "reads itself":
        node["depends_on"]["nodes"].append(node["unique_id"])
    m = mount(project, "jobs=4", now="2024-10-01T12:00:00")
    hold.close()
    os.utime(m / "sessions" / "2024-09")
    if why == "free":
        wait_until(lambda: "failed" in m.states("sessions").values(), what="two have met")
        hold.open()
        assert fails(m, "sessions", "2024-09") == errno.EIO
        return
    wait_until(lambda: "running" in m.states("sessions").values(), what="one runs")
    states = m.states("sessions")
    assert states["2024-09-01"] == "running" and list(states.values()).count("queued") == 29
    hold.open()
    m.sync("sessions", "2024-09")
    assert check_rows(warehouse, "sessions") == {f"2024-09-{day:02}": 4 for day in range(1, 31)}
    order = warehouse.sql("SELECT window_start FROM batchfs.attempt WHERE outcome = 'done' ORDER BY xid")
    assert order == sorted(order)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_jobs_run_side_by_side(project, warehouse, mount, jobs):
    make_events(warehouse)
    hold = make_hold(warehouse)
    add_held(project, hold)
    m = mount(project, f"jobs={jobs}", now=NOW)
    hold.close()
    os.utime(m / "sessions" / "2024-09")

    def running():
        return sorted(batch for batch, state in m.states("sessions").items() if state == "running")

    wait_until(lambda: len(running()) == jobs, what=f"{jobs} batches run")
    active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'insert into%'"
    wait_until(lambda: warehouse.sql(active) == [(jobs,)], what=f"{jobs} queries run at once")
    assert running() == [f"2024-09-0{day}" for day in range(1, jobs + 1)]
    hold.open()
    m.sync("sessions", "2024-09")
    assert check_rows(warehouse, "sessions") == {f"2024-09-0{day}": 4 for day in range(1, 5)}
    assert set(built(warehouse, "sessions").values()) == {1}


def test_a_slow_lane_has_a_connection_while_there_is_something_to_do(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    m = mount(project, now=NOW)
    m.build("sessions", "2024-09-01")

    def connected(lane):
        return warehouse.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s",
                             f"batchfs:%:{lane}")[0][0]

    with open(m / "sessions" / ".history", encoding="utf-8") as reader:
        assert len(reader.readlines()) == 1
        assert connected("history") == 1
        m.build("sessions", "2024-09-02")
        wait_until(reader.readline, what="a reader that follows sees the next attempt")
    wait_until(lambda: connected("history") == 0, what="nobody reads, and the connection has gone")
