# SPDX-License-Identifier: Apache-2.0
""".calendar and .calendar.svg: of a model, a selection and everything, on real mounts; they say what ls says."""
import errno
import os
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

from lib.command import errno_of, run
from lib.trouble import FAILS, add_troubled, set_days
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def m(project, warehouse, mount):
    """Days of which two fail and some are built, what reads them, hours, and months."""
    add_troubled(project, first="2024-05-20", days=108, a_day=2, begin="2024-05-20", tags=["nightly"])
    events = {"sql": "select id, event_time, val from {events}", "inputs": ["events"]}
    project.model("hours", begin="2024-09-02T05:00:00", batch_size="hour", **events)
    project.model("months", begin="2023-11-01", batch_size="month", tags=["nightly"], **events)
    project.model("reader", "select id, event_time, val from {sessions}", inputs=["sessions"], begin="2024-09-01")
    set_days(warehouse, FAILS, "2024-06-02", "2024-09-03")
    m = mount(project, now=NOW)
    assert errno_of(m.build, "sessions", "2024-06--2024-07") == errno.EIO
    m.build("hours", "2024-09-03T03--2024-09-04")
    m.build("months", "2024")
    assert errno_of(m.build, "sessions+", "2024-09") == errno.EIO
    wait_until(lambda: m.states("reader")["2024-09-03"] == "skipped", what="the skip is shown")
    return m


def of(m, *names):
    text = m.path.joinpath(*names, ".calendar").read_text()
    assert os.stat(m.path.joinpath(*names, ".calendar")).st_size == len(text.encode())
    return text


MARKS = {"R": "running", "Q": "queued", "F": "failed", "S": "skipped", "?": "unknown", ".": "pending", "+": "partial", "~": "stale",
         "#": "done"}


def test_of_a_model_it_says_what_ls_says(m):
    text = of(m, "sessions")
    assert text == """\
sessions: a character a day, UTC

            1   5   10   15   20   25   30
2024-05                        ............
2024-06     #F############################
2024-07     ...............................
2024-08     ...............................
2024-09     ##F+

F failed 2   . pending 74   + partial 1   # done 31
"""
    seen = {}
    for line in text.splitlines()[3:8]:
        for column, mark in enumerate(line[12:]):
            if mark != " ":
                seen[f"{line[:7]}-{column + 1:02}"] = MARKS[mark]
    assert seen == m.states("sessions")
    hours = of(m, "hours").splitlines()
    assert hours[0] == "hours: a character an hour, UTC" and hours[4:6] == [
        "2024-09-03  ...#####################", "2024-09-04  ............."]
    assert of(m, "months").splitlines()[3:5] == ["2023                  ..", "2024        ########+"]


def test_of_several_it_shows_the_worst_of_each_day(m):
    text = of(m)
    # A month that was never built lies on each of its days. What is done hides no gap, and a gap no failure.
    assert text.startswith("all models: a character a day, the worst state of any model, UTC\n\n")
    assert "\n2023-12     ...............................\n2024-01     ###############################\n" in text
    assert "\n2024-06     #F############################\n" in text and "\n2024-09     +.F.\n" in text
    counts = [line.split() for line in text.splitlines()[-4:]]
    assert [c[0] for c in counts] == ["hours", "months", "reader", "sessions"]
    status = m.document(".status")["models"]
    for name, *pairs in counts:
        assert {MARKS[mark]: int(n) for mark, n in zip(pairs[::2], pairs[1::2])} == {
            state: n for state, n in status[name]["states"].items() if n}
    selected = of(m, "sessions+")
    assert selected.startswith("sessions+: a character a day, the worst state of any model, UTC\n")
    assert [line.split()[0] for line in selected.splitlines()[-2:]] == ["reader", "sessions"] and "hours" not in selected
    assert of(m, "tag:nightly").splitlines()[-2:] == [line for line in text.splitlines()[-4:] if line[:6] in ("months", "sessio")]


def test_the_picture_is_the_same(m, tmp_path):
    for names in ((), ("sessions",), ("hours",), ("months",), ("sessions+",)):
        path = m.path.joinpath(*names, ".calendar.svg")
        data = path.read_bytes()
        assert os.stat(path).st_size == len(data)
        root = ElementTree.fromstring(data)
        cells = [(g.find(f"{SVG}title").text, g.find(f"{SVG}rect"), g.find(f"{SVG}text")) for g in root.iter(f"{SVG}g")]
        text = of(m, *names).splitlines()
        end = text.index("", 2)
        drawn = "".join(line[12:] for line in text[3:end]).replace(" ", "")
        legend = text[end + 1].split("   ")
        assert "".join(drawn) + "".join(entry[0] for entry in legend) == "".join(
            "#" if mark is None else mark.text for _, _, mark in cells), names
        assert all((mark is None) == title.endswith("done") for title, _, mark in cells)
        places = {(int(rect.get("x")), int(rect.get("y"))) for _, rect, _ in cells}
        assert len(places) == len(cells)
        assert max(x for x, _ in places) + 12 <= int(root.get("width")) and max(y for _, y in places) + 12 <= int(root.get("height"))
        fills = {title.split(": ")[-1]: rect.get("fill") for title, rect, _ in cells}
        assert len(set(fills.values())) == len(fills)
        if shutil.which("rsvg-convert"):
            assert run("rsvg-convert", "-o", tmp_path / "x.png", path).returncode == 0
            assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_where_they_are(m):
    assert {".calendar", ".calendar.svg"} <= set(os.listdir(m.path))
    for names in (("sessions",), ("sessions+",)):
        listed = os.listdir(m.path.joinpath(*names))
        assert ".calendar" in listed and ".calendar.svg" not in listed
    path = m / "sessions" / ".calendar"
    assert os.stat(path).st_mode & 0o777 == 0o444 and errno_of(os.utime, path) == errno.EPERM
