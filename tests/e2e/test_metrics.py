# SPDX-License-Identifier: Apache-2.0
""".metrics: the names and labels that were promised, numbers that agree with the other documents, examples that use them."""
import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from lib import exposition
from lib.command import errno_of, run
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.wait import wait_until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "prometheus"
NOW = "2024-09-04T12:00:00"
FAMILIES = {
    "batches": {"model", "state"}, "lag_seconds": {"model"}, "oldest_failure_timestamp_seconds": {"model"},
    "attempts_total": {"model", "outcome"}, "build_seconds_total": {"model"}, "rows_inserted_total": {"model"},
    "rows_deleted_total": {"model"}, "requests_open": set(), "warehouse_up": set(), "manifest_loaded_timestamp_seconds": set(),
    "manifest_error": set(), "models": {"builder"}, "build_info": {"version", "engine", "store"},
}


def scrape(m):
    path = m / ".metrics"
    text = path.read_text()
    found = exposition.read(text)
    assert set(found) == {f"batchfs_{name}" for name in FAMILIES}
    for name, labels in FAMILIES.items():
        assert all({k for k, _ in key} == labels for key in found[f"batchfs_{name}"][1]), name
    return found


def value(found, name, **labels):
    """None: there is no such sample."""
    return found[f"batchfs_{name}"][1].get(tuple(sorted(labels.items())))


def attempts(found, model):
    return {dict(key)["outcome"]: n for key, n in found["batchfs_attempts_total"][1].items() if dict(key)["model"] == model}


def lines(m, model):
    """.history by outcome."""
    found = dict.fromkeys(("done", "failed", "cancelled", "interrupted", "skipped"), 0)
    for line in (m / model / ".history").read_text().splitlines():
        found[json.loads(line)["outcome"]] += 1
    return found


def test_it_agrees_with_the_other_documents(project, warehouse, mount):
    add_troubled(project, a_day=3)
    project.model("reader", "select id, event_time, val from {sessions}", inputs=["sessions"], begin="2024-09-01")
    project.model("gone", None, begin="2024-09-01")
    set_days(warehouse, FAILS, "2024-09-02")
    m = mount(project, now=NOW)
    before = scrape(m)
    assert sum(attempts(before, "sessions").values()) == 0 and value(before, "rows_inserted_total", model="sessions") == 0
    assert value(before, "oldest_failure_timestamp_seconds", model="sessions") is None
    assert errno_of(m.build, "sessions+", ".run") == errno.EIO
    # Its history line is there, so it is counted; a skip is recorded after the failure.
    wait_until(lambda: lines(m, "reader")["skipped"] == 1, what="the reader is skipped")
    found, status = scrape(m), m.document(".status")
    for model in ("sessions", "reader"):
        of = status["models"][model]
        assert {s: value(found, "batches", model=model, state=s) for s in of["states"]} == of["states"]
        assert abs(value(found, "lag_seconds", model=model) - of["lag"]) < 60
        assert attempts(found, model) == lines(m, model) and attempts(found, model)["done"] == 3
        assert value(found, "build_seconds_total", model=model) > 0
    assert attempts(found, "sessions")["failed"] == 1 and value(found, "rows_inserted_total", model="sessions") == 9
    failed = m.document("sessions", "2024-09-02")["finished_at"]
    at = run("date", "-u", "-d", failed, "+%s").stdout.strip()
    assert int(value(found, "oldest_failure_timestamp_seconds", model="sessions")) == int(at)
    assert value(found, "oldest_failure_timestamp_seconds", model="reader") is None
    assert value(found, "lag_seconds", model="gone") is None and value(found, "batches", model="gone", state="pending") == 4
    assert (value(found, "models", builder=warehouse.engine), value(found, "models", builder="")) == (2, 1)
    assert (value(found, "warehouse_up"), value(found, "manifest_error")) == (1, 0)
    assert value(found, "build_info", version=status["mount"]["version"], engine=warehouse.engine, store=warehouse.engine) == 1
    set_days(warehouse, FINE)
    m.build("sessions", "2024-09-02.failed")
    m.sync("reader", "2024")
    after = scrape(m)
    assert value(after, "oldest_failure_timestamp_seconds", model="sessions") is None
    assert attempts(after, "sessions")["done"] == 4 and value(after, "rows_deleted_total", model="sessions") == 0
    m.build("sessions", "2024-09-02")
    assert value(scrape(m), "rows_deleted_total", model="sessions") == 3
    wait_until(lambda: value(scrape(m), "requests_open") == 0, what="no request is open")


