# SPDX-License-Identifier: Apache-2.0
"""A manifest that cannot be read as a whole ends the program; one model that is wrong does not."""
import errno
import json
import os
import subprocess

import pytest

from lib.command import shell
from lib.events import add_sessions, make_events
from lib.mount import is_mounted
from lib.project import Project
from lib.wait import LIMIT

MANIFEST = 3
NODE = "model.proj.sessions"


@pytest.fixture
def engine():
    return "sqlite"


@pytest.fixture
def good(project, warehouse):
    make_events(warehouse)
    add_sessions(project)
    return project.manifest()


def refused(binary, project, manifest, env=None):
    """The program's message; the warehouse is not even looked at."""
    mnt = project.target.parent / "mnt"
    mnt.mkdir(exist_ok=True)
    done = subprocess.run([binary, manifest, mnt, "-f", "-o", ",".join(project.warehouse.options())], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=LIMIT,
                          env={**os.environ, **(env or {})})
    assert done.returncode == MANIFEST, (done.returncode, done.stderr)
    assert "dbt compile" in done.stderr and not is_mounted(mnt)
    assert not os.path.exists(f"{project.warehouse.path}-queue")
    return done.stderr.splitlines()[0]


def write(project, text):
    project.target.mkdir(exist_ok=True)
    path = project.target / "manifest.json"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_truncated(binary, project, good, keep):
    whole = json.dumps(good)
    path = write(project, whole[:int(len(whole) * keep) if isinstance(keep, float) else keep])
    assert str(path) in refused(binary, project, project.target)


def at(manifest, *keys):
    for key in keys:
        manifest = manifest[key]
    return manifest


@pytest.mark.parametrize("keys, value, words", [
    (["nodes"], 7, ["nodes", "7"]),
    (["nodes"], [], ["nodes"]),
    (["nodes", NODE], "oops", [NODE, "oops"]),
    (["metadata"], [], ["metadata"]),
    (["metadata", "dbt_schema_version"], 12, ["dbt_schema_version", "12"]),
    (["sources"], "none", ["sources", "none"]),
])
def test_wrong_types(binary, project, good, keys, value, words):
    at(good, *keys[:-1])[keys[-1]] = value
    path = write(project, json.dumps(good))
    message = refused(binary, project, project.target)
    assert str(path) in message and all(word in message for word in words), message


def test_not_a_manifest(binary, project, good):
    path = write(project, json.dumps({"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6"
                                                                         ".json"}, "results": []}))
    message = refused(binary, project, path)
    assert str(path) in message and "run-results" in message


@pytest.mark.parametrize("text", ['{"nodes": {}, "nodes": {}}', '{"metadata": {"a": 1, "a": 2}, "nodes": {}}'])
def test_a_key_twice(binary, project, text):
    path = write(project, text)
    message = refused(binary, project, path)
    assert str(path) in message and "duplicate" in message


@pytest.mark.parametrize("text", ["[" * 100_000, '{"metadata":' * 100_000, '{"nodes": ' + "[" * 5000 + "]" * 5000 + "}"],
                         ids=["lists", "objects", "inside"])
def test_deep(binary, project, text):
    assert str(write(project, text)) in refused(binary, project, project.target)


def test_not_utf_8(binary, project, good):
    path = write(project, "")
    path.write_bytes(json.dumps(good).encode().replace(b"sessions", b"sess\xff\xfens"))
    assert str(path) in refused(binary, project, path)


def test_a_directory_without_one(binary, project, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"{empty}/manifest.json" in refused(binary, project, empty)
    assert f"{tmp_path}/nowhere" in refused(binary, project, tmp_path / "nowhere")


def test_a_directory_of_that_name(binary, project, tmp_path):
    (tmp_path / "odd" / "manifest.json").mkdir(parents=True)
    assert f"{tmp_path}/odd/manifest.json" in refused(binary, project, tmp_path / "odd")


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="root reads everything")
def test_unreadable(binary, project, good, tmp_path):
    path = write(project, json.dumps(good))
    path.chmod(0)
    command = [binary, project.target, tmp_path, "-f", "-o", "database=x.db"]
    if os.geteuid() == 0:
        # Root without the right to read what is not its own.
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--", *command]
        os.chown(path, 1, 1)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == MANIFEST and str(path) in done.stderr and os.strerror(errno.EACCES) in done.stderr


def test_huge(project, good, mount, warehouse):
    """Four thousand models besides the one: no reason to refuse."""
    for i in range(4000):
        node = json.loads(json.dumps(good["nodes"][NODE]))
        node.update(name=f"m{i}", alias=f"m{i}", unique_id=f"model.proj.m{i}", relation_name=warehouse.relation(f"m{i}"))
        node["raw_code"] += "\n-- " + "x" * 2000
        good["nodes"][node["unique_id"]] = node
    project.manifest = lambda: good
    m = mount(project, now="2024-09-02")
    assert len(m.ls()) == 4001
    m.build("m3999", "2024-09-01")
    assert warehouse.count("m3999") == 4


def test_one_model_that_is_wrong_is_listed(project, warehouse, mount, good):
    bad = project.model("bad", "select id, event_time, val from {events}", inputs=["events"])
    bad["config"]["batch_size"] = "fortnight"
    project.model("a/b", "select id, event_time, val from {events}", inputs=["events"])
    m = mount(project, now="2024-09-02")
    assert m.ls() == ["bad", "sessions"]
    assert "a/b" in m.log_text()
    document = m.document("bad", ".model")
    assert document["runnable"] is False and "fortnight" in document["why_not"]
    m.build("sessions", "2024-09-01")
    assert warehouse.count("sessions") == 4


@pytest.mark.parametrize("key, value", [("unique_key", 5), ("lookback", "x"), ("full_refresh", "no"), ("begin", None),
                                        ("begin", "soon"), ("batch_size", "fortnight"), ("batch_size", None)])
def test_one_wrong_value_costs_one_model(project, warehouse, mount, good, key, value):
    bad = project.model("bad", "select id, event_time, val from {events}", inputs=["events"])
    bad["config"][key] = value
    m = mount(project, now="2024-09-02T12:00:00")
    assert m.ls() == ["bad", "sessions"]
    document = m.document("bad", ".model")
    assert document["runnable"] is False and key in document["why_not"]
    if value is not None and key != "batch_size":
        assert f"nodes.model.proj.bad.config.{key} is {json.dumps(value)}" in document["why_not"]
    has_batches = key not in ("begin", "batch_size")
    assert m.ls("bad") == (["2024-09-01.pending", "2024-09-02.pending"] if has_batches else [])
    for name in ("2024-09-01", "2024-09", "2024-09-01--2024-09-03", ".run", "*.failed"):
        done = shell(m / "bad", f"touch '{name}'")
        assert done.returncode != 0 and os.strerror(errno.EOPNOTSUPP) in done.stderr, done
    refusal = m.document("bad", ".status")["last_refusal"]
    assert refusal["errno"] == "EOPNOTSUPP" and ".model says why" in refusal["message"]
    assert f"bad: refused (EOPNOTSUPP): {refusal['message']}" in m.log_text()
    # In a model that can run a name is there or it is not.
    assert os.strerror(errno.ENOENT) in shell(m / "sessions", "touch 2023-09-01").stderr
    m.build("sessions", "2024-09-01")
    assert warehouse.count("sessions") == 4


def test_a_bad_manifest_next_to_a_good_one(binary, project, good, tmp_path):
    """The file that was named is read, no other."""
    write(project, json.dumps(good))
    other = Project(tmp_path / "other", project.warehouse)
    path = write(other, "{")
    assert str(path) in refused(binary, other, path)
