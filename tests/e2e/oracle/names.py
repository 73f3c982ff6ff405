# SPDX-License-Identifier: Apache-2.0
"""Random names below a model's directory, with the batches that they mean."""
from dataclasses import dataclass
from datetime import timedelta

from . import calendar
from .graph import BY_NAME, NOW

SETS = ("failed", "unknown", "pending", "queued", "skipped", "partial", "stale", "done")


@dataclass
class Name:
    text: str
    kind: str  # batch, range, set; missing: no such name; backwards: a range that ends before it starts
    batches: list
    holds: bool = True  # of a batch: it is in the state that its suffix says
    state: str = ""  # of a set


def span(dice, model):
    """(text, start, end) of a period, a range, or of nothing: everything."""
    first = model.begin - timedelta(days=2)
    size = dice.choice(calendar.SIZES)

    def moment():
        return first + (NOW + timedelta(days=2) - first) * dice.random()

    if dice.random() < 0.3 and size in calendar.SIZES[calendar.SIZES.index(model.size) + 1:]:
        start = calendar.floor(size, moment())
        return calendar.name(size, start), start, calendar.after(size, start)
    sizes = dice.choices(calendar.SIZES[:3], k=2)
    start, end = (calendar.floor(s, moment()) for s in sizes)
    if start > end and dice.random() < 0.9:
        start, end, sizes = end, start, sizes[::-1]
    return f"{calendar.name(sizes[0], start)}--{calendar.name(sizes[1], end)}", start, end


def of_span(dice, oracle, model):
    what, start, end = span(dice, model)
    inside = [b for b in oracle.batches[model.name] if b.start < end and b.end > start]
    if start >= end:
        return Name(what, "backwards", [])
    return Name(what, "range" if inside else "missing", inside)


def of_batch(dice, oracle, model):
    batch = dice.choice(oracle.batches[model.name])
    if dice.random() < 0.5:
        return Name(batch.name, "batch", [batch])
    said = oracle.state(batch) if dice.random() < 0.8 else dice.choice(SETS[:-1])
    if said == "done":
        return Name(batch.name, "batch", [batch])
    return Name(f"{batch.name}.{said}", "batch", [batch], holds=said == oracle.state(batch))


def of_set(dice, oracle, model):
    of = Name("", "range", oracle.batches[model.name])
    if dice.random() < 0.6:
        of = of_span(dice, oracle, model)
    state = dice.choice(SETS)
    if of.kind == "backwards":
        return Name(f"{of.text}.{state}", "backwards", [])
    return Name(f"{of.text}.{state}", "set", [b for b in of.batches if oracle.state(b) == state], state=state)


def of_selection(dice, oracle, models):
    """A period, a range or a set, in all of these models."""
    what, start, end = span(dice, BY_NAME["sessions"])
    inside = [b for m in models for b in oracle.batches[m] if b.start < end and b.end > start]
    if start >= end:
        return Name(what, "backwards", [])
    if dice.random() < 0.4:
        state = dice.choice(SETS)
        return Name(f"{what}.{state}", "set", [b for b in inside if oracle.state(b) == state], state=state)
    return Name(what, "range" if inside else "missing", inside)


def any_name(dice, oracle, model):
    return dice.choice((of_batch, of_batch, of_span, of_span, of_set))(dice, oracle, model)
