# SPDX-License-Identifier: Apache-2.0
"""
Any mix of batches, periods, ranges and sets that covers a period, in any order and many at once, ends with
exactly the rows of one query over that period. BATCHFS_SEED=N makes one mix again, BATCHFS_STEPS=N more of them.
"""
import os
import threading

import pytest

from lib.dice import SEEDS, make_dice, steps
from lib.wait import SLOWER
from oracle import calendar, graph
from oracle.cover import cover, period
from oracle.inputs import Inputs

MIXES = steps(12 // SLOWER)
ASKERS = 4

ONE_QUERY = {
    "sessions": "SELECT id, {time}, val FROM {events} WHERE {window}",
    "hours": "SELECT id, {time}, val FROM {events} WHERE {window}",
    "daily": "SELECT count(*), {day}, sum(val) FROM {events} WHERE {window} GROUP BY {day}",
}
COLUMNS = {
    "postgres": {"time": "to_char(event_time, 'YYYY-MM-DD HH24:MI:SS')",
                 "day": "to_char(event_time, 'YYYY-MM-DD 00:00:00')"},
    "sqlite": {"time": "event_time", "day": "strftime('%Y-%m-%d 00:00:00', event_time)"},
}


@pytest.fixture(**SEEDS)
def dice(request):
    return make_dice(request.param)


@pytest.fixture
def inputs(warehouse, dice):
    return Inputs(warehouse, dice)


@pytest.fixture
def m(project, warehouse, mount, inputs):
    graph.add_to(project)
    inputs.first()
    m = mount(project, f"jobs={2 if warehouse.engine == 'postgres' else 1}", now=f"{graph.NOW:%Y-%m-%dT%H:%M:%S}")
    for model in graph.PLAYED:
        os.utime(m / model.name / "2024")
    for model in graph.PLAYED:
        m.sync(model.name, "2024")
    return m


def one_query(warehouse, model, start, end):
    rows = warehouse.sql(ONE_QUERY[model].format(
        events=warehouse.relation("events"), **COLUMNS[warehouse.engine],
        window=f"event_time >= '{graph.text(start)}' AND event_time < '{graph.text(end)}'"))
    return sorted((int(n), at, int(value)) for n, at, value in rows)


def touch_all(dice, m, names):
    """In any order and several at once; each is acknowledged."""
    errors = []

    def touch(mine):
        try:
            for name in mine:
                os.utime(m / name)
        except OSError as e:
            errors.append(e)

    dice.shuffle(names)
    threads = [threading.Thread(target=touch, args=(names[n::ASKERS],)) for n in range(ASKERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []


def test_any_mix_is_one_query(m, dice, inputs, warehouse):
    models = [graph.BY_NAME[name] for name in ONE_QUERY]
    for mix in range(MIXES):
        before, periods, names = graph.stored(warehouse, models), {}, []
        inputs.insert([graph.text(inputs.moment()) for _ in range(50)])
        inputs.remove()
        for model in models:
            # Of what it reads all is built in the same mix.
            span = periods["sessions"] if model.name == "daily" else period(
                dice, model, calendar.floor(model.size, graph.NOW))
            periods[model.name] = span
            names += [f"{model.name}/{piece}" for piece in cover(dice, model, *span)]
        # Both are of one size and one period.
        names += [f"sessions daily/{piece}" for piece in cover(dice, graph.BY_NAME["daily"], *periods["daily"])]
        print(f"mix {mix}: {periods}\n  {' '.join(names)}")
        touch_all(dice, m, names)
        for name in ONE_QUERY:
            m.sync(name, "2024")
        # Of two that were asked for at once either may have come first: what that made stale says so.
        m.build("daily", ".stale")
        after = graph.stored(warehouse, models)
        for name, (start, end) in periods.items():
            first, last = graph.text(start), graph.text(end)
            inside = [row for row in after[name] if first <= row[1] < last]
            assert inside == one_query(warehouse, name, start, end), name
            assert [r for r in after[name] if r not in inside] == [
                r for r in before[name] if not first <= r[1] < last], f"{name} was touched outside of {start} to {end}"
