# SPDX-License-Identifier: Apache-2.0
"""The sessions of batchfs(5), EXAMPLES, and of the operator's guide, as they stand there."""
import re
from pathlib import Path

import pytest

from lib import sessions
from lib.trouble import FAILS, set_days

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOW = "2024-09-04T12:00:00"


def plain(line):
    return line.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")


def of_the_page():
    """{title: its lines} of the page's section."""
    section = re.search(r"^\.SH EXAMPLES\n(.*?)^\.SH ", (DOCS / "man" / "batchfs.5").read_text(), re.M | re.S)[1]
    found = {}
    for part in section.split("\n.SS ")[1:]:
        title, rest = part.split("\n", 1)
        found[title] = [plain(line) for line in re.search(r"^\.nf\n(.*?)^\.fi$", rest, re.M | re.S)[1].splitlines()]
    return found


def of_the_guide():
    """The same of its chapters, each with all that stands in its fences."""
    found = {}
    for part in (DOCS / "guide.md").read_text().split("\n## ")[1:]:
        title, rest = part.split("\n", 1)
        found[title] = "".join(re.findall(r"^```console\n(.*?)^```$", rest, re.M | re.S)).splitlines()
    return found


@pytest.fixture
def m(project, mount):
    sessions.add_models(project)
    return mount(project, now=NOW)


def test_they_type_as_they_stand(m, warehouse):
    assert len(of_the_page()) == 8
    for title, lines in of_the_page().items():
        if sessions.MENDED in lines:
            set_days(warehouse, FAILS, "2024-09-03")
        sessions.type_them(m, warehouse, title, lines)


def test_the_guide_types_as_it_stands(m, warehouse):
    assert len(of_the_guide()) >= 14 and all(sessions.steps(lines) for lines in of_the_guide().values())
    for title, lines in of_the_guide().items():
        sessions.type_them(m, warehouse, title, lines)
