# SPDX-License-Identifier: Apache-2.0
"""A new manifest under a mount: models appear, change and vanish, and what is broken changes nothing."""
import errno
import json
import os
import signal

import pytest

from lib.command import errno_of, finish, parked_sync
from lib.events import make_events
from lib.hold import add_held, make_hold
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
DAY = "2024-09-01"


def mount_of(m):
    return m.document(".status")["mount"]


def models(m):
    return [name for name in m.ls() if not name.startswith(".")]


def reloaded(m, since):
    wait_until(lambda: mount_of(m)["manifest_loaded_at"] != since and not mount_of(m)["manifest_error"],
               what="the new manifest is in force")


def rewrite(m, project):
    """Writes the manifest, and waits until it is in force."""
    since = mount_of(m)["manifest_loaded_at"]
    project.write()
    reloaded(m, since)


def add(project, name, **config):
    return project.model(name, "select id, event_time, val from {events}", inputs=["events"], **config)


def remove(project, name):
    del project.nodes[project.ids.pop(name)]


def test_a_model_appears_and_vanishes(ready, mount):
    m = mount(ready, "rw", now=NOW)
    m.build("sessions", DAY)
    assert models(m) == ["sessions"]
    add(ready, "others", tags=["x"])
    assert errno_of(os.stat, m / "others") == errno.ENOENT
    assert errno_of(os.stat, m / "tag:x") == errno.ENOENT
    rewrite(m, ready)
    assert sorted(models(m)) == ["others", "sessions"]
    assert m.states("sessions")[DAY] == "done"
    m.build("others", DAY)
    assert m.ls("tag:x") == ["others"] or "others" in m.ls("tag:x")
    remove(ready, "others")
    rewrite(m, ready)
    assert models(m) == ["sessions"]
    assert errno_of(os.stat, m / "others") == errno.ENOENT
    assert errno_of(os.stat, m / "others" / DAY) == errno.ENOENT
    assert errno_of(os.stat, m / "tag:x") == errno.ENOENT
    add(ready, "others")
    rewrite(m, ready)
    assert m.states("others")[DAY] == "done"


def test_other_sql(ready, mount, warehouse):
    m = mount(ready, "rw", now=NOW)
    m.build("sessions", DAY)
    ready.model("sessions", "select id, event_time, val + 100 as val from {events}", inputs=["events"])
    rewrite(m, ready)
    assert m.document("sessions", DAY)["code"] == "changed"
    assert "100" in (m / "sessions" / f"{DAY}.sql").read_text()
    m.build("sessions", DAY)
    assert warehouse.count("sessions", "val >= 100") == 4
    assert m.document("sessions", DAY)["code"] == "same"


def test_a_begin_that_moves(ready, mount):
    m = mount(ready, "rw", now=NOW)
    m.build("sessions", "2024")
    add(ready, "sessions", begin="2024-08-30")
    rewrite(m, ready)
    states = m.states("sessions")
    assert states["2024-08-30"] == "pending" and states[DAY] == "done"
    m.build("sessions", "2024-08-31")
    add(ready, "sessions", begin="2024-09-02")
    rewrite(m, ready)
    assert min(m.states("sessions")) == "2024-09-02"
    assert errno_of(os.stat, m / "sessions" / DAY) == errno.ENOENT
    add(ready, "sessions", begin="2024-08-30")
    rewrite(m, ready)
    states = m.states("sessions")
    assert states["2024-08-31"] == "done" and states["2024-08-30"] == "pending" and states[DAY] == "done"


def test_another_batch_size(ready, mount):
    m = mount(ready, "rw", now=NOW)
    m.build("sessions", DAY)
    add(ready, "sessions", batch_size="month")
    rewrite(m, ready)
    assert "2024-09" in m.states("sessions") and DAY not in m.states("sessions")
    add(ready, "sessions")
    rewrite(m, ready)
    assert m.states("sessions")[DAY] == "done"


def test_a_broken_manifest(ready, mount):
    m = mount(ready, "rw", now=NOW)
    path = ready.target / "manifest.json"
    good = path.read_text()
    path.write_text(good[:-30])
    wait_until(lambda: mount_of(m)["manifest_error"], what="the manifest is broken")
    wrong = mount_of(m)["manifest_error"]
    assert str(path) in wrong["message"] and wrong["at"]
    m.build("sessions", DAY)
    path.write_text(good)
    wait_until(lambda: not mount_of(m)["manifest_error"], what="the manifest is whole again")
    path.unlink()
    wait_until(lambda: mount_of(m)["manifest_error"], what="the manifest is missing")
    assert "No such file" in mount_of(m)["manifest_error"]["message"]
    m.build("sessions", "2024-09-02")
    assert m.log_text().count("stays in force") == 2
    # Another file in its place, as an editor or a deployment puts it.
    add(ready, "others")
    new = ready.target / "manifest.new"
    new.write_text(json.dumps(ready.manifest()))
    new.rename(path)
    wait_until(lambda: "others" in models(m), what="the new manifest is in force")
    assert mount_of(m)["manifest_error"] is None


def test_written_byte_by_byte(ready, mount):
    m = mount(ready, "rw", now=NOW)
    since = mount_of(m)["manifest_loaded_at"]
    add(ready, "others")
    text = json.dumps(ready.manifest()).encode()
    with open(ready.target / "manifest.json", "wb", buffering=0) as out:
        for i in range(len(text)):
            out.write(text[i:i + 1])
    reloaded(m, since)
    assert sorted(models(m)) == ["others", "sessions"]
    assert "stays in force" not in m.log_text()


def test_sighup(ready, mount):
    m = mount(ready, "rw", now=NOW)
    since = mount_of(m)["manifest_loaded_at"]
    m.process.send_signal(signal.SIGHUP)
    reloaded(m, since)
    (ready.target / "manifest.json").write_text("{")
    m.process.send_signal(signal.SIGHUP)
    wait_until(lambda: mount_of(m)["manifest_error"], what="the manifest is broken")
    m.build("sessions", DAY)


def test_an_open_directory(ready, mount):
    m = mount(ready, "rw", now=NOW)
    add(ready, "others")
    rewrite(m, ready)
    inside = os.open(m / "others", os.O_RDONLY | os.O_DIRECTORY)
    with os.scandir(m.path) as root:
        first = next(root).name
        remove(ready, "others")
        rewrite(m, ready)
        rest = [first] + [e.name for e in root]
    assert "sessions" in rest and len(rest) == len(set(rest))
    assert os.listdir(inside) == []
    assert errno_of(os.stat, DAY, dir_fd=inside) == errno.ENOENT
    os.close(inside)


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_what_runs_goes_on(project, mount, warehouse):
    make_events(warehouse)
    hold = make_hold(warehouse)
    add_held(project, hold)
    m = mount(project, "jobs=1", now=NOW)
    hold.close()
    os.utime(m / "sessions" / DAY)
    wait_until(lambda: m.states("sessions")[DAY] == "running", what="it runs")
    waiting = parked_sync(m / "sessions" / DAY)
    add(project, "sessions", lookback=2)
    rewrite(m, project)
    hold.open()
    assert finish(waiting).returncode == 0
    assert m.document("sessions", DAY)["code"] == "changed"
