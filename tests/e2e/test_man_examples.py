# SPDX-License-Identifier: Apache-2.0
"""The sessions of batchfs(5), EXAMPLES, as they stand: each command prints what the page says, and nothing else."""
import re
from pathlib import Path

import pytest

from lib.command import shell
from lib.trouble import FAILS, FINE, add_troubled, set_days

PAGE = Path(__file__).resolve().parents[2] / "docs" / "man" / "batchfs.5"
NOW = "2024-09-04T12:00:00"
MENDED = "# whatever was wrong is mended"
DELETED = "# somebody deletes the rows of 2024-08-15 from daily"


def plain(line):
    return line.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")


def sessions():
    """{title: its lines} of the page's section."""
    section = re.search(r"^\.SH EXAMPLES\n(.*?)^\.SH ", PAGE.read_text(), re.M | re.S)[1]
    found = {}
    for part in section.split("\n.SS ")[1:]:
        title, rest = part.split("\n", 1)
        found[title] = [plain(line) for line in re.search(r"^\.nf\n(.*?)^\.fi$", rest, re.M | re.S)[1].splitlines()]
    return found


def steps(lines):
    """[(command, what it prints)]"""
    found = []
    for line in lines:
        if line.startswith(("$ ", "# ")):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


@pytest.fixture
def m(project, warehouse, mount):
    add_troubled(project, first="2024-06-30", days=70, a_day=1, begin="2024-07-01", tags=["nightly"])
    for name, config in (("daily", {"tags": ["nightly"]}), ("kept", {"full_refresh": False})):
        project.model(name, "select id, event_time, val from {sessions}", inputs=["sessions"], begin="2024-07-01", **config)
    return mount(project, now=NOW)


def test_they_type_as_they_stand(m, warehouse):
    assert len(sessions()) == 8
    for title, lines in sessions().items():
        if MENDED in lines:
            set_days(warehouse, FAILS, "2024-09-03")
        for command, printed in steps(lines):
            if command == MENDED:
                set_days(warehouse, FINE)
                continue
            if command == DELETED:
                warehouse.sql(f"DELETE FROM {warehouse.relation('daily')} WHERE event_time >= '2024-08-15'"
                              " AND event_time < '2024-08-16'")
                continue
            done = shell(m, command)
            # To others than root the mode bits speak first.
            said = (done.stdout + done.stderr).replace("Permission denied", "Operation not permitted")
            assert said.splitlines() == printed, (title, command, done)
