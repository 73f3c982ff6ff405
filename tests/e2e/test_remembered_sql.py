# SPDX-License-Identifier: Apache-2.0
"""SQL that the warehouse remembers, for manifests that come without: as `dbt run`, `ls`, `test` and `parse` write them."""
import errno
import os
import sqlite3
import time
from datetime import datetime

import pytest

from lib.command import errno_of
from lib.events import make_events
from lib.project import Project
from lib.roles import BUILDER, login, make_role
from lib.reload import rewrite
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
DAY = "2024-09-01"


def add(project, plus=0, **config):
    return project.model("sessions", f"select id, event_time, val + {plus} as val from {{events}}", inputs=["events"],
                         **config)


def strip(project):
    """The same project as another command than `dbt compile` writes it."""
    for node in project.nodes.values():
        for key in ("compiled_code", "compiled", "extra_ctes", "extra_ctes_injected"):
            node.pop(key, None)
        node["compiled_path"] = None


def kept(warehouse):
    """[(made_of, sql)], the newest last."""
    query = "SELECT made_of, sql FROM compiled ORDER BY used_at, compiled_at"
    if warehouse.engine == "postgres":
        return warehouse.sql(query.replace("compiled ", "batchfs.compiled "))
    connection = sqlite3.connect(f"{warehouse.path}-queue", timeout=30)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def is_kept(warehouse, words):
    wait_until(lambda: any(words in sql for _, sql in kept(warehouse)), what=f"{words!r} is remembered")


def sql_of(m):
    return m.document("sessions", ".model")["sql"]


def test_a_mount_that_begins_without_sql(ready, mount, warehouse):
    add(ready, 100)
    first = mount(ready, now=NOW)
    first.build("sessions", DAY)
    is_kept(warehouse, "100")
    first.unmount()
    strip(ready)
    m = mount(ready, now=NOW)
    model = m.document("sessions", ".model")
    assert model["runnable"] and model["sql"]["from"] == "remembered" and model["sql"]["compiled_at"]
    m.build("sessions", "2024-09-02")
    assert warehouse.count("sessions", "val >= 100") == 8
    assert m.document("sessions", DAY)["code"] == "same"


def test_what_was_queued_is_built_after_a_restart_without_sql(ready, mount, warehouse, fault_binary, fault):
    m = mount(ready, now=NOW, binary=fault_binary, env=fault.env())
    is_kept(warehouse, "events")
    with fault.holding("claim"):
        os.utime(m / "sessions" / "2024-09")
        m.kill()
    strip(ready)
    again = mount(ready, now=NOW)
    again.sync("sessions", "2024-09")
    assert warehouse.count("sessions") > 0


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_second_mount_that_never_saw_sql(ready, mount, warehouse, tmp_path):
    other = Project(tmp_path / "other" / "target", warehouse)
    other.source("events", event_time="event_time")
    add(other)
    add(ready)
    strip(other)
    second = mount(other, now=NOW)
    assert sql_of(second) is None and not second.document("sessions", ".model")["runnable"]
    assert errno_of(os.utime, second / "sessions" / DAY) in (errno.EOPNOTSUPP, errno.EACCES)
    mount(ready, now=NOW)
    is_kept(warehouse, "events")
    rewrite(second, other, hup=True)
    assert sql_of(second)["from"] == "remembered"
    second.build("sessions", DAY)
    third = mount(other, now=NOW)
    assert sql_of(third)["from"] == "remembered"


def test_what_it_is_made_of_has_changed(ready, mount, warehouse):
    add(ready, 1)
    first = mount(ready, now=NOW)
    is_kept(warehouse, "val + 1")
    add(ready, 2)
    rewrite(first, ready, hup=True)
    is_kept(warehouse, "val + 2")
    add(ready, 3)
    strip(ready)
    rewrite(first, ready, hup=True)
    assert sql_of(first) is None
    first.unmount()
    m = mount(ready, now=NOW)
    assert sql_of(m) is None
    add(ready, 1)
    strip(ready)
    rewrite(m, ready, hup=True)
    assert sql_of(m)["from"] == "remembered"
    assert "val + 1" in (m / "sessions" / f"{DAY}.sql").read_text()
    # Another event_time of what it reads is another SQL.
    ready.sources[ready.ids["events"]]["config"]["event_time"] = "id"
    rewrite(m, ready, hup=True)
    assert sql_of(m) is None