@pytest.mark.parametrize("engine", ["postgres"])
def test_each_daemon_counts_what_it_has_done_itself(project, mount):
    add_troubled(project)
    one, other = mount(project, now=NOW), mount(project, now=NOW)
    one.build("sessions", "2024-09-01")
    wait_until(lambda: other.document("sessions", "2024-09-01")["state"] == "done", what="the other one hears of it")
    assert [attempts(scrape(m), "sessions")["done"] for m in (one, other)].count(1) == 1
    assert sum(attempts(scrape(m), "sessions")["done"] for m in (one, other)) == 1
    assert all(value(scrape(m), "batches", model="sessions", state="done") == 1 for m in (one, other))


def test_a_label_holds_any_name(project, mount):
    add_troubled(project, name='se"ss\\i\nons')
    m = mount(project, now=NOW)
    found = scrape(m)["batchfs_batches"][1]
    assert sum(found.values()) == 4 and {dict(key)["model"] for key in found} == {'se"ss\\i\nons'}


def test_who_may_do_what_with_it(project, mount):
    add_troubled(project)
    m = mount(project, now=NOW)
    assert ".metrics" in os.listdir(m.path) and ".metrics" not in os.listdir(m / "sessions")
    assert not (m / "sessions" / ".metrics").exists()
    assert os.stat(m / ".metrics").st_mode & 0o777 == 0o444
    assert errno_of(os.utime, m / ".metrics") == errno.EPERM


def test_the_examples_use_what_there_is(project, mount, tmp_path):
    add_troubled(project)
    m = mount(project, now=NOW)
    known = set(scrape(m))
    rules, dashboard = (EXAMPLES / "batchfs.rules.yml").read_text(), (EXAMPLES / "grafana-dashboard.json").read_text()
    expressions = re.findall(r"expr: (.+)", rules)
    for panel in json.loads(dashboard)["panels"]:
        expressions += [t["expr"] for t in panel["targets"]]
    assert len(expressions) > 15
    used = {name for e in expressions for name in re.findall(r"batchfs_\w+", e)}
    assert used and used <= known, used - known
    assert used == known - {"batchfs_models", "batchfs_manifest_loaded_timestamp_seconds"}
    if shutil.which("promtool"):
        done = run("sh", "-c", f"promtool check metrics < '{m / '.metrics'}'")
        assert (done.returncode, done.stderr) == (0, ""), done
        for command in (("check", "rules", "batchfs.rules.yml"), ("test", "rules", "batchfs.rules.test.yml")):
            done = run("promtool", *command, cwd=EXAMPLES)
            assert done.returncode == 0, done


def test_the_reader_is_strict():
    good = '# HELP a_b Text.\n# TYPE a_b gauge\na_b{x="1",y="\\"\\\\\\n"} 2.5\n'
    assert exposition.read(good) == {"a_b": ("gauge", {(("x", "1"), ("y", '"\\\n')): 2.5})}
    for bad in (good.rstrip("\n"), good + good, good + 'a_b{x="1",y="\\"\\\\\\n"} 3\n', good.replace("# TYPE a_b gauge\n", ""),
                good.replace('"1"', '"1'), good.replace("2.5", "2.5e"), good.replace("gauge", "counter"), good + "b 1\n",
                good.replace('\\"', '"')):
        with pytest.raises(AssertionError):
            exposition.read(bad)
