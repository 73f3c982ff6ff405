# SPDX-License-Identifier: Apache-2.0
"""A batch is built with the SQL that it was asked for with; what no living mount has the SQL of fails in the end."""
import os
import sqlite3

import pytest

from lib.command import finish, parked_sync
from lib.events import make_events
from lib.project import Project
from lib.reload import rewrite
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
MONTH = "2024-09"
COMPILED = "SELECT 1 FROM compiled"
REASON = "no mount has had the SQL"


def add(project, plus=0, **config):
    return project.model("sessions", f"select id, event_time, val + {plus} as val from {{events}}", inputs=["events"],
                         **config)


def on(warehouse, target, plus):
    project = Project(target, warehouse)
    project.source("events", event_time="event_time")
    add(project, plus)
    return project


@pytest.fixture
def two(warehouse, tmp_path):
    """Two projects with other SQL for one table."""
    make_events(warehouse)
    return [on(warehouse, tmp_path / name / "target", plus) for name, plus in (("a", 100), ("b", 200))]


def queue_sql(warehouse, query):
    if warehouse.engine == "postgres":
        for table in ("request", "compiled"):
            query = query.replace(table, f"batchfs.{table}")
        return warehouse.sql(query)
    connection = sqlite3.connect(f"{warehouse.path}-queue", timeout=30, isolation_level=None)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def orphans(warehouse):
    return queue_sql(warehouse, "SELECT count(*) FROM request WHERE orphan_since IS NOT NULL")[0][0]


def open_requests(warehouse):
    return queue_sql(warehouse, "SELECT count(*) FROM request WHERE open")[0][0]


def a_minute_passes(warehouse):
    wait_until(lambda: orphans(warehouse), what="somebody has noted that nobody has the SQL")
    minute = "interval '1 minute'" if warehouse.engine == "postgres" else "60"
    query = f"UPDATE request SET orphan_since = orphan_since - {minute} WHERE orphan_since IS NOT NULL"
    queue_sql(warehouse, query + (" RETURNING 1" if warehouse.engine == "postgres" else ""))


def is_shown(m, state, batch="2024-09-03"):
    wait_until(lambda: m.states("sessions")[batch] == state, what=f"{batch} is {state}")


