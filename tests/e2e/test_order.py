# SPDX-License-Identifier: Apache-2.0
"""What waits for what, what a failure takes with it, and what asking again brings back."""
import errno
import os
from collections import Counter

from lib.command import errno_of, shell
from lib.events import make_events
from lib.truth import built, check_rows
from lib.wait import wait_until

SEPTEMBER = [f"2024-09-{d:02}" for d in range(1, 31)]
# Fails where val is 0; SQLite divides by zero without complaint.
BREAKABLE = {"postgres": "1 / val", "sqlite": "abs(case when val = 0 then -9223372036854775807 - 1 else 1 end)"}


def break_days(warehouse, *days):
    where = " OR ".join(f"(event_time >= '{d} 00:00:00' AND event_time <= '{d} 23:59:59')" for d in days)
    warehouse.sql(f"UPDATE {warehouse.relation('events')} SET val = 0 WHERE {where}")


def repair(warehouse):
    warehouse.sql(f"UPDATE {warehouse.relation('events')} SET val = 1")


def september(warehouse, project):
    make_events(warehouse, first="2024-09-01", days=30, a_day=2)
    repair(warehouse)
    project.source("events", event_time="event_time")


def add_base(warehouse, project, **config):
    project.model("base", "select id, event_time, " + BREAKABLE[warehouse.engine] + " as val from {events}",
                  inputs=["events"], lookback=0, **config)


def span(mount, model, batch):
    document = mount.document(model, batch)
    assert document["state"] in ("done", "partial"), document
    return document["started_at"], document["finished_at"]


def jobs(engine, n):
    return f"jobs={n if engine == 'postgres' else 1}"


def test_hour_day_month_through_a_view_and_an_ephemeral(engine, warehouse, project, mount):
    make_events(warehouse, first="2024-09-01", days=2, a_day=24)
    project.source("events", event_time="event_time")
    project.model("hours", "select id, event_time, val from {events}", inputs=["events"], batch_size="hour",
                  begin="2024-09-01T00:00:00")
    project.view("seen", "select * from {hours}", inputs=["hours"], event_time="event_time")
    warehouse.sql(f"CREATE TABLE {warehouse.relation('hours')}"
                  f" (id integer, event_time {warehouse.time_type}, val integer)")
    warehouse.sql(f"CREATE VIEW {warehouse.relation('seen')} AS SELECT * FROM {warehouse.relation('hours')}")
    project.model("days", "select id, event_time, val from {seen}", inputs=["seen"])
    cte = "with __dbt__cte__some as (select * from {days}) select id, event_time, val from __dbt__cte__some"
    project.node("some", "select * from {days}", {"materialized": "ephemeral", "event_time": "event_time"},
                 ["days"], relation_name=None)
    months = project.model("months", cte, inputs=["some"], batch_size="month")
    months["raw_code"] = "select id, event_time, val from {{ ref('some') }}"
    months["extra_ctes"] = [{"id": project.ids["some"], "sql": " __dbt__cte__some as (select 1)"}]
    m = mount(project, jobs(engine, 3), now="2024-09-02T23:30:00")
    for model in ("hours", "days", "months"):
        assert m.document(model, ".model")["runnable"], m.document(model, ".model")
    done = shell(m, "touch hours/2024-09 days/2024-09 months/2024-09 && sync months/2024-09")
    assert done.returncode == 0, done.stderr
    hours = {f"2024-09-{d:02}T{h:02}": span(m, "hours", f"2024-09-{d:02}T{h:02}") for d in (1, 2) for h in range(24)}
    days = {d: span(m, "days", d) for d in SEPTEMBER[:2]}
    for day, (started, _) in days.items():
        assert max(end for hour, (_, end) in hours.items() if hour.startswith(day)) <= started
    assert max(end for _, end in days.values()) <= span(m, "months", "2024-09")[0]
    assert warehouse.count("months") == 48
    # Oldest first, and the first day did not wait for the hours of the second.
    assert sorted(hours, key=lambda hour: hours[hour]) == sorted(hours) or engine == "postgres"


