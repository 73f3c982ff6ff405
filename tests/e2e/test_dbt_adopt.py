# SPDX-License-Identifier: Apache-2.0
"""adopt=FILE: a run_results.json says what is built, in the place of the first look."""
import json

import pytest

from lib.dbt_played import NOW, DbtWarehouse, played_project
from lib.wait import wait_until


@pytest.fixture
def engine():
    return "dbt"


@pytest.fixture
def warehouse(tmp_path):
    return DbtWarehouse(tmp_path / "project")


@pytest.fixture
def project(tmp_path, warehouse):
    p = played_project(tmp_path, warehouse)
    p.model("visits", "select * from {events}", inputs=["events"])
    return p


def window(day):
    return [f"2024-09-0{day}T00:00:00+00:00", f"2024-09-0{day + 1}T00:00:00+00:00"]


def result(name, done=(), failed=(), **more):
    return {"unique_id": f"model.proj.{name}", "status": "partial success", "message": "PARTIAL SUCCESS (2/3)",
            "batch_results": {"successful": [window(d) for d in done], "failed": [window(d) for d in failed]}, **more}


@pytest.fixture
def file(tmp_path):
    def write(*results):
        path = tmp_path / "run_results.json"
        path.write_text(json.dumps({"metadata": {}, "results": results}))
        return path
    return write


def looked(m, *names):
    for name in names:
        wait_until(lambda name=name: "unknown" not in m.states(name).values(), what=f"{name} was met")


def test_what_it_calls_successful_is_adopted(mount, project, warehouse, file):
    (warehouse.place / "table-visits.json").write_text(json.dumps({"2024-09-04": 1}))
    path = file(result("sessions", (3, 1), (2,)), result("gone", (1,)), {"unique_id": "model.proj.visits", "batch_results": None})
    m = mount(project, f"adopt={path}", now=NOW)
    looked(m, "sessions", "visits")
    states = m.states("sessions")
    assert [states[f"2024-09-0{d}"] for d in range(1, 7)] == ["done", "pending", "done", "pending", "pending", "pending"]
    assert m.document("sessions", "2024-09-01")["adopted"] is True
    # Of a model that it says nothing of, the table is looked at; of the other one it is not.
    assert m.states("visits")["2024-09-04"] == "done"
    assert len(warehouse.calls("show")) == 1
    log = m.log_text()
    assert "1 batch of sessions failed, and not adopted: PARTIAL SUCCESS (2/3)" in log
    assert "model.proj.gone is no microbatch model of the manifest" in log
    # Once only: whoever comes later goes by what is recorded, and .adopt by the table.
    m.unmount()
    file(result("sessions", (5,)))
    m.start()
    looked(m, "sessions", "visits")
    assert m.states("sessions") == states
    m.build("sessions", ".adopt")
    assert set(m.states("sessions").values()) == {"pending"}


@pytest.mark.parametrize("results, words", (
    ([{"unique_id": 7}], "results[0].unique_id is 7, and not a name"),
    ([result("sessions"), result("visits", batch_results=[])], "results[1].batch_results is [], and not what dbt says of batches"),
    ([result("sessions", batch_results={"successful": "x"})], 'results[0].batch_results.successful is "x", and not a list of windows'),
    ([result("sessions", batch_results={"successful": [], "failed": [["2024-09-01", "soon"]]})],
     'results[0].batch_results.failed[0] is ["2024-09-01","soon"], and not two times'),
))
def test_a_file_that_is_none(mount, project, file, results, words):
    path = file(*results)
    m = mount(project, f"adopt={path}", now=NOW, start=False)
    with pytest.raises(RuntimeError) as e:
        m.start()
    assert f"{path}: {words}" in str(e.value)
