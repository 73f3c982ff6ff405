# SPDX-License-Identifier: Apache-2.0
"""The same models built by dbt-postgres and by a mount, from the same inputs, on a server in Tokyo: all rows both ways."""
import os

import pytest

from lib import twins
from lib.dbt import Dbt
from lib.place import Place
from lib.wait import LIMIT, wait_until

NOW = "2024-09-04T00:00:00"
RANGE = "2024-09-01--2024-09-04"
EVENT_TIMES = ("--event-time-start", "2024-09-01", "--event-time-end", "2024-09-04")


@pytest.fixture
def engine():
    return "postgres"


@pytest.fixture
def dbt(dbt_python, tmp_path, warehouse):
    twins.write(tmp_path / "twins", warehouse.pg.home)
    warehouse.sql(twins.TABLES)
    dbt = Dbt(dbt_python, tmp_path / "twins", {})
    yield dbt
    dbt.close()


def columns(warehouse, schema, name):
    return warehouse.sql("SELECT column_name, data_type, character_maximum_length, numeric_scale, is_nullable"
                         " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY 1", schema, name)


def differences(warehouse, name):
    """(what only dbt's table holds, what only ours does); the columns must be the same."""
    ours, theirs = columns(warehouse, "an", name), columns(warehouse, "theirs", name)
    assert ours == theirs and ours, name
    names = ", ".join(f'"{column[0]}"' for column in ours)
    only = "SELECT {names} FROM {a}.{name} EXCEPT ALL SELECT {names} FROM {b}.{name}"
    return [warehouse.sql(only.format(names=names, name=name, a=a, b=b))
            for a, b in (("theirs", "an"), ("an", "theirs"))]


def compare(warehouse, names):
    different = {}
    for name in names:
        only_theirs, only_ours = differences(warehouse, name)
        assert warehouse.count(name) > 0, name
        if only_theirs or only_ours:
            different[name] = f"only dbt: {only_theirs[:3]}, only batchfs: {only_ours[:3]}"
    assert not different, "\n".join(f"{name}: {what}" for name, what in different.items())


MADE = """
SELECT 'grant', table_name::text, grantee || ' ' || privilege_type FROM information_schema.role_table_grants
WHERE table_schema = %s AND grantee <> 'postgres'
UNION ALL SELECT 'comment', c.relname, coalesce(a.attname || ': ', '') || d.description FROM pg_description d
JOIN pg_class c ON c.oid = d.objoid LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND a.attnum > 0
WHERE c.relnamespace = %s::regnamespace
UNION ALL SELECT 'constraint', conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = %s::regnamespace
UNION ALL SELECT 'index', c.relname, regexp_replace(pg_get_indexdef(i.indexrelid), '^(.*) INDEX .* USING', '\\1 USING')
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = %s::regnamespace
"""


def made(warehouse, schema):
    """What a table has besides its rows."""
    return {(kind, name.removeprefix(schema + "."), text) for kind, name, text in warehouse.sql(MADE, *[schema] * 4)}


class Twins:
    """Builds the three days by both."""

    def __init__(self, dbt, m):
        self.dbt, self.m = dbt, m

    def build(self, names):
        for name in names:
            os.utime(self.m / name / RANGE)
        for name in names:
            self.m.sync(name, RANGE)
        self.dbt("run", "--target", "theirs", "--target-path", "theirs", "--select", *names, *twins.OTHERS, *EVENT_TIMES)


def test_the_rows_are_dbts(dbt, warehouse, mount, tmp_path):
    dbt("run", "--select", "recent")
    dbt("compile")
    m = mount(Place(tmp_path / "twins", warehouse), now=NOW)
    models = {name: m.document(name, ".model") for name in m.ls()}
    refused = {name: model["why_not"] for name, model in models.items() if not model["runnable"]}
    assert set(refused) == set(twins.ASKS), refused
    # Inputs first: a batch waits only for what is queued already.
    same = [*twins.PLAIN, *twins.MADE]
    assert set(models) == {*same, *twins.ASKS, *twins.DIFFERENT}
    assert len(same) >= 40
    both = Twins(dbt, m)
    both.build([*same, *twins.DIFFERENT])
    compare(warehouse, [*same, *twins.DIFFERENT, "hook_log"])
    # Ours have an index that leads with event_time besides. And dbt looks for the YAML's `At` as it is written, where
    # an unquoted name means the column at.
    ours, theirs = made(warehouse, "an"), made(warehouse, "theirs")
    assert {kind for kind, *_ in theirs} == {"grant", "comment", "constraint", "index"}
    more = {one for one in ours - theirs if one[0] != "index"}
    assert not theirs - ours and more == {("comment", "documented", "at: not there")}, (theirs - ours, more)
    warehouse.sql(twins.CHANGES)
    again = [name for name in same if name != "hourly"]
    both.build([*again, *twins.DIFFERENT])
    compare(warehouse, [*again, "hook_log"])
    # dbt merges by the key: the row that has gone stays. The one that moved to the next day is in both.
    only_theirs, only_ours = differences(warehouse, "moved")
    assert ([row[1] for row in only_theirs], only_ours) == ([14], [])


def test_what_only_dbt_can_run_is_built_by_dbt(dbt, dbt_python, warehouse, mount, tmp_path):
    """With project= no model of the project is refused, and dbt's rows are those of a run by hand."""
    place = tmp_path / "twins"
    dbt("run", "--select", "recent")
    dbt("compile")
    m = mount(Place(place, warehouse), f"project={place}", f"dbt={dbt_python.parent / 'dbt'}", now=NOW,
              env={"XDG_STATE_HOME": str(tmp_path / "state")})
    models = {name: m.document(name, ".model") for name in m.ls()}
    assert not {name: model["why_not"] for name, model in models.items() if not model["runnable"]}
    assert {name for name, model in models.items() if model["builder"] == "dbt"} == set(twins.ASKS)
    same = ["asks_batch", "asks_incremental"]
    for name in same:
        os.utime(m / name / RANGE)
    for name in same:
        wait_until(lambda: m.states(name)["2024-09-03"] == "done", 4 * LIMIT, what=f"dbt has built {name}")
        assert not m.document(name, "2024-09-01")["adopted"]
    dbt("run", "--target", "theirs", "--target-path", "theirs", "--select", *same, *twins.OTHERS, *EVENT_TIMES)
    compare(warehouse, same)