def test_what_reads_a_failure_is_skipped_and_comes_back_with_it(engine, warehouse, project, mount):
    september(warehouse, project)
    break_days(warehouse, "2024-09-03")
    add_base(warehouse, project)
    project.model("daily", "select id, event_time, val from {base}", inputs=["base"], lookback=0)
    project.model("monthly", "select id, event_time, val from {daily}", inputs=["daily"], batch_size="month",
                  lookback=0)
    m = mount(project, jobs(engine, 2), now="2024-10-02T12:00:00")
    # The last first: whatever is asked for waits for what it reads.
    done = shell(m, "touch base/2024-09 daily/2024-09 monthly/2024-09; sync base/2024-09 daily/2024-09 monthly/2024-09")
    assert done.returncode != 0
    assert {d: s for d, s in m.states("base").items() if s != "done" and d < "2024-10"} == {"2024-09-03": "failed"}
    assert {d: s for d, s in m.states("daily").items() if s != "done" and d < "2024-10"} == {"2024-09-03": "skipped"}
    assert m.states("monthly")["2024-09"] == "skipped"
    document = m.document("daily", "2024-09-03")
    assert document["because"] == ["base/2024-09-03"]
    assert document["attempt"] == 0 and document["rows_inserted"] is None
    assert m.document("monthly", "2024-09")["because"] == ["daily/2024-09-03"]
    assert errno_of(m.sync, "daily", "2024-09-03") == errno.EIO
    # It is in the warehouse, not only in memory.
    m.unmount()
    m = mount(project, jobs(engine, 2), now="2024-10-02T13:00:00")
    assert m.states("daily")["2024-09-03"] == "skipped"
    assert m.document("daily", "2024-09-03")["because"] == ["base/2024-09-03"]
    repair(warehouse)
    done = shell(m, "touch base/*.failed && sync base/2024-09 && sync daily/2024-09 && sync monthly/2024-09")
    assert done.returncode == 0, done.stderr
    assert built(warehouse, "daily") == Counter(SEPTEMBER)
    assert built(warehouse, "base") == Counter(SEPTEMBER)
    assert m.states("monthly")["2024-09"] == "done"
    assert warehouse.count("monthly") == 60


def test_what_reads_before_the_begin_of_its_input_waits_for_its_table(engine, warehouse, project, mount):
    make_events(warehouse, first="2024-08-30", days=8)
    repair(warehouse)
    project.source("events", event_time="event_time")
    add_base(warehouse, project, begin="2024-09-02")
    project.model("daily", "select id, event_time, val from {base}", inputs=["base"], begin="2024-08-30", lookback=0)
    m = mount(project, jobs(engine, 2), now="2024-09-05T12:00:00")
    # Nobody makes the table: the database's own words say so.
    assert errno_of(m.build, "daily", "2024-08-30") == errno.EIO
    assert "base" in m.document("daily", "2024-08-30")["error"]["message"]
    done = shell(m, "touch base/2024 daily/2024 && sync daily/2024")
    assert done.returncode == 0, done.stderr
    assert built(warehouse, "daily") == Counter(list(m.states("daily")))
    assert warehouse.count("daily") == 16


def test_day_17_of_a_model_that_reads_itself(engine, warehouse, project, mount):
    september(warehouse, project)
    break_days(warehouse, "2024-09-17")
    warehouse.sql(f"CREATE TABLE {warehouse.relation('running')}"
                  f" (id integer, event_time {warehouse.time_type}, val integer, before bigint)")
    project.model("running", "select id, event_time, " + BREAKABLE[engine] + " as val,"
                  " (select count(*) from {running}) as before from {events}", inputs=["events"], lookback=0)
    m = mount(project, jobs(engine, 4), now="2024-10-01T12:00:00")
    assert shell(m / "running", "touch 2024-09 && sync 2024-09").returncode != 0
    states = m.states("running")
    assert [states[d] for d in SEPTEMBER] == ["done"] * 16 + ["failed"] + ["skipped"] * 13
    repair(warehouse)
    done = shell(m / "running", "touch *.failed && sync 2024-09")
    assert done.returncode == 0, done.stderr
    assert built(warehouse, "running") == Counter(SEPTEMBER)
    spans = [span(m, "running", d) for d in SEPTEMBER]
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:]))
    # Each saw exactly the days before it.
    rows = warehouse.sql(f"SELECT DISTINCT before FROM {warehouse.relation('running')} ORDER BY before")
    assert [n for n, in rows] == [2 * d for d in range(30)]
    check_rows(warehouse, "running")


