# SPDX-License-Identifier: Apache-2.0
"""`.run_results.json`, given to the real dbt."""
import json
import os
import subprocess

import pytest

from lib.shop import duckdb_shop
from lib.wait import LIMIT, wait_until

NOW = "2024-09-06T12:00"
DAYS = [f"2024-09-0{d}" for d in range(1, 7)]
VALIDATE = """
import json, sys, jsonschema
from dbt.artifacts.schemas.run import RunResultsArtifact
jsonschema.validate(json.load(open(sys.argv[1])), RunResultsArtifact.json_schema())
assert len(RunResultsArtifact.read_and_check_versions(sys.argv[1]).results) == 1
"""


@pytest.fixture
def engine():
    return "dbt"


def ls(result, state):
    return ("ls", "--select", f"result:{result}", "--state", str(state))


@pytest.mark.parametrize("python", ("dbt_python", "old_dbt_python"))
def test_dbt_goes_on_from_a_backfill_that_partly_failed(mount, python, tmp_path, request):
    python = request.getfixturevalue(python)
    shop = duckdb_shop(python, tmp_path, 13)
    m = mount(shop, now=NOW)
    # Nothing is known yet that dbt could have recorded.
    wait_until(lambda: "unknown" not in m.states("sessions").values(), 4 * LIMIT, what="the table was looked at")
    assert m.document(".run_results.json")["results"] == []
    with pytest.raises(OSError):
        m.build("sessions", ".run")
    state = tmp_path / "state"
    state.mkdir()
    # A link suffices: dbt reads the present state.
    os.symlink(m / ".run_results.json", state / "run_results.json")
    text = (state / "run_results.json").read_bytes()
    assert len(text) == os.stat(m / ".run_results.json").st_size
    result, = json.loads(text)["results"]
    assert (result["status"], result["unique_id"]) == ("error", "model.shop.sessions")
    assert "1 of 6 batches failed, the first one is 2024-09-04: " in result["message"]
    assert [w[0][:10] for w in result["batch_results"]["successful"]] == [d for d in DAYS if d != "2024-09-04"]
    assert result["batch_results"]["failed"] == [["2024-09-04T00:00:00+00:00", "2024-09-05T00:00:00+00:00"]]
    assert result["timing"][0]["started_at"].startswith("2024-09-06T12:")
    subprocess.run([python, "-c", VALIDATE, state / "run_results.json"], check=True)

    # dbt selects the model, and mends what failed, and that alone.
    shop.sessions()
    failed, succeeded, retried, _ = shop.commands(ls("error", state), ls("success", state),
                                                  ("retry", "--state", str(state)), ("compile",))
    assert (failed, succeeded, retried) == (["shop.sessions"], [], {"sessions": "success"})
    log = (shop.path / "logs" / "dbt.log").read_text()
    assert "Batch 1 of 1 OK created batch 2024-09-04 of main.sessions" in log and "Batch 2" not in log
    assert shop.sql("select count(*), count(distinct id) from sessions") == [[24, 24]]
    m.build("sessions", ".failed")
    assert shop.commands(ls("error", state), ls("success", state)) == [[], ["shop.sessions"]]
