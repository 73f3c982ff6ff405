# SPDX-License-Identifier: Apache-2.0
"""The warehouse of a mount whose dbt is played by fake_dbt.py."""
import json
from pathlib import Path

from .project import Project

NOW = "2024-09-06T12:00"
DAYS = [f"2024-09-0{d}" for d in range(1, 7)]
FAKE = Path(__file__).parent / "fake_dbt.py"

# What dbt must not hear of: it would build something else, and call that a success.
MISLEADING = ["DBT_FULL_REFRESH", "DBT_EMPTY", "DBT_ENGINE_FULL_REFRESH", "DBT_ENGINE_EMPTY", "DBT_ENGINE_SAMPLE"]


class DbtWarehouse:
    """A table that dbt keeps."""
    engine = "postgres"
    database, schema = "warehouse", "an"

    def __init__(self, place):
        self.place = place
        place.mkdir()
        (place / "dbt_project.yml").write_text("name: proj\n")

    def options(self):
        return ["engine=dbt", f"project={self.place}", f"dbt={FAKE}", f"database={self.place.parent}/states.db"]

    def env(self):
        return dict.fromkeys(MISLEADING, "1")

    def relation(self, name):
        return f'"{self.database}"."{self.schema}"."{name}"'

    def fake(self, **how):
        new = self.place / "fake.new"
        new.write_text(json.dumps(how))
        new.rename(self.place / "fake.json")

    def table(self):
        """{batch: how often it was built}"""
        path = self.place / "table.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def write(self, table):
        new = self.place / "table.new"
        new.write_text(json.dumps(table))
        new.rename(self.place / "table.json")

    def calls(self, verb="run"):
        path = self.place / "calls.jsonl"
        every = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [c for c in every if verb in c["words"]]

    def hangs(self, day):
        return (self.place / f"hangs-{day}").exists()

    def go(self, day=None):
        """All that hangs goes on, or that batch."""
        (self.place / (f"go-{day}" if day else "go")).touch()


def played_project(tmp_path, warehouse):
    """A project with the model sessions, which dbt builds of its events."""
    project = Project(tmp_path / "target", warehouse)
    project.source("events", event_time="event_time")
    project.model("sessions", "select * from {events}", inputs=["events"])
    return project


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
