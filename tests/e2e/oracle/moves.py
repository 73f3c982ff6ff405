# SPDX-License-Identifier: Apache-2.0
"""Operations on a world that is held: each is done, and its answer and what it changes are compared at once."""
import errno
import os

from lib.command import errno_of
from lib.wait import wait_until

from . import names
from .graph import PLAYED, SELECTIONS

REFUSED = {"missing": errno.ENOENT, "backwards": errno.EINVAL}


def because(name):
    """The errno with which any use of the name fails."""
    return REFUSED.get(name.kind) or (0 if name.holds else errno.ENOENT)


def write(path, words):
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, words)
    finally:
        os.close(fd)


def touch(world, m, model):
    name = names.any_name(world.dice, world.oracle, model)
    path, expected = m / model.name / name.text, because(name)
    if not expected and name.kind in ("batch", "range") and all(b.frozen for b in name.batches):
        expected = errno.EPERM
    if world.dice.random() < 0.2:
        said = errno_of(write, path, b"INC-4711\n")
    else:
        said = errno_of(os.utime, path)
    assert said == expected, (path, said, expected, m.ls(model.name)[-3:], m.document(model.name, name.text.split(".")[0]), world.differs(m, PLAYED))
    if not expected:
        world.oracle.ask(name.batches)
    return f"touch {name.text}"


def run(world, m, model):
    needed = world.oracle.needed(model.name)
    said = m.document(model.name, ".run")
    assert said["would_build"]["batches"] == len(needed), (said, needed)
    os.utime(m / model.name / ".run")
    world.oracle.ask(needed)
    return "touch .run"


def cancel(world, m, model):
    name = names.any_name(world.dice, world.oracle, model)
    queued = [b for b in name.batches if b.queued]
    expected = because(name)
    empty = name.kind == "set" and (name.state == "queued" or not name.batches)
    if not expected and not queued and not empty:
        expected = errno.EPERM
    if len(world.mounts) > 1:
        world.wait_heard(m)
    said = errno_of(os.unlink, m / model.name / name.text)
    assert said == expected, (name, said, expected)
    for b in queued if not expected else ():
        b.withdraw()
    # rm returns when the cancel is handed over: what another mount asks for before it is recorded would go, too.
    if len(world.mounts) > 1:
        world.wait_recorded(m)
    wait_until(lambda: not world.differs(m, [model]), what="it is cancelled")
    return f"rm {name.text}"


def freeze(world, m, model):
    name = names.any_name(world.dice, world.oracle, model)
    thaws = world.dice.random() < 0.5
    expected = because(name) or (errno.EPERM if name.kind == "set" else 0)
    said = errno_of(os.chmod, m / model.name / name.text, 0o644 if thaws else 0o444)
    if name.kind == "set" and thaws:
        # Nothing changes: whether that is refused nobody asks.
        return f"chmod u+w {name.text}"
    assert said == expected, (name, said, expected)
    for b in name.batches if not expected else ():
        b.frozen = not thaws
        if b.frozen:
            b.withdraw()
    return f"chmod {'u+w' if thaws else 'a-w'} {name.text}"


def strange_rows(world, model):
    """What is in no batch of it."""
    table = world.warehouse.relation(model.name)
    first, second = model.columns
    world.warehouse.sql(f"INSERT INTO {table} ({first}, event_time, {second}) VALUES (-7, NULL, 1), (-7, '2019-01-01', 1),"
                        " (-7, '2031-01-01', 1)")


def forget_over(world, m, *models):
    """What was cancelled batch by batch is over."""
    for model in models:
        if model in world.oracle.refreshes and not world.oracle.is_refreshed(model):
            world.wait_refreshed(m, model)
            del world.oracle.refreshes[model]


