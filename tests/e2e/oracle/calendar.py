# SPDX-License-Identifier: Apache-2.0
"""Batches as their starts; names as the surface has them."""
from datetime import datetime, timedelta

FORMATS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
SIZES = tuple(FORMATS)


def floor(size, at):
    return datetime.strptime(at.strftime(FORMATS[size]), FORMATS[size])


def after(size, start):
    """The start of the next batch."""
    if size in ("hour", "day"):
        return start + timedelta(**{size + "s": 1})
    return floor(size, start + timedelta(days=32 if size == "month" else 367))


def name(size, start):
    return start.strftime(FORMATS[size])


def starts(size, begin, end):
    """Of the batches that touch [begin, end)."""
    at, found = floor(size, begin), []
    while at < end:
        found.append(at)
        at = after(size, at)
    return found
