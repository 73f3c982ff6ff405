# SPDX-License-Identifier: Apache-2.0
"""
A shop of ten models, four of which cannot be built here, beside a dbt that builds, refreshes (tables are replaced) and
recompiles under the mount: the tree says what is in the tables, and nothing that is there is built again.
"""
import os
import stat

import pytest

from lib.command import errno_of
from lib.events import make_events
from lib.truth import built
from lib.wait import wait_until
from test_adoption import DAYS, NOW, on
from test_reload import mount_of, models, rewrite, vanishes

BUILT = [f"m{i}" for i in range(6)]
REFUSED = {"r0": "{% if is_incremental() %}where true{% endif %}", "r1": "{% set x = run_query('select 1') %}",
           "r2": "-- {{ run_started_at }}", "r3": "-- {{ model.batch.id }}"}
EVERY = [*BUILT, *REFUSED]


def add(project, name, source="events"):
    node = project.model(name, f"select id, event_time, val from {{{source}}}", inputs=[source], tags=["all"])
    node["raw_code"] += "\n" + REFUSED.get(name, "")


def write(warehouse, name, *days):
    for day in days:
        warehouse.sql(f"INSERT INTO {warehouse.relation(name)} SELECT id, event_time, 1000 + val"
                      f" FROM {warehouse.relation('events')} WHERE {on(day)}")


def replace(warehouse, name, *days):
    """As a full refresh of dbt's."""
    table = warehouse.relation(name)
    warehouse.sql(f"DROP TABLE IF EXISTS {table}")
    warehouse.sql(f"CREATE TABLE {table} (id integer, event_time {warehouse.time_type}, val integer)")
    if warehouse.engine == "postgres":
        warehouse.sql(f"CREATE INDEX ON {table} (event_time)")
    else:
        warehouse.sql(f"CREATE INDEX {name}_by_time ON {name} (event_time)")
    write(warehouse, name, *days)


def of_dbt(warehouse, name):
    """The rows that dbt has written, and where they are."""
    where = "ctid::text" if warehouse.engine == "postgres" else "rowid"
    return warehouse.sql(f"SELECT {where}, id FROM {warehouse.relation(name)} WHERE val >= 1000 ORDER BY 2")


def truth(warehouse, name):
    """The state of each day, by the table alone; the window of the last one is still open."""
    holds = {day for day in DAYS if warehouse.count(name, on(day))}
    return {day: "pending" if day not in holds else "partial" if day == DAYS[-1] else "done" for day in DAYS}


def is_true(m, warehouse, *names):
    for name in names:
        wait_until(lambda name=name: m.states(name) == truth(warehouse, name), alive=m._must_live,
                   what=f"{name} shows {truth(warehouse, name)}")


@pytest.fixture
def shop(project, warehouse):
    """Three days of each model were built before."""
    make_events(warehouse)
    project.source("events", event_time="event_time")
    for name in EVERY:
        add(project, name, "m4" if name == "m5" else "events")
        replace(warehouse, name, *DAYS[:3])
    return project


def recompile_without_sql(project):
    """As most commands of dbt write the manifest."""
    kept = {}
    for unique_id, node in project.nodes.items():
        kept[unique_id] = {key: node.pop(key) for key in ("compiled_code", "compiled", "extra_ctes") if key in node}
    return kept


def test_a_shop_beside_its_dbt(shop, warehouse, mount):
    m = mount(shop, "rw", "look=1", now=NOW)
    assert "10 models: 6 can be built here, 4 cannot (see .model)" in m.log_text()
    is_true(m, warehouse, *EVERY)
    before = {name: of_dbt(warehouse, name) for name in EVERY}

    # The first .run builds the gaps, and nothing that is there; what cannot be built is named and left alone.
    os.utime(m / "tag:all" / ".run")
    m.sync("tag:all", ".run")
    is_true(m, warehouse, *EVERY)
    assert {name: of_dbt(warehouse, name) for name in EVERY} == before
    for name in BUILT:
        assert built(warehouse, name) == {DAYS[3]: 1, DAYS[4]: 1}
    for name in REFUSED:
        model = m.document(name, ".model")
        assert not model["runnable"] and model["why_not"] and truth(warehouse, name)[DAYS[3]] == "pending"
        assert stat.S_IMODE(os.stat(m / name / DAYS[0]).st_mode) & 0o222 == 0
        assert errno_of(os.utime, m / name / DAYS[0]) is not None
    status = m.document("tag:all", ".status")
    assert set(status["not_rebuilt"]) == set(REFUSED)
    # The window that is open, and lookback's one, of what can be built.
    assert status["would_build"]["batches"] == 2 * len(BUILT)
    assert status["states"]["pending"] == 2 * len(REFUSED)

    # dbt's nightly run, and somebody's DELETE: seen by the clock.
    for name in REFUSED:
        write(warehouse, name, DAYS[3])
    warehouse.sql(f"DELETE FROM {warehouse.relation('m0')} WHERE {on(DAYS[1])}")
    is_true(m, warehouse, *EVERY)
    assert m.document("r2", DAYS[3])["adopted"] and m.states("m0")[DAYS[1]] == "pending"

    # Full refreshes: two tables are replaced, and hold less than before.
    for name in ("m1", "r1"):
        replace(warehouse, name, DAYS[1], DAYS[4])
    is_true(m, warehouse, *EVERY)
    was = of_dbt(warehouse, "m1")
    os.utime(m / "m1" / ".run")
    m.sync("m1", ".run")
    is_true(m, warehouse, *EVERY)
    # What was open when it was found is completed, and no other day of dbt's is built again.
    days = {day for day in DAYS if warehouse.count("m1", f"{on(day)} AND val >= 1000")}
    assert days == {DAYS[1]} and set(of_dbt(warehouse, "m1")) < set(was)


def test_recompiled_under_the_mount(shop, warehouse, mount):
    m = mount(shop, "rw", "look=1", now=NOW)
    is_true(m, warehouse, *EVERY)

    # `dbt run` writes no SQL: what could be built still can.
    kept = recompile_without_sql(shop)
    rewrite(m, shop)
    assert [m.document(name, ".model")["runnable"] for name in EVERY] == [name in BUILT for name in EVERY]
    m.build("m2", DAYS[3])
    is_true(m, warehouse, *EVERY)

    # Another version of the project, while its dbt is writing.
    for unique_id, keys in kept.items():
        shop.nodes[unique_id].update(keys)
    del shop.nodes[shop.ids.pop("r3")]
    replace(warehouse, "m6", DAYS[2])
    add(shop, "m6")
    write(warehouse, "r0", DAYS[3])
    with open(shop.target / "manifest.json", "w", encoding="utf-8") as half:
        half.write('{"metadata": {')
        half.flush()
        wait_until(lambda: mount_of(m)["manifest_error"], what="it is told that the manifest is broken")
        assert sorted(models(m)) == sorted(EVERY)
        is_true(m, warehouse, *EVERY)
    rewrite(m, shop)
    vanishes(m / "r3")
    every = [name for name in EVERY if name != "r3"] + ["m6"]
    assert sorted(models(m)) == sorted(every)
    is_true(m, warehouse, *every)

    # All of it is brought up to date at once, inputs first, while dbt replaces a table that cannot be built here.
    os.utime(m / ".run")
    replace(warehouse, "r2", DAYS[0])
    m.sync(".run")
    is_true(m, warehouse, *every)
    for name in [*BUILT, "m6"]:
        assert set(m.states(name).values()) == {"done", "partial"}
        assert of_dbt(warehouse, name), "what was there was not built again"
