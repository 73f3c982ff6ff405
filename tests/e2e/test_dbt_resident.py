# SPDX-License-Identifier: Apache-2.0
"""The resident program by itself, with a dbt that does nothing: when the project is parsed."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

RESIDENT = Path(__file__).parents[2] / "backend" / "dbt" / "resident.py"
DBT = """
import types

class dbtRunner:
    def __init__(self, manifest=None):
        self.manifest = manifest

    def invoke(self, words):
        with open("../calls", "a") as f:
            print(words[0], self.manifest is not None, file=f)
        return types.SimpleNamespace(exception=None, success=True, result=types.SimpleNamespace(files={}, macros={}))
"""


class Resident:
    def __init__(self, tmp_path, files_most):
        self.place = tmp_path / "project"
        main = tmp_path / "python" / "dbt" / "cli" / "main.py"
        main.parent.mkdir(parents=True)
        main.write_text(DBT)
        self.place.mkdir()
        for name in "abc":
            (self.place / f"{name}.sql").write_text("select 1")
        program = RESIDENT.read_text().replace("FILES_MOST = 50000", f"FILES_MOST = {files_most}")
        self.process = subprocess.Popen([sys.executable, "-c", program, '["parse"]'], cwd=self.place, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env={"PYTHONPATH": str(tmp_path / "python"), "HOME": str(tmp_path)})
        self.until("ready")

    def until(self, word):
        for line in self.process.stdout:
            if line.startswith("{") and word in json.loads(line).get("batchfs", {}):
                return
        raise AssertionError(f"it ended before {word}")

    def run(self):
        """What dbt was called for since the last time: the verb, and whether it had the parsed project."""
        self.process.stdin.write('["run"]\n')
        self.process.stdin.flush()
        self.until("ended")
        calls = self.place.parent / "calls"
        text = calls.read_text()
        calls.unlink()
        return text.splitlines()


@pytest.fixture
def resident(tmp_path):
    started = []

    def start(files_most=50000):
        started.append(Resident(tmp_path, files_most))
        return started[0]
    yield start
    for r in started:
        r.process.stdin.close()
        r.process.stdout.close()
        r.process.wait()


def test_parsed_again_when_a_file_has_changed(resident):
    r = resident()
    assert r.run() == ["parse False", "run True"]
    assert r.run() == ["run True"]
    for name in ("a.sql", ".dbtignore"):
        (r.place / name).write_text("b.sql and more\n")
        assert r.run() == ["parse False", "run True"]
        assert r.run() == ["run True"]


def test_a_project_of_too_many_files_is_parsed_by_the_child_alone(resident):
    r = resident(files_most=2)
    assert r.run() == ["parse False", "run False"]
    assert r.run() == ["run False"]
