# SPDX-License-Identifier: Apache-2.0
"""engine=dbt,store=postgres: several mounts of a project whose tables are in another warehouse, on one truth."""
import errno
import json
import os

import pytest

from lib.command import errno_of
from lib.dbt_played import DAYS, FAKE, NOW, DbtWarehouse, alive, played_project
from lib.wait import wait_until


class DbtOnPostgres(DbtWarehouse):
    """The tables are dbt's, the states are in a PostgreSQL that knows nothing of those."""

    def __init__(self, place, pg):
        super().__init__(place)
        self.pg = pg
        pg.fresh()

    def options(self):
        return ["engine=dbt", "store=postgres", "service=warehouse", f"project={self.place}", f"dbt={FAKE}", "chunk=10"]

    def env(self):
        return {**super().env(), **self.pg.env(), "XDG_STATE_HOME": str(self.place.parent / "state")}


@pytest.fixture
def engine():
    return "dbt"


@pytest.fixture
def warehouse(tmp_path, pg):
    return DbtOnPostgres(tmp_path / "project", pg)


@pytest.fixture
def project(tmp_path, warehouse):
    return played_project(tmp_path, warehouse)


def show(both, **states):
    """Both mounts do, in the end."""
    wanted = {day.replace("d", "2024-09-"): state for day, state in states.items()}
    for m in both:
        wait_until(lambda: wanted.items() <= m.states("sessions").items(), what=f"{m.path} shows {wanted}")


def test_two_mounts_on_one_truth(mount, project, warehouse):
    a = mount(project, now=NOW)
    wait_until(lambda: "unknown" not in a.states("sessions").values(), what="the table was looked at")
    warehouse.fake(batches={"2024-09-02": "hang"})
    os.utime(a / "sessions" / "2024-09-01--2024-09-04")
    show([a], d01="done", d02="running", d04="pending")
    b = mount(project, now=NOW)
    both = [a, b]
    show(both, d01="done", d02="running", d04="pending")
    os.chmod(b / "sessions" / "2024-09-05", 0o444)
    wait_until(lambda: a.document("sessions", "2024-09-05")["frozen"], what="a sees what b has frozen")
    assert errno_of(os.utime, a / "sessions" / "2024-09-05") == errno.EPERM
    # What the killed one was at is taken over; what it has done is not done again.
    warehouse.fake()
    a.kill()
    b.sync("sessions", "2024-09-01--2024-09-04")
    show([b], d01="done", d02="done", d03="done", d04="pending", d05="pending")
    assert warehouse.table() == dict.fromkeys(DAYS[:3], 1)
    a.start()
    show(both, d01="done", d02="done", d03="done", d04="pending", d05="pending")
    batch = a.document("sessions", "2024-09-01")
    assert (batch["builder"], batch["rows_inserted"], batch["code"], batch["adopted"]) == ("dbt", 4, "same", False)
    mount = a.document(".status")["mount"]
    assert (mount["engine"], mount["store"]) == ("dbt", "postgres")
    history = [json.loads(line) for line in (a / "sessions" / ".history").read_text().splitlines()]
    assert [h["batch"] for h in history if h["outcome"] == "done"] == DAYS[:3]


def test_a_dbt_without_its_store_is_ended(mount, project, warehouse):
    """Another mount may be at the batch by then, and nothing in the warehouse fences the two."""
    m = mount(project, now=NOW)
    warehouse.fake(batches={"2024-09-02": "hang"})
    os.utime(m / "sessions" / "2024-09-01--2024-09-04")
    wait_until(lambda: warehouse.hangs("2024-09-02"), what="dbt hangs")
    [pid] = {call["pid"] for call in warehouse.calls() if alive(call["pid"])}
    warehouse.fake()
    warehouse.pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'batchfs%'")
    wait_until(lambda: not alive(pid), what="it was ended")
    m.sync("sessions", "2024-09-01--2024-09-04")
    show([m], d01="done", d02="done", d03="done")
    assert warehouse.table() == dict.fromkeys(DAYS[:3], 1)
    history = [json.loads(line) for line in (m / "sessions" / ".history").read_text().splitlines()]
    assert [h["batch"] for h in history if h["outcome"] == "interrupted"] == [DAYS[1]]


def test_what_others_have_written_is_adopted_by_all(mount, project, warehouse):
    (warehouse.place / "table.json").write_text(json.dumps({DAYS[0]: 1}))
    both = [mount(project, now=NOW) for _ in range(2)]
    show(both, d01="done", d02="pending")
    assert both[1].document("sessions", DAYS[0])["adopted"]
    (warehouse.place / "table.json").write_text(json.dumps({DAYS[1]: 1}))
    os.utime(both[0] / "sessions" / ".adopt")
    show(both, d01="pending", d02="done")
    (warehouse.place / "table.json").unlink()
    both[1].build("sessions", DAYS[2])
    (warehouse.place / "table.json").unlink()
    os.utime(both[0] / "sessions" / ".adopt")
    show(both, d02="pending", d03="pending")


def test_a_table_of_that_name_in_the_stores_own_database_is_another(mount, project, warehouse):
    warehouse.pg.sql("CREATE TABLE an.sessions AS SELECT timestamp '2024-09-04' AS event_time")
    m = mount(project, now=NOW)
    show([m], d04="pending")
    m.build("sessions", DAYS[0])
    warehouse.pg.sql("DROP TABLE an.sessions")
    warehouse.pg.sql("CREATE VIEW an.sessions AS SELECT 1 AS other")
    m.build("sessions", DAYS[1])
    show([m], d01="done", d02="done", d04="pending")
    # A mount that builds in that database, and one of another target of the profile, have their own states.
    assert "target=" in warehouse.pg.sql("SELECT warehouse FROM batchfs.model")[0][0]
    other = mount(project, "target=prod", now=NOW)
    wait_until(lambda: "unknown" not in other.states("sessions").values(), what="it has looked")
    assert other.document("sessions", DAYS[0])["adopted"]
    assert not m.document("sessions", DAYS[0])["adopted"]


def test_what_cannot_be_built_is_looked_at_all_the_same(mount, project, warehouse):
    project.model("sessions", "select * from {events}", inputs=["events"], lookback="x")
    (warehouse.place / "table.json").write_text(json.dumps({"2024-09-02": 1}))
    m = mount(project, now=NOW)
    show([m], d01="pending", d02="done")
    assert m.document("sessions", "2024-09-02")["adopted"]
    assert errno_of(os.utime, m / "sessions" / "2024-09-01") == errno.EOPNOTSUPP
