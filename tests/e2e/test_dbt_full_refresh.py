# SPDX-License-Identifier: Apache-2.0
"""touch .full-refresh with engine=dbt: dbt makes the table anew with the first batch, and all others come after it."""
import errno
import json
import os
import signal

import pytest

from lib.dbt_played import DAYS, NOW, DbtWarehouse, played_project
from lib.wait import wait_until

FIRST, REST = DAYS[0], DAYS[1:]


@pytest.fixture
def engine():
    return "dbt"


@pytest.fixture
def warehouse(tmp_path):
    return DbtWarehouse(tmp_path / "project")


@pytest.fixture
def project(tmp_path, warehouse):
    return played_project(tmp_path, warehouse)


@pytest.fixture
def m(mount, project, warehouse):
    """All is built, and one more that no manifest knows of."""
    m = mount(project, "chunk=3", now=NOW)
    m.build("sessions", "2024-09")
    warehouse.write({**warehouse.table(), "2023-01-01": 1})
    return m


def document(m):
    return m.document("sessions", ".full-refresh")


def refresh(m):
    os.utime(m / "sessions" / ".full-refresh")


def failing(m, *names):
    with pytest.raises(OSError) as e:
        m.sync(*names)
    return e.value.errno


def over(m, result):
    wait_until(lambda: (d := document(m))["phase"] is None and d["last"] and d["last"]["result"] == result,
               what=f"the refresh is {result}")
    wait_until(lambda: not {"unknown", "queued", "running"} & set(m.states("sessions").values()),
               what="all has settled, and the table was looked at")


def anew(warehouse):
    """The invocations that made the table anew: the days they began at."""
    return [option(c, "--event-time-start")[:10] for c in warehouse.calls() if "--full-refresh" in c["words"]]


def option(call, name):
    return call["words"][call["words"].index(name) + 1]


def built(m):
    return {d for d, s in m.states("sessions").items() if s in ("done", "partial")}


def history(m):
    return [json.loads(line) for line in (m / "sessions" / ".history").read_text().splitlines()]


def test_everything(m, warehouse):
    before = len(warehouse.calls())
    (m / "sessions" / ".full-refresh").write_text("new columns\n")
    m.sync("sessions", ".full-refresh")
    assert warehouse.table() == dict.fromkeys(DAYS, 1)
    assert built(m) == set(DAYS)
    first, *rest = warehouse.calls()[before:]
    assert (option(first, "--event-time-start"), option(first, "--event-time-end")) == (
        "2024-09-01T00:00:00", "2024-09-02T00:00:00")
    assert "--full-refresh" in first["words"] and not any("--full-refresh" in c["words"] for c in rest)
    last = document(m)
    assert (last["last"]["result"], last["done"], last["batches"], last["failed"], last["reason"]) == (
        "done", 6, 6, 0, "new columns")
    assert [(h["batch"], h["outcome"], h["reason"]) for h in history(m)[6:]] == [(d, "done", "new columns") for d in DAYS]
    m.unmount()
    m.start()
    assert built(m) == set(DAYS)


def test_what_is_not_rebuilt_yet_is_not_shown_as_built(m, warehouse):
    warehouse.fake(batches={FIRST: "hang", "2024-09-03": "hang"})
    refresh(m)
    wait_until(lambda: warehouse.hangs(FIRST) and m.states("sessions")[FIRST] == "running", what="the first one hangs")
    assert document(m)["phase"] == "clear"
    # Nothing has happened to the table: what is asked for waits, and what can be frozen would be lost.
    assert m.document("sessions", "2024-09-05")["finished_at"] is not None
    with pytest.raises(OSError) as e:
        os.chmod(m / "sessions" / "2024-09-05", 0o444)
    assert e.value.errno == errno.EBUSY
    with pytest.raises(OSError) as e:
        refresh(m)
    assert e.value.errno == errno.EBUSY
    warehouse.go(FIRST)
    wait_until(lambda: warehouse.hangs("2024-09-03"), what="the third one hangs")
    assert document(m)["phase"] == "build"
    wait_until(lambda: built(m) == {FIRST, "2024-09-02"}, what="two are recorded")
    assert m.document("sessions", "2024-09-05")["finished_at"] is None
    assert document(m)["done"] == 2
    os.unlink(m / "sessions" / ".full-refresh")
    over(m, "cancelled")
    assert built(m) == set(warehouse.table()) == {FIRST, "2024-09-02"}
    assert set(m.states("sessions").values()) == {"done", "pending"}


def test_a_first_batch_that_fails_leaves_all_as_it_is(m, warehouse):
    warehouse.fake(batches={FIRST: "fail no such column"})
    before = warehouse.table()
    refresh(m)
    assert failing(m, "sessions", ".full-refresh") == errno.EIO
    over(m, "failed")
    assert f"{FIRST}, with which the table is made anew, has failed" in document(m)["last"]["error"]
    assert warehouse.table() == before and anew(warehouse) == [FIRST]
    assert m.states("sessions")[FIRST] == "failed" and built(m) == set(REST)
    assert "no such column" in m.document("sessions", FIRST)["error"]["message"]
    # Nothing of it comes back.
    m.unmount()
    m.start()
    assert built(m) == set(REST) and anew(warehouse) == [FIRST]
    # Mended by itself it is an ordinary batch; the refresh is asked for again.
    warehouse.fake()
    m.build("sessions", ".failed")
    assert anew(warehouse) == [FIRST] and len(warehouse.table()) == 7
    refresh(m)
    m.sync("sessions", ".full-refresh")
    assert warehouse.table() == dict.fromkeys(DAYS, 1)


