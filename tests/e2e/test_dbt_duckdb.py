# SPDX-License-Identifier: Apache-2.0
"""engine=dbt with real dbt: DuckDB, which one process at a time may open, and PostgreSQL."""
import errno
import os
import subprocess

import pytest

from lib.shop import Shop, duckdb_shop
from lib.wait import LIMIT, wait_until

NOW = "2024-09-06T12:00"
@pytest.fixture
def engine():
    return "dbt"


@pytest.fixture
def duckdb(dbt_python, tmp_path):
    return duckdb_shop(dbt_python, tmp_path)


# dbt takes seconds to start, and several times that where other tests run beside it.
PATIENCE = 4 * LIMIT


def looked_at(m):
    wait_until(lambda: "unknown" not in m.states("sessions").values(), PATIENCE, what="the table was looked at")


def failing(m, *names):
    with pytest.raises(OSError) as e:
        m.build(*names)
    return e.value.errno


COUNTS = "select strftime(event_time, '%Y-%m-%d') d, count(*) from sessions group by 1 order by 1"


def test_break_a_day_and_mend_it(mount, duckdb):
    """What the README says."""
    duckdb("run", "--select", "sessions", "--event-time-start", "2024-09-01", "--event-time-end", "2024-09-03")
    duckdb("compile")
    m = mount(duckdb, now=NOW)
    looked_at(m)
    days = [f"2024-09-0{d}" for d in range(1, 7)]
    assert list(m.states("sessions").values()) == ["done", "done", "pending", "pending", "pending", "pending"]
    assert m.document("sessions", "2024-09-01")["adopted"] is True
    duckdb.sessions(13)
    duckdb("compile")
    assert failing(m, "sessions", ".run") == errno.EIO
    states = m.states("sessions")
    assert [states[d] for d in days] == ["done", "done", "done", "failed", "done", "partial"]
    assert "Could not convert string 'bad'" in m.document("sessions", "2024-09-04")["error"]["message"]
    # Nothing holds the file: the one that asks may write.
    assert wait_until(lambda: isinstance(r := duckdb.sql(COUNTS), list) and r, PATIENCE, what="the file is free") == [
        [d, 4] for d in days if d != "2024-09-04"]
    duckdb.sessions()
    duckdb("compile")
    m.build("sessions", ".failed")
    assert m.states("sessions")["2024-09-04"] == "done"
    assert duckdb.sql(COUNTS) == [[d, 4] for d in days]
    assert not (duckdb.path / "logs" / "batchfs").exists()
    assert (duckdb.path.parent / "states.db-dbt" / "0" / "target" / "run_results.json").exists()


def test_kill_resumes_what_was_queued(mount, duckdb):
    m = mount(duckdb, "chunk=2", now=NOW)
    looked_at(m)
    os.utime(m / "sessions" / "2024-09")
    wait_until(lambda: "done" in m.states("sessions").values(), PATIENCE, what="something is built")
    m.kill()
    m.start()
    m.sync("sessions", "2024-09")
    assert set(m.states("sessions").values()) == {"done", "partial"}
    assert duckdb.sql(COUNTS) == [[f"2024-09-0{d}", 4] for d in range(1, 7)]


def test_full_refresh(mount, duckdb):
    """A column more is what dbt takes it for; the table is made anew once, and nothing is lost by a kill."""
    m = mount(duckdb, "chunk=2", now=NOW)
    m.build("sessions", "2024-09")
    duckdb.sessions(17, more=", 7 as seven")
    duckdb("compile")
    wait_until(lambda: m.document("sessions", "2024-09-01")["code"] == "changed", PATIENCE, what="the manifest was read")
    os.utime(m / "sessions" / ".full-refresh")
    wait_until(lambda: m.document("sessions", ".full-refresh")["phase"] == "build", PATIENCE, what="the table is another one")
    m.kill()
    m.start()
    with pytest.raises(OSError) as e:
        m.sync("sessions", ".full-refresh")
    assert e.value.errno == errno.EIO
    assert m.states("sessions")["2024-09-05"] == "failed"
    duckdb.sessions(more=", 7 as seven")
    duckdb("compile")
    m.build("sessions", ".failed")
    assert duckdb.sql("select strftime(event_time, '%Y-%m-%d') d, count(seven) from sessions group by 1 order by 1") == [
        [f"2024-09-0{d}", 4] for d in range(1, 7)]
    assert duckdb.sql("select distinct run from sessions where id < 4") == [["first"]]
    assert duckdb.sql("select distinct run from sessions where id >= 4") == [["later"]]


def test_a_file_that_another_holds(mount, duckdb, dbt_python):
    """It fails in passing, and is tried again."""
    m = mount(duckdb, now=NOW)
    m.build("sessions", "2024-09-02")
    code = f"import duckdb, sys; c = duckdb.connect({str(duckdb.path.parent / 'shop.duckdb')!r}); print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen([dbt_python, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        os.utime(m / "sessions" / "2024-09-01")
        wait_until(lambda: "Could not set lock" in (m / "sessions" / ".history").read_text(), PATIENCE,
                   what="it was in the way")
        holder.stdin.close()
    m.sync("sessions", "2024-09-01")
    assert m.states("sessions")["2024-09-01"] == "done"


def test_the_resident_one_dies(mount, duckdb):
    m = mount(duckdb, now=NOW)
    m.build("sessions", "2024-09-01")
    lock = duckdb.path.parent / "states.db-dbt"
    for place in lock.iterdir():
        pid = int((place / "lock").read_text())
        try:
            # A child of one with threads may wait for a thread that it does not have.
            assert len(os.listdir(f"/proc/{pid}/task")) == 1
            os.kill(pid, 9)
        except (FileNotFoundError, ProcessLookupError):
            pass  # of the look, which is over
    m.build("sessions", "2024-09-02")
    wait_until(lambda: duckdb.sql(COUNTS) == [["2024-09-01", 4], ["2024-09-02", 4]], what="dbt has let go of the file")


@pytest.mark.parametrize("engine", ("postgres",))
def test_postgres_through_dbt(mount, dbt_python, make_warehouse, tmp_path, engine):
    warehouse = make_warehouse(engine)
    warehouse.sql("CREATE SCHEMA IF NOT EXISTS an")
    output = {"type": "postgres", "host": str(warehouse.pg.home), "port": 5432, "user": "postgres", "password": "",
              "dbname": "warehouse", "schema": "an", "threads": 2}
    place = Shop(tmp_path / "shop", dbt_python.parent, output, "generate_series(0, 23) t(i)", "'id'")
    place("run", "--select", "events")
    place("compile")
    m = mount(place, now=NOW)
    m.build("sessions", "2024-09")
    assert warehouse.sql("select event_time::date::text, count(*) from an.sessions group by 1 order by 1") == [
        (f"2024-09-0{d}", 4) for d in range(1, 7)]
    assert m.document("sessions", "2024-09-02")["rows_inserted"] == 4
    # It asks at run time, and is built all the same.
    assert m.document("sessions", ".model")["runnable"] is True
    assert warehouse.sql("select distinct run from an.sessions where id = 20") == [("later",)]
