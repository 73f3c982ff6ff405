# SPDX-License-Identifier: Apache-2.0
"""docs/promises.md names tests that there are."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_promise_names_its_tests():
    lines = [line for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| ")][2:]
    assert len(lines) > 10
    for line in lines:
        named = re.findall(r"`([\w/]+(?:\.py|\.c|/))`", line.rsplit("|", 2)[1])
        assert named and not [name for name in named if not (ROOT / "tests" / name).exists()], line
