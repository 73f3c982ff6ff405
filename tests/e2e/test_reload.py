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
from lib.reload import mount_of, reloaded, rewrite
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
DAY = "2024-09-01"


def models(m):
    return [name for name in m.ls() if not name.startswith(".")]


def vanishes(path):
    """The kernel hears of a name a moment after the manifest is in force."""
    wait_until(lambda: not os.path.lexists(path), what=f"{path} is gone")


def shows(m, name, *batches):
    wait_until(lambda: set(batches) <= set(m.states(name)), what=f"{name} has {batches}")


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
    vanishes(m / "others")
    assert errno_of(os.stat, m / "others" / DAY) == errno.ENOENT
    vanishes(m / "tag:x")
    add(ready, "others")
    rewrite(m, ready)
    assert m.states("others")[DAY] == "done"


def test_other_sql(ready, mount, warehouse):
    m = mount(ready, "rw", now=NOW)
    m.build("sessions", DAY)
    ready.model("sessions", "select id, event_time, val + 100 as val from {events}", inputs=["events"])
    fd = os.open(m / "sessions" / f"{DAY}.sql", os.O_RDONLY)
    rewrite(m, ready)
    assert b"val + 100" not in os.read(fd, 1 << 20)
    os.close(fd)
    assert m.document("sessions", DAY)["code"] == "changed"
    assert "100" in (m / "sessions" / f"{DAY}.sql").read_text()
    m.build("sessions", DAY)
    assert warehouse.count("sessions", "val >= 100") == 4
    assert m.document("sessions", DAY)["code"] == "same"


def test_the_set_of_what_is_changed(ready, mount, warehouse):
    m = mount(ready, "rw", now=NOW)
    m.build("sessions", "2024-09-01--2024-09-03")
    assert m.document("sessions", ".changed")["batches"] == 0
    os.utime(m / "sessions" / ".changed")
    ready.model("sessions", "select id, event_time, val + 100 as val from {events}", inputs=["events"], tags=["x"])
    rewrite(m, ready)
    assert m.document("sessions", ".changed")["batches"] == 2
    assert m.document("tag:x", "2024-09.changed")["batches"] == 2
    assert errno_of(os.stat, m / "sessions" / f"{DAY}.changed") == errno.ENOENT
    m.build("sessions", DAY)
    assert m.document("sessions", "2024-09.changed")["batches"] == 1
    os.utime(m / "tag:x" / ".changed")
    m.sync("sessions", "2024-09")
    assert m.document("sessions", ".changed")["batches"] == 0
    assert warehouse.count("sessions", "val < 100") == 0
    assert m.states("sessions")["2024-09-03"] == "pending"


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
    vanishes(m / "sessions" / DAY)
    add(ready, "sessions", begin="2024-08-30")
    rewrite(m, ready)
    states = m.states("sessions")
    assert states["2024-08-31"] == "done" and states["2024-08-30"] == "pending" and states[DAY] == "done"


def test_another_batch_size(ready, mount):
    m = mount(ready, "rw", now=NOW)
    m.build("sessions", DAY)
    add(ready, "sessions", batch_size="month")
    rewrite(m, ready)
    shows(m, "sessions", "2024-09")
    assert DAY not in m.states("sessions")
    notes = m.document("sessions", ".model")["notes"]
    assert any("in batches of another size (day) is recorded apart" in note for note in notes)
    add(ready, "sessions")
    rewrite(m, ready)
    shows(m, "sessions", DAY)
    assert not any("another size" in note for note in m.document("sessions", ".model")["notes"])
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


@pytest.fixture
def held(ready, mount, fault_binary, fault):
    """A mount on which claims wait until the test lets them go."""
    return mount(ready, "jobs=1", "timeout=3600", now=NOW, binary=fault_binary, env=fault.env())


