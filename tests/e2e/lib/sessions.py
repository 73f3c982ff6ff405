# SPDX-License-Identifier: Apache-2.0
"""Shell sessions of a page, as they stand there: each command prints what the page says, and nothing else."""
from .command import shell
from .trouble import FAILS, FINE, add_troubled, set_days

# What a page says happens elsewhere.
MENDED = "# whatever was wrong is mended"
BREAKS = "# 2024-09-03 breaks"
DELETED = "# somebody deletes the rows of 2024-08-15 from daily"


def add_models(project):
    """What the pages' sessions are about."""
    add_troubled(project, first="2024-06-30", days=70, a_day=1, begin="2024-07-01", tags=["nightly"])
    for name, config in (("daily", {"tags": ["nightly"]}), ("kept", {"full_refresh": False})):
        project.model(name, "select id, event_time, val from {sessions}", inputs=["sessions"], begin="2024-07-01", **config)


def steps(lines):
    """[(command, what it prints)]"""
    found = []
    for line in lines:
        if line.startswith(("$ ", "# ")):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def happens(warehouse, what):
    """False: it is a command."""
    if what in (MENDED, BREAKS):
        set_days(warehouse, FINE if what == MENDED else FAILS, "2024-09-03")
    elif what == DELETED:
        warehouse.sql(f"DELETE FROM {warehouse.relation('daily')} WHERE event_time >= '2024-08-15' AND event_time < '2024-08-16'")
    return what in (MENDED, BREAKS, DELETED)


def type_them(m, warehouse, title, lines):
    for command, printed in steps(lines):
        if happens(warehouse, command):
            continue
        done = shell(m, command)
        # To others than root the mode bits speak first.
        said = (done.stdout + done.stderr).replace("Permission denied", "Operation not permitted")
        assert said.splitlines() == printed, (title, command, done)
