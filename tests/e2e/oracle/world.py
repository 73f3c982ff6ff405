# SPDX-License-Identifier: Apache-2.0
"""The mounts that are played with, held still while operations come, let go, and compared with the oracle."""
import errno
import os
from collections import Counter
from datetime import timedelta
from time import monotonic, sleep

from lib.command import errno_of
from lib.mount import Mount
from lib.wait import wait_until

from .graph import ATOMIC, GATES, MODELS, NOW, PLAYED, stored
from .inputs import Inputs
from .oracle import Oracle


class World:
    """
    While it is held every worker stands in a batch of one of the GATES: nothing else is built, so what an
    operation does is certain.
    """

    def __init__(self, dice, project, mount, fault, binary):
        self.dice, self.fault = dice, fault
        self.warehouse = project.warehouse
        self.shared = self.warehouse.engine == "postgres"
        self.jobs = 2 if self.shared else 1
        self.atomic = ATOMIC.get(self.warehouse.engine)
        self.exchanging = False  # a full refresh of that was asked for of a mount that was killed
        self.oracle = Oracle()
        self.inputs = Inputs(self.warehouse, dice)
        self.mounts = []
        self.last = None  # the mount that was used last
        self.begun = monotonic()
        self.make = lambda at: mount(project, f"jobs={self.jobs}", "timeout=60", now=self.now(), binary=binary,
                                     env=fault.env(), at=at)

    def now(self):
        """The clock of a mount that comes again does not go back: it starts later than this is said."""
        return f"{NOW + timedelta(seconds=monotonic() - self.begun):%Y-%m-%dT%H:%M:%S.%f}"

    @staticmethod
    def clock(m):
        """What the mount's clock shows, by what it writes beside a refusal."""
        assert errno_of(os.utime, m / "gate0" / ".model") == errno.EPERM
        return m.document("gate0", ".status")["last_refusal"]["at"]

    def wait_clocks(self):
        """Until what was asked for lies in the past of every mount: what fails skips only that."""
        others = self.mounts if len(self.mounts) > 1 else []
        latest = max((self.clock(m) for m in others), default=None)
        for m in others:
            wait_until(lambda m=m: self.clock(m) > latest, what="its clock goes on")

    def join(self, at=None):
        """One more mount; `at`: one that was there."""
        self.mounts.append(self.make(at))

    def leave(self, m, how):
        """It is unmounted or killed."""
        if how is Mount.kill:
            self.wait_recorded(m)
        how(m)
        self.mounts.remove(m)
        self.last = None

    def kill_refreshing(self, m):
        """It is killed in some phase of an atomic full refresh, which whoever is there then goes on with."""
        self.wait_recorded(m)
        frozen = any(b.frozen for b in self.oracle.batches[self.atomic])
        said = errno_of(os.utime, m / self.atomic / ".full-refresh")
        assert said == (errno.EPERM if frozen else 0), said
        self.exchanging = not frozen
        sleep(self.dice.random() / 10)
        self.leave(m, lambda m: m.kill())

    def take_exchanged(self, m, model, *others):
        """An atomic full refresh is over, as its batches say or in one of the other ways."""
        events = self.inputs.table()
        meant = "failed" if self.oracle.fails_beside(model, events) else "done"
        last = self.refresh_of(m, model)["last"]
        assert last["result"] in (meant, *others), (last, meant)
        assert self.refresh_of(m, model)["failed"] == (last["result"] == "failed")
        if last["result"] == "done":
            self.oracle.exchange(model, events)

    def wait_recorded(self, m):
        """
        Until what was cancelled through the mount is recorded. rm returns when the cancel is handed over: a kill may
        lose it, and what was queued is built. A freeze is answered after what was handed over before it.
        """
        batch = self._unused()
        for mode in (0o444, 0o644):
            os.chmod(m / batch.model.name / batch.name, mode)
        self._wait_frozen(batch, False, self.mounts)

    def wait_heard(self, m):
        """
        Until the mount has heard of whatever was asked for through others: a cancel spares what it does not know of. The
        states do not tell, where a batch was queued already. A freeze comes after that, and the end of one after a freeze.
        """
        batch = self._unused()
        for other in self.mounts:
            if other is not m:
                os.chmod(other / batch.model.name / batch.name, 0o444)
                self._wait_frozen(batch, True, [m])
                os.chmod(other / batch.model.name / batch.name, 0o644)
                self._wait_frozen(batch, False, self.mounts)

    def _unused(self):
        return next(b for gate in GATES for b in self.oracle.batches[gate.name] if not b.queued)

    def _wait_frozen(self, batch, frozen, mounts):
        """Of what is frozen others would leave it out of what is asked for next."""
        for each in mounts:
            wait_until(lambda: bool(each.document(batch.model.name, ".run")["frozen"]) == frozen,
                       what=f"{each.path}: {batch.model.name} is {'frozen' if frozen else 'thawed'}")

    def use(self):
        """One of the mounts; what was done through another has come to it."""
        m = self.dice.choice(self.mounts)
        if self.last not in (None, m):
            self.wait_equal(m)
        self.last = m
        return m

    def differs(self, m, models=MODELS):
        """{model: {batch: (what the mount says, what the oracle says)}}"""
        found = {}
        for model in models:
            said, meant = m.states(model.name), self.oracle.states(model.name)
            wrong = {b: (said.get(b), meant.get(b)) for b in {**said, **meant} if said.get(b) != meant.get(b)}
            frozen = {b.name for b in self.oracle.batches[model.name] if b.frozen}
            if not wrong and frozen.symmetric_difference(m.document(model.name, ".run")["frozen"]):
                wrong["frozen"] = (m.document(model.name, ".run")["frozen"], frozen)
            if wrong:
                found[model.name] = wrong
        return found

    def wait_equal(self, m, models=PLAYED):
        try:
            wait_until(lambda: not self.differs(m, models), what="the mount shows what the oracle says")
        except TimeoutError:
            raise AssertionError(f"{m.path}: (mount, oracle): {self.differs(m, models)}") from None

    def hold(self):
        self.fault.set("build:hold")
        for gate in GATES[:self.jobs * len(self.mounts)]:
            batch = self.dice.choice(self.oracle.batches[gate.name])
            os.utime(self.mounts[0] / gate.name / batch.name)
            self.oracle.ask([batch])
            wait_until(lambda: self.mounts[0].states(gate.name)[batch.name] == "running", what="a worker is held",
                       alive=self.mounts[0]._must_live)

    def release(self):
        self.oracle.tables["events"] = self.inputs.table()
        self.oracle.settle()
        self.fault.clear()

    def build_all(self):
        for model in MODELS:
            os.utime(self.mounts[0] / model.name / "2024")
            self.oracle.ask(self.oracle.batches[model.name])
        self.release()
        self.settle()

    def validated(self):
        """What a validation of everything finds, which all mounts show in the end: {kind: how many}."""
        asked = self.dice.choice(self.mounts)
        os.utime(asked / ".validate")
        assert errno_of(asked.sync, ".validate") in (0, errno.EUCLEAN)
        found = asked.document(".validate.json")
        assert found["at"]
        for m in self.mounts:
            wait_until(lambda m=m: m.document(".validate.json") == found, what=f"{m.path} shows the validation")
        return Counter(problem["kind"] for problem in found["problems"])

    def learn_attempts(self):
        """After what nobody can count."""
        for model in MODELS:
            for b in self.oracle.batches[model.name]:
                b.attempt = self.mounts[0].document(model.name, b.name)["attempt"]

    def settle(self):
        """Until nothing is queued or running, and every mount knows."""
        for m in self.mounts:
            for model in MODELS:
                # A cancel that was handed over may come only now.
                while (said := errno_of(m.sync, model.name, "2024")) == errno.ECANCELED:
                    pass
                assert said in (0, errno.EIO), os.strerror(said)
        wait_until(self.settled, what="all mounts show the same, and nothing is queued")
        self.last = None
        for m in self.mounts:
            for model in PLAYED:
                self.wait_refreshed(m, model.name)
                if model.name in self.oracle.refreshes:
                    said = self.refresh_of(m, model.name)
                    assert said["last"]["result"] in self.oracle.refreshes[model.name], (self.oracle.refreshes, said)
        self.oracle.refreshes.clear()
        if self.exchanging:
            self.take_exchanged(self.mounts[0], self.atomic)
            self.exchanging = False

    @staticmethod
    def refresh_of(m, model):
        return m.document(model, ".full-refresh")

    def wait_refreshed(self, m, model, phase=None):
        wait_until(lambda: self.refresh_of(m, model)["phase"] == phase,
                   what=f"{m.path}: the full refresh of {model} is in the phase {phase}")

    def settled(self):
        first, *others = ({model.name: m.states(model.name) for model in MODELS} for m in self.mounts)
        busy = {"queued", "running"} & {s for states in first.values() for s in states.values()}
        return not busy and all(seen == first for seen in others)

    def check(self):
        """Every state on every mount, every row of every target."""
        if len(self.mounts) > 1:
            self.believe_stale()
        for m in self.mounts:
            self.wait_equal(m, MODELS)
        self.check_rows()
        for _ in range(3):
            self.check_document(self.dice.choice(self.mounts))

    def believe_stale(self):
        """The clocks of two mounts differ by what their starts took: which of two builds was first may be wrong."""
        for model in PLAYED:
            said = self.mounts[0].states(model.name)
            for b in self.oracle.batches[model.name]:
                if {said[b.name], self.oracle.state(b)} == {"done", "stale"}:
                    b.said = said[b.name]

    def check_rows(self):
        known = [m for m in MODELS if any(b.attempt for b in self.oracle.batches[m.name])]
        meant = {m.name: sorted(self.oracle.tables[m.name]) for m in known}
        found = stored(self.warehouse, known)
        for name, rows in found.items():
            assert rows == meant[name], f"rows of {name}"

    def check_document(self, m):
        model = self.dice.choice(PLAYED)
        batch = self.dice.choice(self.oracle.batches[model.name])
        said = m.document(model.name, batch.name)
        # On PostgreSQL an attempt that was claimed and never begun keeps its number.
        exact = self.warehouse.engine == "sqlite"
        assert said["attempt"] == batch.attempt if exact else said["attempt"] >= batch.attempt, (batch.attempt, said)
        if batch.outcome == "done":
            assert said["rows_inserted"] == len(self.oracle.rows_of(batch)), said
        if self.oracle.state(batch) in ("stale", "skipped") and not batch.said:
            assert sorted(said["because"] or []) == sorted(map(repr, self.oracle.causes(batch))), said