def test_a_later_batch_that_fails(m, warehouse):
    warehouse.fake(batches={"2024-09-04": "fail no such column"})
    refresh(m)
    assert failing(m, "sessions", ".full-refresh") == errno.EIO
    assert m.states("sessions")["2024-09-04"] == "failed" and built(m) == set(DAYS) - {"2024-09-04"} == set(warehouse.table())
    warehouse.fake()
    m.build("sessions", ".failed")
    m.sync("sessions", ".full-refresh")
    assert anew(warehouse) == [FIRST]


def test_rm_while_the_first_batch_runs(m, warehouse):
    warehouse.fake(batches={FIRST: "hang"})
    before = warehouse.table()
    refresh(m)
    wait_until(lambda: warehouse.hangs(FIRST), what="it hangs")
    os.unlink(m / "sessions" / ".full-refresh")
    assert failing(m, "sessions", ".full-refresh") == errno.ECANCELED
    over(m, "cancelled")
    assert warehouse.table() == before
    assert built(m) == set(DAYS)


@pytest.mark.parametrize("when", ("before", "after"))
def test_dbt_dies_in_the_first_batch(m, warehouse, when):
    """Whether the table is another one by then nobody knows: it is looked at, and the batch is tried again."""
    warehouse.fake(batches={FIRST: "die once" if when == "before" else "late die once"})
    refresh(m)
    m.sync("sessions", ".full-refresh")
    assert warehouse.table() == dict.fromkeys(DAYS, 1)
    assert built(m) == set(DAYS)
    assert anew(warehouse) == [FIRST, FIRST]


def test_cancelled_when_the_table_was_another_one_already(m, warehouse):
    """dbt has made it anew, and is ended before it says so: what has gone with the former table is pending."""
    warehouse.fake(status="OK")
    m.build("sessions", "2024-09")
    assert m.document("sessions", "2024-09-05")["rows_inserted"] is None
    warehouse.fake(deaf=True, batches={FIRST: "late hang"})
    refresh(m)
    wait_until(lambda: warehouse.hangs(FIRST), what="it hangs")
    assert warehouse.table() == {FIRST: 1}
    m.kill()
    warehouse.fake(batches={FIRST: "hang"})
    (warehouse.place / f"hangs-{FIRST}").unlink()
    m.start()
    wait_until(lambda: warehouse.hangs(FIRST), what="it was tried again")
    assert m.document("sessions", "2024-09-05")["finished_at"] is None
    os.unlink(m / "sessions" / ".full-refresh")
    over(m, "cancelled")
    assert built(m) == set(warehouse.table()) == {FIRST}


def test_kill_between_the_first_batch_and_the_rest(m, warehouse):
    warehouse.fake(deaf=True, batches={"2024-09-02": "hang"})
    refresh(m)
    wait_until(lambda: warehouse.hangs("2024-09-02"), what="the first one is built, the second one hangs")
    wait_until(lambda: built(m) == {FIRST}, what="that is shown")
    m.kill()
    warehouse.fake()
    m.start()
    m.sync("sessions", ".full-refresh")
    assert document(m)["last"]["result"] == "done"
    assert warehouse.table() == dict.fromkeys(DAYS, 1)
    assert built(m) == set(DAYS) and anew(warehouse) == [FIRST]


def test_unmount_before_the_first_batch(m, warehouse):
    """What was acknowledged is done, whenever."""
    warehouse.fake(deaf=True, batches={FIRST: "hang"})
    refresh(m)
    wait_until(lambda: warehouse.hangs(FIRST), what="it hangs")
    m.process.send_signal(signal.SIGTERM)
    m.process.send_signal(signal.SIGTERM)
    assert m.wait_exit() == 0
    warehouse.fake()
    m.start()
    m.sync("sessions", ".full-refresh")
    assert warehouse.table() == dict.fromkeys(DAYS, 1)


def test_what_is_refused(mount, project, warehouse):
    project.model("sessions", "select * from {events}", inputs=["events"], meta={"batchfs": {"refresh": "atomic"}})
    m = mount(project, now=NOW)
    with pytest.raises(OSError) as e:
        refresh(m)
    assert e.value.errno == errno.EOPNOTSUPP
    assert "meta.batchfs.refresh: atomic" in document(m)["last_refusal"]["message"]
    m.unmount()
    project.model("sessions", "select * from {events}", inputs=["events"])
    m = mount(project, now=NOW)
    os.chmod(m / "sessions" / "2024-09-03", 0o444)
    with pytest.raises(OSError) as e:
        refresh(m)
    assert e.value.errno == errno.EPERM
    assert "would rebuild 2024-09-03, which was frozen" in document(m)["last_refusal"]["message"]
    os.chmod(m / "sessions" / "2024-09-03", 0o644)
    os.chmod(m / "sessions" / ".full-refresh", 0o444)
    with pytest.raises(OSError) as e:
        refresh(m)
    assert e.value.errno in (errno.EPERM, errno.EACCES)
    assert anew(warehouse) == []


def test_a_reader_comes_after_what_it_reads(mount, project, warehouse):
    """Both are refreshed: the table of the one that reads is made anew when what its first batch reads is there."""
    project.model("weeks", "select * from {sessions}", inputs=["sessions"])
    m = mount(project, "jobs=2", now=NOW)
    warehouse.fake(batches={FIRST: "hang"})
    os.utime(m / "sessions+" / ".full-refresh")
    wait_until(lambda: warehouse.hangs(FIRST), what="the first one hangs")
    assert m.states("weeks")[FIRST] == "queued"
    warehouse.go()
    m.sync("sessions+", ".full-refresh")
    order = [(option(c, "--select").split(",")[0][9:], option(c, "--event-time-start")[:10]) for c in warehouse.calls()
             if "--full-refresh" in c["words"]]
    assert order == [("sessions", FIRST), ("weeks", FIRST)]