def test_the_tenth_equal_error_skips_the_rest(warehouse, project, mount):
    september(warehouse, project)
    add_base(warehouse, project)
    m = mount(project, "jobs=1", now="2024-10-01T12:00:00")
    # Built once, so that several are claimed at a time from then on.
    m.build("base", "2024-09")
    break_days(warehouse, *SEPTEMBER)
    assert errno_of(m.build, "base", "2024-09") == errno.EIO
    assert Counter(m.states("base")[d] for d in SEPTEMBER) == {"failed": 10, "skipped": 20}
    assert [m.states("base")[d] for d in SEPTEMBER] == ["failed"] * 10 + ["skipped"] * 20
    repair(warehouse)
    assert shell(m / "base", "touch *.failed *.skipped && sync 2024-09").returncode == 0
    assert set(m.states("base")[d] for d in SEPTEMBER) == {"done"}


def test_a_success_between_begins_the_count_anew(warehouse, project, mount):
    september(warehouse, project)
    break_days(warehouse, *(d for d in SEPTEMBER if d != "2024-09-09"))
    add_base(warehouse, project)
    m = mount(project, "jobs=1", now="2024-10-01T12:00:00")
    assert errno_of(m.build, "base", "2024-09") == errno.EIO
    states = m.states("base")
    assert [states[d] for d in SEPTEMBER] == ["failed"] * 8 + ["done"] + ["failed"] * 10 + ["skipped"] * 11


def test_stale_says_why_and_run_repairs_it(engine, warehouse, project, mount):
    september(warehouse, project)
    add_base(warehouse, project)
    project.model("daily", "select id, event_time, val from {base}", inputs=["base"], lookback=0)
    m = mount(project, jobs(engine, 2), now="2024-09-06T00:00:00")
    week = SEPTEMBER[:5]
    assert shell(m, "touch base/2024-09 daily/2024-09 && sync daily/2024-09").returncode == 0
    assert {m.states("daily")[d] for d in week} == {"done"}
    m.build("base", "2024-09-02")
    wait_until(lambda: m.states("daily")["2024-09-02"] == "stale", what="it is stale")
    assert {d: m.states("daily")[d] for d in week if d != "2024-09-02"} == dict.fromkeys(
        (d for d in week if d != "2024-09-02"), "done")
    assert m.document("daily", "2024-09-02")["because"] == ["base/2024-09-02"]
    assert (m / "daily" / "2024-09-02.stale").exists()
    assert m.states("base")["2024-09-02"] == "done"
    before = built(warehouse, "daily")
    assert shell(m / "daily", "touch .stale && sync 2024-09").returncode == 0
    assert m.states("daily")["2024-09-02"] == "done"
    assert built(warehouse, "daily") - before == Counter(["2024-09-02"])
    # .run finds it too.
    m.build("base", "2024-09-04")
    before = built(warehouse, "daily")
    assert shell(m / "daily", "touch .run && sync .run").returncode == 0
    assert m.states("daily")["2024-09-04"] == "done"
    assert (built(warehouse, "daily") - before)["2024-09-04"] == 1
    assert "2024-09-03" not in built(warehouse, "daily") - before


def test_one_stale_batch_by_its_name(engine, warehouse, project, mount):
    september(warehouse, project)
    add_base(warehouse, project)
    project.model("daily", "select id, event_time, val from {base}", inputs=["base"], lookback=0)
    m = mount(project, jobs(engine, 2), now="2024-09-06T00:00:00")
    assert shell(m, "touch base/2024-09 daily/2024-09 && sync daily/2024-09").returncode == 0
    m.build("base", "2024-09-02")
    # The rows that the input got by its last build are there still.
    break_days(warehouse, "2024-09-02")
    assert errno_of(m.build, "base", "2024-09-02") == errno.EIO
    assert m.states("daily")["2024-09-02"] == "stale"
    assert m.document("daily", "2024-09-02")["because"] == ["base/2024-09-02"]
    before = built(warehouse, "daily")
    assert shell(m / "daily", "touch *.stale && sync 2024-09").returncode == 0
    assert m.states("daily")["2024-09-02"] == "done" and built(warehouse, "daily") - before == {"2024-09-02": 1}
    assert errno_of(os.utime, m / "daily" / "2024-09-02.stale") == errno.ENOENT
