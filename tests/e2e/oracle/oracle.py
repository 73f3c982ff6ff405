# SPDX-License-Identifier: Apache-2.0
"""What the states and the tables must be: surface.md as a page of Python. It knows nothing of time, only of order."""
from . import calendar
from .graph import BY_NAME, MODELS, NOW, Fails, text

STATES = ("done", "partial", "stale", "failed", "skipped", "unknown", "pending", "queued", "running")


class Batch:
    def __init__(self, model, start):
        self.model, self.start, self.end = model, start, calendar.after(model.size, start)
        self.name = calendar.name(model.size, start)
        self.outcome, self.queued, self.frozen = "pending", False, False
        self.refreshing = self.asked = False  # why it is queued: for a full refresh; because of anything else
        self.said = None  # done or stale, where only the mounts can know
        self.attempt = 0
        # Places in the order of everything that was ever built; 0: never.
        self.began = self.built = 0

    def __repr__(self):
        return f"{self.model.name}/{self.name}"

    def withdraw(self):
        """It is taken out of the queue, whoever asked."""
        self.queued = self.refreshing = self.asked = False

    def touches(self, other):
        return self.start < other.end and other.start < self.end


class Oracle:
    def __init__(self):
        self.batches = {m.name: [Batch(m, start) for start in m.batches()] for m in MODELS}
        self.tables = {"events": [], **{m.name: [] for m in MODELS}}
        self.clock = 0
        self.refreshes = {}  # models that are being refreshed in full: how that will have ended

    def find(self, model, name):
        return next(b for b in self.batches[model] if b.name == name)

    def inputs(self, batch, windowed=True):
        """What its window covers of what it reads; windowed=False: what it reads as a whole, too."""
        found = [b for m in batch.model.reads for b in self.batches[m] if b.touches(batch)]
        if not windowed:
            found += [b for m in batch.model.reads_all for b in self.batches[m]]
            found += [b for b in self.batches[batch.model.name] if batch.model.reads_itself and b.start < batch.start]
        return found

    def readers(self, batch):
        return [b for m in MODELS if m.reads_itself or m.before() for b in self.batches[m.name]
                if batch in self.inputs(b, windowed=False)]

    def causes(self, batch):
        """What it is stale because of, or skipped."""
        if batch.outcome == "skipped":
            return [b for b in self.inputs(batch, windowed=False) if b.outcome in ("failed", "skipped")]
        return [b for b in self.inputs(batch) if b.built > batch.began]

    def state(self, batch):
        if batch.queued:
            return "queued"
        if batch.outcome != "done":
            return batch.outcome
        if batch.end > NOW:
            return "partial"
        return batch.said or ("stale" if self.causes(batch) else "done")

    def states(self, model):
        return {b.name: self.state(b) for b in self.batches[model]}

    def ask(self, batches):
        """They are queued unless they are frozen, and what was skipped because of those of them that have failed."""
        wanted, at = [b for b in batches if not b.frozen], 0
        while at < len(wanted):
            if self.state(wanted[at]) in ("failed", "skipped"):
                wanted += [b for b in self.readers(wanted[at])
                           if self.state(b) == "skipped" and not b.frozen and b not in wanted]
            at += 1
        for b in wanted:
            b.queued = b.asked = True

    def refresh(self, *models):
        """All of theirs; what was skipped in other models because of them is not asked for."""
        for model in models:
            self.refreshes[model] = None
            for b in self.batches[model]:
                b.queued = b.refreshing = True

    def cancel_refresh(self, model):
        del self.refreshes[model]
        for b in self.batches[model]:
            b.queued, b.refreshing = b.asked, False

    def is_refreshed(self, model):
        """Whether something of it is still to be built for the full refresh: else it is over."""
        return model in self.refreshes and any(b.refreshing for b in self.batches[model])

    def needed_alone(self, model):
        every = self.batches[model]
        recent = every[-1 - BY_NAME[model].lookback:]
        return [b for b in every if not b.frozen and (
            self.state(b) in ("pending", "failed", "skipped", "partial", "stale")
            or (self.state(b) == "done" and b in recent))]

    def needed(self, *models):
        """
        What .run builds of them, taken together: what that makes stale, and what is queued already, comes along. What
        is queued itself is asked for once more where the same request asks for an input of it: so it outlives the
        cancel of a full refresh for which it was queued.
        """
        wanted = [b for model in models for b in self.needed_alone(model)]
        found = True
        while found:
            found = [b for model in models for b in self.batches[model] if b not in wanted and not b.frozen and (
                (self.state(b) == "done" and any(i.queued or i in wanted for i in self.inputs(b)))
                or (b.queued and any(i in wanted for i in self.inputs(b))))]
            wanted += found
        return wanted

    def settle(self):
        """Everything queued is built, in order, from the inputs as they are now."""
        wrong = set()
        mine = {m: [b for b in self.batches[m] if b.refreshing] for m in self.refreshes}
        whole = {m for m in mine if all(b.queued for b in self.batches[m])}
        for m in MODELS:
            for b in self.batches[m.name]:
                b.said = None
                if not b.queued:
                    continue
                b.withdraw()
                if any(i in wrong for i in self.inputs(b, windowed=False)):
                    b.outcome = "skipped"
                    wrong.add(b)
                elif not self.build(b):
                    wrong.add(b)
        for m, batches in mine.items():
            self.refreshes[m] = self.ends(m, batches, m in whole, wrong)

    def ends(self, model, mine, whole, wrong):
        """How a full refresh may end of which these batches are left; whole: all of the model is asked for."""
        if not mine:
            return {"cancelled"}
        if any(b in wrong for b in mine):
            return {"failed"}
        if len(mine) == len(self.batches[model]):
            return {"done"}
        # What was cancelled of it and asked for again since may be built before it is over, or after that.
        return {"cancelled"} | ({"done"} if whole else set()) | (
            {"failed"} if any(b in wrong for b in self.batches[model]) else set())

    def build(self, batch):
        start, end = text(batch.start), text(batch.end)
        batch.attempt += 1
        self.clock += 1
        began = self.clock
        try:
            rows = batch.model.rows(self.tables, start, end)
        except Fails:
            batch.outcome = "failed"
            return False
        table = self.tables[batch.model.name]
        self.tables[batch.model.name] = [row for row in table if not start <= row[1] < end] + rows
        self.clock += 1
        batch.outcome, batch.began, batch.built = "done", began, self.clock
        return True

    def fails_beside(self, model, events):
        """Whether a batch of the model fails with these events, so that nothing is exchanged."""
        try:
            for b in self.batches[model]:
                b.model.rows({**self.tables, "events": events}, text(b.start), text(b.end))
        except Fails:
            return True
        return False

    def exchange(self, model, events):
        """All of its batches were built beside the table, from these events; what is queued stays queued."""
        self.tables["events"], self.tables[model] = events, []
        for b in self.batches[model]:
            self.build(b)

    def rows_of(self, batch):
        return sorted(row for row in self.tables[batch.model.name] if text(batch.start) <= row[1] < text(batch.end))