def refresh_all(world, m, path, *models):
    forget_over(world, m, *models)
    expected = 0
    if any(b.frozen for model in models for b in world.oracle.batches[model]):
        expected = errno.EPERM
    elif any(model in world.oracle.refreshes for model in models):
        expected = errno.EBUSY
    played = [model for model in PLAYED if model.name in models]
    strange = not expected and world.dice.random() < 0.5
    for model in played if strange else ():
        strange_rows(world, model)
    said = errno_of(os.utime, path)
    assert said == expected, (path, said, expected, world.oracle.refreshes)
    if expected:
        return
    for model in played:
        world.wait_refreshed(m, model.name, "build")
        deleted = world.refresh_of(m, model.name)
        assert [deleted["rows_outside"], deleted["rows_without_event_time"]] == ([2, 1] if strange else [0, 0])
        assert world.warehouse.count(model.name, f"{model.columns[0]} = -7") == 0
    world.oracle.refresh(*models)


def refresh_atomic(world, m, model):
    """It goes on and ends while every worker is held: it needs none."""
    path, oracle = m / model.name / ".full-refresh", world.oracle
    frozen = any(b.frozen for b in oracle.batches[model.name])
    said = errno_of(os.utime, path)
    assert said == (errno.EPERM if frozen else 0), (path, said)
    cancels = not frozen and world.dice.random() < 0.4
    if cancels:
        # It may be over.
        assert errno_of(os.unlink, path) in (0, errno.EPERM)
    if not frozen:
        world.wait_refreshed(m, model.name)
        world.take_exchanged(m, model.name, *["cancelled"] * cancels)
        wait_until(lambda: not world.differs(m, [model]), what="the mount shows how it has ended")
    return "touch .full-refresh, atomic" + ", rm" * cancels


def refresh(world, m, model):
    if model.name == world.atomic:
        return refresh_atomic(world, m, model)
    path = m / model.name / ".full-refresh"
    forget_over(world, m, model.name)
    every = world.oracle.batches[model.name]
    # What another mount was asked for since, too, may not be known here yet, and would be cancelled.
    certain = len(world.mounts) == 1 or not any(b.refreshing and b.asked for b in every)
    if model.name not in world.oracle.refreshes or world.dice.random() < 0.5 or not certain:
        refresh_all(world, m, path, model.name)
        return "touch .full-refresh"
    os.unlink(path)
    world.oracle.cancel_refresh(model.name)
    world.wait_refreshed(m, model.name)
    assert world.refresh_of(m, model.name)["last"]["result"] == "cancelled"
    if len(world.mounts) > 1:
        world.wait_recorded(m)
    wait_until(lambda: not world.differs(m, [model]), what="it is cancelled")
    return "rm .full-refresh"


def select(world, m):
    expression, models = world.dice.choice(list(SELECTIONS.items()))
    if world.dice.random() < 0.1:
        refresh_all(world, m, m / expression / ".full-refresh", *models)
        return f"touch {expression}/.full-refresh"
    if world.dice.random() < 0.15:
        os.utime(m / expression / ".run")
        world.oracle.ask(world.oracle.needed(*models))
        return f"touch {expression}/.run"
    name = names.of_selection(world.dice, world.oracle, models)
    expected = because(name)
    if not expected and name.kind == "range" and all(b.frozen for b in name.batches):
        expected = errno.EPERM
    said = errno_of(os.utime, m / expression / name.text)
    assert said == expected, (expression, name, said, expected)
    if not expected:
        world.oracle.ask(name.batches)
    return f"touch {expression}/{name.text}"


def look(world, m, model):
    name = names.any_name(world.dice, world.oracle, model)
    expected = because(name)
    if not expected and name.kind != "batch":
        counts = {s: n for s, n in m.document(model.name, name.text)["states"].items() if n}
        states = [world.oracle.state(b) for b in name.batches]
        assert counts == {s: states.count(s) for s in states}, name
    elif name.kind != "batch":
        assert errno_of(os.stat, m / model.name / name.text) == expected, name
    return f"cat {name.text}"


MOVES, WEIGHTS = zip((touch, 10), (run, 1), (cancel, 3), (look, 3), (freeze, 2), (refresh, 1))


def move(world):
    if world.dice.random() < 0.15:
        return world.inputs.any_change()
    m, model = world.use(), world.dice.choice(PLAYED)
    if world.dice.random() < 0.1:
        return f"{m.path.name}: {select(world, m)}"
    what = world.dice.choices(MOVES, WEIGHTS)[0](world, m, model)
    assert not world.differs(m, [model]), (model.name, what, world.differs(m, [model]))
    return f"{m.path.name}/{model.name}: {what}"