def test_what_is_queued_is_built_with_the_new_sql(ready, held, fault, warehouse):
    ready.model("sessions", "select id, event_time, val + 100 as val from {events}", inputs=["events"])
    with fault.holding("build"):
        os.utime(held / "sessions" / "2024-09")
        rewrite(held, ready)
        assert held.states("sessions")["2024-09-04"] == "queued"
    held.sync("sessions", "2024-09")
    # The first one runs, and goes on.
    rest = "event_time >= '2024-09-02'"
    assert warehouse.count("sessions", f"val < 100 AND {rest}") == 0 < warehouse.count("sessions", rest)
    assert held.document("sessions", "2024-09-04")["code"] == "same"


def test_a_model_that_goes_cancels_what_is_queued(ready, held, fault):
    with fault.holding("build"):
        os.utime(held / "sessions" / "2024-09")
        waiting = parked_sync(held / "sessions" / "2024-09-03")
        remove(ready, "sessions")
        add(ready, "others")
        rewrite(held, ready)
        done = finish(waiting)
        assert done.returncode == 1 and "canceled" in done.stderr
    add(ready, "sessions")
    rewrite(held, ready)
    wait_until(lambda: held.states("sessions")["2024-09-03"] == "pending", what="what was queued is cancelled")
    held.build("sessions", "2024-09-03")


def test_batches_before_a_begin_that_moves_are_not_built(ready, held, fault, warehouse):
    with fault.holding("build"):
        os.utime(held / "sessions" / "2024-09")
        add(ready, "sessions", begin="2024-09-03")
        rewrite(held, ready)
    held.sync("sessions", "2024-09")
    assert warehouse.count("sessions", "event_time >= '2024-09-02' AND event_time < '2024-09-03'") == 0
    assert warehouse.count("sessions", "event_time >= '2024-09-03'") > 0


def test_sql_is_remembered(ready, mount):
    """As `dbt run` writes the manifest: the same project, and no compiled SQL."""
    m = mount(ready, "rw", now=NOW)
    model = m.document("sessions", ".model")
    assert model["sql"]["from"] == "manifest" and model["sql"]["compiled_at"]
    node = ready.nodes[ready.ids["sessions"]]
    for key in ("compiled_code", "compiled", "extra_ctes", "extra_ctes_injected"):
        node.pop(key, None)
    node["compiled_path"] = None
    rewrite(m, ready)
    remembered = m.document("sessions", ".model")
    assert remembered["runnable"]
    assert remembered["sql"] == {"from": "remembered", "compiled_at": model["sql"]["compiled_at"]}
    m.build("sessions", DAY)
    rewrite(m, ready)
    assert m.document("sessions", DAY)["code"] == "same"
    # Of another file the SQL is not known.
    node["checksum"]["checksum"] = "another"
    rewrite(m, ready)
    without = m.document("sessions", ".model")
    assert not without["runnable"] and without["sql"] is None
    assert errno_of(os.utime, m / "sessions" / DAY) in (errno.EOPNOTSUPP, errno.EACCES)


def test_many_changes_while_batches_run(ready, mount, warehouse):
    m = mount(ready, "rw", now=NOW)
    for i in range(50):
        ready.model("sessions", f"select id, event_time, val + {i} as val from {{events}}", inputs=["events"],
                    begin=("2024-08-30", "2024-09-01")[i % 2])
        if i % 3:
            add(ready, "others")
        elif "others" in ready.ids:
            remove(ready, "others")
        ready.write()
        os.utime(m / "sessions" / "2024-09")
        if i % 10 == 9:
            m.process.send_signal(signal.SIGHUP)
    since = mount_of(m)["manifest_loaded_at"]
    m.process.send_signal(signal.SIGHUP)
    reloaded(m, since)
    m.build("sessions", "2024")
    assert warehouse.count("sessions", "val < 49") == 0
    assert warehouse.count("sessions") == warehouse.count("events", "event_time >= '2024-09-01' AND "
                                                                    "event_time < '2024-09-05'")
    m.kill()
    again = mount(ready, "rw", now=NOW)
    assert again.states("sessions")[DAY] == "done"
