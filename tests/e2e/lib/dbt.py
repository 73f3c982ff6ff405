# SPDX-License-Identifier: Apache-2.0
"""A dbt of the tests' own, in virtual environments that are made once and kept in the build directory."""
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# The newest 1.x that installs, and the oldest that has microbatch models. Each is named, so that another one of its
# packages makes a new environment, and the tests of a warehouse need only that one's.
PACKAGES = {
    "dbt": ("dbt-core==1.11.*", "dbt-postgres", "dbt-duckdb"),
    "dbt-1.9": ("dbt-core==1.9.*", "dbt-postgres", "dbt-duckdb"),
}


class NoDbt(Exception):
    """It cannot be installed here."""


def make_venv(name="dbt"):
    """Its python: a failed attempt leaves no mark and is begun anew."""
    place = Path(os.environ.get("BATCHFS_VENV_DIR") or ROOT / "build").resolve() / f"venv-{name}"
    python, mark = place / "bin" / "python", place / "complete"
    place.parent.mkdir(parents=True, exist_ok=True)
    wanted = " ".join(PACKAGES[name])
    with open(f"{place}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists() and mark.read_text() == wanted:
            return python
        shutil.rmtree(place, ignore_errors=True)
        for command in (["/usr/bin/python3", "-m", "venv", str(place)],
                        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES[name]]):
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                raise NoDbt(f"virtual environment with dbt: {' '.join(command)}: {made.stderr[-500:]}")
        mark.write_text(wanted)
    return python


class Dbt:
    """One process that runs dbt's commands in a project, one after the other: its start takes longer than they do."""

    def __init__(self, python, project, env):
        # -I: the modules beside the helper must not stand in for dbt's.
        self.process = subprocess.Popen([python, "-I", Path(__file__).parent / "dbt_commands.py"], cwd=project,
                                        env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def __call__(self, *words):
        """{model: what became of it} of a run, what `ls` lists, {} of other commands; raises what dbt says where the
        command fails."""
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "failed" not in answer, f"dbt {' '.join(words)}: {answer['failed']}"
        return answer

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0
