# SPDX-License-Identifier: Apache-2.0
"""Random names that together cover a period."""
from . import calendar

STATES = ("unknown", "pending", "done", "partial", "stale", "failed", "skipped")


def period(dice, model, last):
    """[start, end) of a part of its batches before `last`."""
    batches = calendar.starts(model.size, model.begin, last)
    first = dice.randrange(len(batches) // 2)
    return batches[first], batches[dice.randrange(first + len(batches) // 3, len(batches))]


def cover(dice, model, start, end):
    """Names: each batch in [start, end) is in one of them at least, and none besides."""
    batches, names, at = calendar.starts(model.size, start, end), [], 0
    while at < len(batches):
        n = min(dice.choice((1, 1, 2, 3, 7, 12)), len(batches) - at)
        names += piece(dice, model, batches[at], calendar.after(model.size, batches[at + n - 1]))
        # Some of them overlap.
        at += n if n < 3 or dice.random() < 0.7 else n - 2
    return names


def piece(dice, model, start, end):
    if calendar.after(model.size, start) == end and dice.random() < 0.5:
        return [calendar.name(model.size, start)]
    for size in calendar.SIZES[calendar.SIZES.index(model.size) + 1:]:
        if (calendar.floor(size, start), calendar.after(size, start)) == (start, end):
            return [calendar.name(size, start)]
    span = "--".join(calendar.name(dice.choice(sizes_at(at)), at) for at in (start, end))
    # In none of these states is only what has been asked for meanwhile.
    return [f"{span}.{state}" for state in STATES] if dice.random() < 0.3 else [span]


def sizes_at(at):
    """The sizes of which a batch starts then."""
    return [size for size in calendar.SIZES if calendar.floor(size, at) == at]
