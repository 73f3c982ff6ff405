# SPDX-License-Identifier: Apache-2.0
"""
Many at once, and nobody held: askers, cancels, changes of the inputs, a kill. What then must hold, whatever
came first.
"""
import errno
import os
import random
import threading
from dataclasses import dataclass
from itertools import count

from lib.command import errno_of

from . import names
from .graph import PLAYED, Fails, stored, text

# The daemon has gone while it was asked: nothing was acknowledged.
GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.EINTR, errno.ESTALE, errno.ENODEV)
REFUSED = (errno.ENOENT, errno.EPERM, errno.EINVAL, errno.EBUSY)
FROM_EVENTS = ("sessions", "hours")
# Tracked by what they read through a time filter.
DERIVED = ("daily", "monthly", "mixed")


@dataclass
class Wish:
    """An acknowledged touch, or a cancel that may have come to something."""
    cancel: bool
    model: str
    batches: list
    began: int  # ticks
    ended: int
    version: int  # the newest of the inputs when it began


class Storm:
    def __init__(self, world):
        self.world, self.lock = world, threading.Lock()
        self.ticks = count()
        self.versions = [world.inputs.table()]
        self.wishes, self.errors = [], []
        # Of two clocks that differ nobody can tell which of two builds was first.
        self.one_clock = len(world.mounts) == 1

    def blow(self, askers=3, asks=60, changes=8, kill=False):
        dice = self.world.dice
        threads = [threading.Thread(target=self.guard, args=(self.ask_often, random.Random(dice.random()), asks))
                   for _ in range(askers)]
        threads.append(threading.Thread(target=self.guard, args=(self.change, changes)))
        for t in threads:
            t.start()
        if kill:
            victim = self.world.mounts[-1]
            while len(self.wishes) < askers * asks // 4 and any(t.is_alive() for t in threads[:-1]):
                threads[0].join(0.001)
            victim.kill()
            self.world.leave(victim, lambda _: None)
            self.world.join(victim.path)
        for t in threads:
            t.join()
        if self.errors:
            raise self.errors[0]

    def guard(self, what, *args):
        try:
            what(*args)
        except BaseException as e:  # it is raised where the threads are joined
            self.errors.append(e)

    def change(self, n):
        for _ in range(n):
            self.world.inputs.any_change()
            with self.lock:
                self.versions.append(self.world.inputs.table())

    def ask_often(self, dice, n):
        for _ in range(n):
            mounts = self.world.mounts
            if mounts:
                self.ask(dice, dice.choice(mounts), dice.choice(PLAYED))

    def ask(self, dice, m, model):
        if dice.random() < 0.05:
            self.expect(errno_of(os.utime, m / model.name / ".run"))
            return
        name = names.any_name(dice, self.world.oracle, model)
        cancel = dice.random() < 0.15
        text, batches = name.text, name.batches
        # What a set names nobody knows here: as a wish it counts for nothing, as a cancel for all it may name.
        if name.kind == "set":
            batches = self.world.oracle.batches[model.name] if cancel else []
        if dice.random() < 0.04:
            text, batches, cancel = ".full-refresh", self.world.oracle.batches[model.name], dice.random() < 0.3
        with self.lock:
            began, version = next(self.ticks), len(self.versions) - 1
        said = self.expect(errno_of(os.unlink if cancel else os.utime, m / model.name / text))
        if cancel or not said:
            with self.lock:
                self.wishes.append(Wish(cancel, model.name, batches, began, next(self.ticks), version))

    @staticmethod
    def expect(said):
        assert said in (0, *GONE, *REFUSED), os.strerror(said)
        return said

    def promised(self, batch):
        """The version from which on the batch must have been tried."""
        mine = [w for w in self.wishes if w.model == batch.model.name and batch in w.batches]
        cancelled = max((w.ended for w in mine if w.cancel), default=-1)
        return max((w.version for w in mine if not w.cancel and w.began > cancelled), default=0)

    def check(self):
        """When nothing is queued or running any more."""
        found = stored(self.world.warehouse, PLAYED)
        for model in PLAYED:
            rows = [row[:2] if "id" in model.columns else row[1] for row in found[model.name]]
            assert len(rows) == len(set(rows)), f"{model.name} has rows twice"
            states = self.world.mounts[0].states(model.name)
            assert not {"queued", "running", "unknown", "pending"} & set(states.values()), (model.name, states)
            for batch in self.world.oracle.batches[model.name]:
                self.check_batch(batch, states[batch.name], found)

    def check_batch(self, batch, state, tables):
        start, end = text(batch.start), text(batch.end)
        rows = [row for row in tables[batch.model.name] if start <= row[1] < end]
        if batch.model.name in FROM_EVENTS:
            since = self.promised(batch)
            fails, fitting = [], []
            for n, version in enumerate(self.versions):
                try:
                    if sorted(batch.model.rows({"events": version}, start, end)) == rows:
                        fitting.append(n)
                except Fails:
                    fails.append(n)
            assert fitting, (batch, state, "rows of no version of its input", rows)
            tried = fails if state == "failed" else fitting
            assert state in ("failed", "done", "partial") and tried and tried[-1] >= since, (
                f"{batch} is {state}: version {since} of {len(self.versions)} was promised, tried {tried}")
        elif batch.model.name in DERIVED and state == "done" and self.one_clock:
            assert sorted(batch.model.rows(tables, start, end)) == rows, (
                f"{batch} says done, and is not of its inputs' rows")