def dies_with_a_queue(other, m, fault):
    """The mount m asks for a month, which the other one hears of, and is killed before it has built it."""
    with fault.holding("build"):
        os.utime(m / "sessions" / MONTH)
        is_shown(other, "queued")
        m.kill()


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_nobody_has_the_sql_for_a_minute(two, mount, warehouse, fault_binary, fault):
    a = mount(two[0], "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    b = mount(two[1], now=NOW)
    dies_with_a_queue(b, a, fault)
    waiting = parked_sync(b / "sessions" / MONTH)
    wait_until(lambda: orphans(warehouse), what="it is noted that nobody has the SQL")
    assert b.states("sessions")["2024-09-03"] == "queued"
    a_minute_passes(warehouse)
    done = finish(waiting)
    assert done.returncode == 1 and "Input/output error" in done.stderr
    assert {b.states("sessions")[day] for day in ("2024-09-02", "2024-09-03", "2024-09-04")} == {"failed"}
    assert REASON in b.document("sessions", "2024-09-03")["error"]["message"]
    lines = [line for line in (b / "sessions" / ".history").read_text().splitlines() if REASON in line]
    assert len(lines) >= 3 and all('"failed"' in line for line in lines)
    # Also to a mount that comes later.
    c = mount(two[1], now=NOW)
    assert c.states("sessions")["2024-09-03"] == "failed"
    assert REASON in c.document("sessions", "2024-09-03")["error"]["message"]
    os.utime(c / "sessions" / ".failed")
    c.sync("sessions", MONTH)
    assert warehouse.count("sessions", "val < 200") == 0 < warehouse.count("sessions")


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_the_mount_with_the_sql_comes_back(two, mount, warehouse, fault_binary, fault):
    a = mount(two[0], "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    b = mount(two[1], now=NOW)
    dies_with_a_queue(b, a, fault)
    wait_until(lambda: orphans(warehouse), what="it is noted that nobody has the SQL")
    mount(two[0], now=NOW)
    b.sync("sessions", MONTH)
    assert warehouse.count("sessions", "val >= 200") == 0 < warehouse.count("sessions")
    assert orphans(warehouse) == 0


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_what_another_mount_has_the_sql_for_waits(two, mount, warehouse, fault_binary, fault):
    a = mount(two[0], "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    b = mount(two[1], now=NOW)
    with fault.holding("build"):
        os.utime(a / "sessions" / MONTH)
        is_shown(b, "queued")
        # With the SQL of a: b has asked for it meanwhile, and found somebody.
        queue_sql(warehouse, "UPDATE request SET orphan_since = now() - interval '1 hour' RETURNING 1")
        wait_until(lambda: orphans(warehouse) == 0, what="b has found a")
        assert b.states("sessions")["2024-09-03"] == "queued"
    b.sync("sessions", MONTH)
    assert warehouse.count("sessions", "val >= 200") == 0 < warehouse.count("sessions")


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_manifest_takes_the_sql_of_another_mounts_request(two, mount, warehouse, fault_binary, fault):
    """The other mount has died, this one had its SQL, and neither has it now."""
    a = mount(two[0], "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    b = mount(two[0], "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    third = mount(two[1], now=NOW)
    with fault.holding("build"):
        os.utime(a / "sessions" / MONTH)
        is_shown(b, "queued")
        a.kill()
        add(two[0], 300)
        rewrite(b, two[0], hup=True)
    third.sync("sessions", MONTH)
    rest = "event_time >= '2024-09-03'"
    assert warehouse.count("sessions", f"val < 300 AND {rest}") == 0 < warehouse.count("sessions", rest)


def test_a_mount_comes_back_with_other_sql(ready, mount, warehouse, fault_binary, fault):
    add(ready, 100)
    a = mount(ready, "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    dies_with_a_queue(a, a, fault)
    add(ready, 200)
    again = mount(ready, now=NOW)
    a_minute_passes(warehouse)
    is_shown(again, "failed")
    assert REASON in again.document("sessions", "2024-09-03")["error"]["message"]
    again.build("sessions", MONTH)
    assert warehouse.count("sessions", "val < 200") == 0 < warehouse.count("sessions")


def test_remembered_sql_builds_what_was_queued(ready, mount, warehouse, fault_binary, fault):
    """The manifest in between had other SQL, and none came with the last one."""
    node = add(ready, 100)
    a = mount(ready, "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    wait_until(lambda: queue_sql(warehouse, COMPILED), what="the SQL is remembered")
    dies_with_a_queue(a, a, fault)
    add(ready, 200)
    mount(ready, now=NOW).unmount()
    add(ready, 100)
    for key in ("compiled_code", "compiled"):
        ready.nodes[node["unique_id"]].pop(key)
    ready.nodes[node["unique_id"]]["compiled_path"] = None
    again = mount(ready, now=NOW)
    again.sync("sessions", MONTH)
    assert warehouse.count("sessions", "val >= 200") == 0 < warehouse.count("sessions")


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_two_mounts_of_a_manifest_whose_begin_moves(two, mount, warehouse, fault_binary, fault):
    """Neither builds what lies before it: who has asked for it cancels it, although the other one lives."""
    mounts = [mount(two[0], "jobs=1", now=NOW, binary=fault_binary, env=fault.env()) for _ in range(2)]
    cancelled = "SELECT 1 FROM batchfs.attempt WHERE outcome = 'cancelled' AND '2024-09-03' BETWEEN window_start AND " \
                "coalesce(last_start, window_start)"
    with fault.holding("build"):
        os.utime(mounts[0] / "sessions" / MONTH)
        is_shown(mounts[1], "queued")
        add(two[0], 100, begin="2024-09-04")
        for m in mounts:
            rewrite(m, two[0], hup=True)
    wait_until(lambda: warehouse.sql(cancelled), what="it is cancelled")
    add(two[0], 100)
    for m in mounts:
        rewrite(m, two[0], hup=True)
    is_shown(mounts[1], "pending")
    is_shown(mounts[0], "pending")


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_mount_with_a_later_begin_closes_nothing_of_another(two, mount, warehouse, fault_binary, fault):
    """What it has built is all that it knows of the request, and not all that there is."""
    a = mount(two[0], "jobs=1", now=NOW, binary=fault_binary, env=fault.env())
    dies_with_a_queue(a, a, fault)
    add(two[0], 100, begin="2024-09-04")
    later = mount(two[0], now=NOW)
    later.sync("sessions", MONTH)
    later.build("sessions", "2024-09-04")
    wait_until(lambda: open_requests(warehouse) == 1, what="its own request is closed, and the other is not")
    later.unmount()
    add(two[0], 100)
    again = mount(two[0], now=NOW)
    again.sync("sessions", MONTH)
    is_shown(again, "done")
    wait_until(lambda: open_requests(warehouse) == 0, what="no request is left open")
