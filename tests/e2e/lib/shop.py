# SPDX-License-Identifier: Apache-2.0
"""A small dbt project for engine=dbt."""
import json
import subprocess

from lib.dbt import Dbt

EVENTS = """{{ config(materialized='table', event_time='event_time') }}
select timestamp '2024-09-01 00:00:00' + i * interval '6 hours' as event_time, i as id from %s
"""
SESSIONS = """{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='event_time',
    batch_size='day', begin='2024-09-01', unique_key=%s) }}
select event_time, id, cast(case when id in (%s) then 'bad' else '1' end as integer) as x,
    {%% if is_incremental() %%} 'later' {%% else %%} 'first' {%% endif %%} as run%s from {{ ref('events') }}
"""


class Shop:
    """A dbt project with two models, built by the dbt of a virtual environment, as a mount wants it."""

    def __init__(self, path, bin_dir, output, series, key):
        self.path, self.dbt, self.key = path, bin_dir / "dbt", key
        (path / "models").mkdir(parents=True)
        (path / "dbt_project.yml").write_text("name: shop\nversion: '1.0'\nprofile: shop\n"
                                              "flags: {send_anonymous_usage_stats: false}\n")
        (path / "profiles.yml").write_text(json.dumps({"shop": {"target": "dev", "outputs": {"dev": output}}}))
        (path / "models" / "events.sql").write_text(EVENTS % series)
        self.sessions()

    def sessions(self, *bad, more=""):
        """The model fails for these ids; as in every project, it is compiled afterwards. more: another column."""
        (self.path / "models" / "sessions.sql").write_text(SESSIONS % (self.key, ", ".join(map(str, bad)) or -1, more))

    def __call__(self, *words):
        subprocess.run([self.dbt, "-q", *words], cwd=self.path, check=True, capture_output=True)

    def commands(self, *commands):
        """Of each what Dbt answers. By one process, which lets go of the file in the end."""
        dbt = Dbt(self.dbt.parent / "python", self.path, {})
        answers = [dbt(*words) for words in commands]
        dbt.close()
        return answers

    def options(self):
        return ["engine=dbt", f"project={self.path}", f"dbt={self.dbt}", f"database={self.path.parent}/states.db"]

    def env(self):
        return {}

    # What a mount asks of a project.
    @property
    def warehouse(self):
        return self

    def write(self):
        return self.path / "target"


def duckdb_shop(dbt_python, path, *bad):
    """On a DuckDB file beside it, with its input built and the model failing for these ids; shop.sql() asks the
    file."""
    file = path / "shop.duckdb"
    shop = Shop(path / "shop", dbt_python.parent, {"type": "duckdb", "path": str(file), "threads": 2},
                "range(0, 24) t(i)", "none")

    def sql(query):
        """By another process, which may write: DuckDB lets none in while a dbt has the file."""
        code = f"import duckdb, json; print(json.dumps(duckdb.connect({str(file)!r}).execute({query!r}).fetchall(), default=str))"
        done = subprocess.run([dbt_python, "-c", code], capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    shop.sql = sql
    shop.sessions(*bad)
    shop.commands(("run", "--select", "events"), ("compile",))
    return shop