def test_the_newest_of_one_key(ready, mount, warehouse):
    """Compiled with another variable, which does not show in what it was made of."""
    m = mount(ready, now=NOW)
    is_kept(warehouse, "events")
    node = ready.nodes[ready.ids["sessions"]]
    node["compiled_code"] = node["compiled_code"].replace("val", "val + 7 as val", 1)
    rewrite(m, ready, hup=True)
    is_kept(warehouse, "val + 7")
    assert len(kept(warehouse)) == 1
    m.unmount()
    strip(ready)
    assert "val + 7" in (mount(ready, now=NOW) / "sessions" / f"{DAY}.sql").read_text()


def test_so_many_are_kept(ready, mount, warehouse):
    m = mount(ready, now=NOW)
    for i in range(20):
        add(ready, i)
        rewrite(m, ready, hup=True)
        is_kept(warehouse, f"val + {i} ")
    rows = kept(warehouse)
    assert len(rows) == 16 and "val + 19 " in rows[-1][1]


def test_a_mount_ends_while_its_warehouse_is_asked(ready, mount, fault_binary, fault):
    m = mount(ready, now=NOW, binary=fault_binary, env=fault.env())
    strip(ready)
    # What is in force here must not help.
    ready.nodes[ready.ids["sessions"]]["checksum"]["checksum"] = "another"
    with fault.holding("recall"):
        ready.write()
        wait_until(lambda: "the warehouse is asked" in m.log_text(), what="the warehouse is asked")
        m.unmount()


def test_read_only_neither_reads_nor_writes(ready, mount, warehouse):
    first = mount(ready, now=NOW)
    is_kept(warehouse, "events")
    first.unmount()
    before = kept(warehouse)
    add(ready, 5)
    second = mount(ready, "ro", now=NOW)
    assert sql_of(second)["from"] == "manifest"
    add(ready)
    strip(ready)
    rewrite(second, ready, hup=True)
    assert sql_of(second) is None
    assert sql_of(mount(ready, "ro", now=NOW)) is None
    assert kept(warehouse) == before


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_role_that_may_not(project, mount, warehouse, pg, tmp_path):
    make_events(warehouse)
    project.source("events", event_time="event_time")
    add(project)
    mount(project, now=NOW).unmount()
    role = make_role(warehouse, "forgetful", *BUILDER, "GRANT USAGE ON SCHEMA batchfs TO {role}",
                     "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA batchfs TO {role}",
                     "REVOKE ALL ON batchfs.compiled FROM {role}")
    m = mount(project, now=NOW, env=login(pg, tmp_path, role))
    m.build("sessions", DAY)
    wait_until(lambda: "ON batchfs.compiled TO forgetful" in m.log_text(), what="the log names the GRANT")
    rewrite(m, project, hup=True)
    strip(project)
    again = mount(project, now=NOW, env=login(pg, tmp_path, role))
    assert sql_of(again) is None
    assert m.log_text().count("no SQL is remembered here") == 1


def test_when_it_was_compiled_by_the_clock_of_the_mount(ready, mount):
    manifest = ready.write()
    then = int(time.time()) - 3600
    m = mount(ready, now=NOW, start=False)
    os.utime(manifest / "manifest.json" if manifest.is_dir() else manifest, (then, then))
    m.start()
    shown = datetime.fromisoformat(sql_of(m)["compiled_at"].replace("Z", "+00:00"))
    # An hour before the clock of the mount began.
    age = (datetime.fromisoformat(NOW + "+00:00") - shown).total_seconds()
    assert 3600 <= age <= time.time() - then
