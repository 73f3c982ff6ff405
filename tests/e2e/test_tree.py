# SPDX-License-Identifier: Apache-2.0
"""Which names there are: listings, suffixes, periods, ranges, versions, what is not there."""
import ctypes
import errno
import os
import stat

import pytest

from lib.command import errno_of, run, shell
from lib.events import add_sessions, make_events
from lib.trouble import FAILS, FINE, NEVER_ENDS, add_troubled, set_days
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
STATES = ("pending", "queued", "running", "failed", "partial", "skipped", "stale", "done")


@pytest.fixture
def sessions(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    return mount(project, now=NOW)


def test_the_root_and_a_model(sessions):
    assert sorted(os.listdir(sessions.path)) == [".adopt", ".calendar", ".calendar.svg", ".history", ".metrics", ".run",
                                                ".run_results.json", ".status", ".validate", "sessions"]
    assert sorted(os.listdir(sessions / "sessions")) == [
        ".adopt", ".calendar", ".full-refresh", ".history", ".model", ".run", ".status", ".validate", "2024-09-01.pending",
        "2024-09-02.pending", "2024-09-03.pending", "2024-09-04.pending"]
    modes = {name: stat.filemode(os.stat(sessions / "sessions" / name).st_mode)
             for name in (".", ".model", ".status", "2024-09-01", "2024-09-02.pending", "2024-09", "2024-09-01.sql")}
    assert modes == {".": "drwxr-xr-x", ".model": "-r--r--r--", ".status": "-r--r--r--", "2024-09-01": "-rw-r--r--",
                     "2024-09-02.pending": "-rw-r--r--", "2024-09": "-rw-r--r--", "2024-09-01.sql": "-r--r--r--"}


def entries_at(directory, offset):
    """How many bytes of entries the kernel gives from there."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.lseek(fd, offset, os.SEEK_SET)
        return ctypes.CDLL(None).getdents64(fd, ctypes.create_string_buffer(65536), ctypes.c_size_t(65536))
    finally:
        os.close(fd)


@pytest.mark.parametrize("offset", [1 << 20, (1 << 31) + 16, (1 << 32) + 16, (1 << 62) + 16])
def test_beyond_the_end_of_a_listing(sessions, offset):
    for directory in (sessions.path, sessions / "sessions", sessions / "sessions+"):
        assert entries_at(directory, 0) > 0
        assert entries_at(directory, offset) == 0
    assert "2024-09-01.pending" in os.listdir(sessions / "sessions")


def test_the_names_of_a_batch_are_one_file(sessions):
    bare, suffixed = (os.stat(sessions / "sessions" / n) for n in ("2024-09-01", "2024-09-01.pending"))
    assert bare.st_ino == suffixed.st_ino and bare.st_dev == suffixed.st_dev
    others = {os.stat(sessions / "sessions" / n).st_ino for n in ("2024-09-02", "2024-09", "2024-09-01.sql", ".model")}
    assert len(others) == 4 and bare.st_ino not in others
    listed = {e.name: e.inode() for e in os.scandir(sessions / "sessions")}
    assert listed["2024-09-01.pending"] == bare.st_ino


def test_every_state_has_its_suffix_and_no_other(project, warehouse, mount):
    add_troubled(project)
    set_days(warehouse, FAILS, "2024-09-02")
    set_days(warehouse, NEVER_ENDS, "2024-09-04")
    m = mount(project, "drain=0", "jobs=1", now="2024-09-06T12:00:00")
    m.build("sessions", "2024-09-01")
    m.build("sessions", "2024-09-06")
    assert errno_of(m.build, "sessions", "2024-09-02") == errno.EIO
    os.utime(m / "sessions" / "2024-09-04")
    wait_until(lambda: m.states("sessions")["2024-09-04"] == "running", what="2024-09-04 runs")
    os.utime(m / "sessions" / "2024-09-05")
    states = {"2024-09-01": "done", "2024-09-02": "failed", "2024-09-03": "pending", "2024-09-04": "running",
              "2024-09-05": "queued", "2024-09-06": "partial"}
    assert m.states("sessions") == states
    for batch, state in states.items():
        assert (m / "sessions" / batch).exists(), f"the bare name of {batch}, which is {state}"
        assert m.document("sessions", batch)["state"] == state
        # By courtesy .queued and .running go on resolving for a while where they held.
        asked = set(STATES) - ({"queued", "running"} if state in ("done", "failed", "partial", "running") else set())
        resolving = {s for s in asked if (m / "sessions" / f"{batch}.{s}").exists()}
        assert resolving == asked & {state} - {"done"}, f"{batch}, which is {state}"
    shown = shell(m, "ls -l sessions | tail -n +2")
    assert [line.split()[-1] for line in shown.stdout.splitlines()] == [
        b if s == "done" else f"{b}.{s}" for b, s in states.items()]


def test_a_state_is_gone_when_it_no_longer_holds(sessions):
    path = sessions / "sessions" / "2024-09-02.pending"
    assert path.exists()
    sessions.build("sessions", "2024-09-02")
    assert not path.exists() and not (sessions / "sessions" / "2024-09-02.failed").exists()
    assert (sessions / "sessions" / "2024-09-02").exists()


# What a name in a day model from 2024-09-01 to 2024-09-04 stands for: (first, last, how many), or an errno.
RANGES = {
    "2024": ("2024-09-01", "2024-09-04", 4),
    "2024-09": ("2024-09-01", "2024-09-04", 4),
    "2024-08": errno.ENOENT,
    "2024-10": errno.ENOENT,
    "2023": errno.ENOENT,
    "2024-09-01--2024-09-04": ("2024-09-01", "2024-09-03", 3),
    "2024-09-02--2024-09-03": ("2024-09-02", "2024-09-02", 1),
    "2024-09--2024-10": ("2024-09-01", "2024-09-04", 4),
    "2024-09-01--2024-09-02T05": ("2024-09-01", "2024-09-02", 2),
    "2024-09-01--2024-09-02T00": ("2024-09-01", "2024-09-01", 1),
    "2024-09-01T23--2024-09-03": ("2024-09-01", "2024-09-02", 2),
    "2024-09-02T05--2024-09-02T06": ("2024-09-02", "2024-09-02", 1),
    "2024-09-03--2025": ("2024-09-03", "2024-09-04", 2),
    "2024--2024-09-02": ("2024-09-01", "2024-09-01", 1),
    "2024-08--2024-09-03": ("2024-09-01", "2024-09-02", 2),
    "1900--2200": ("2024-09-01", "2024-09-04", 4),
    "2024-08--2024-09": errno.ENOENT,
    "2024-09-05--2024-10": errno.ENOENT,
    "2023--2024": errno.ENOENT,
    "2024-09-03--2024-09-03": errno.EINVAL,
    "2024-09-03--2024-09-01": errno.EINVAL,
    "2024-09--2024-09-01": errno.EINVAL,
    "2025--2023": errno.EINVAL,
}


def test_periods_and_ranges(sessions):
    def means(name):
        wrong = errno_of(os.stat, sessions / "sessions" / name)
        if wrong:
            return wrong
        would = sessions.document("sessions", name)["would_build"]
        return would["first"], would["last"], would["batches"]

    assert {name: means(name) for name in RANGES} == RANGES


def test_what_a_range_names_is_what_is_built(sessions, warehouse):
    sessions.build("sessions", "2024-09-01T23--2024-09-02T05")
    assert sessions.states("sessions") == {"2024-09-01": "done", "2024-09-02": "done", "2024-09-03": "pending",
                                           "2024-09-04": "pending"}
    assert warehouse.count("sessions") == 8


def test_batches_of_every_size(project, warehouse, mount):
    make_events(warehouse, first="2024-08-30")
    project.source("events", event_time="event_time")
    for size, begin in (("hour", "2024-09-03T22:00:00"), ("day", "2024-09-02"), ("month", "2024-07-15"),
                        ("year", "2022-03-01")):
        project.model(size, "select id, event_time from {events}", inputs=["events"], batch_size=size, begin=begin)
    m = mount(project, now="2024-09-04T01:30:00")
    assert m.ls() == ["day", "hour", "month", "year"]
    assert list(m.states("hour")) == ["2024-09-03T22", "2024-09-03T23", "2024-09-04T00", "2024-09-04T01"]
    assert list(m.states("day")) == ["2024-09-02", "2024-09-03", "2024-09-04"]
    assert list(m.states("month")) == ["2024-07", "2024-08", "2024-09"]
    assert list(m.states("year")) == ["2022", "2023", "2024"]
    counts = {name: m.document("hour", name)["batches"] for name in ("2024-09-03", "2024-09-04", "2024-09", "2024")}
    assert counts == {"2024-09-03": 2, "2024-09-04": 2, "2024-09": 4, "2024": 4}
    # A smaller name is no batch of a larger size.
    assert [errno_of(os.stat, m / model / name) for model, name in (
        ("day", "2024-09-03T22"), ("month", "2024-09-03"), ("year", "2024-09"))] == [errno.ENOENT] * 3
    m.build("year", "2024")
    assert warehouse.count("year") == 32 and m.states("year")["2024"] == "partial"


UNKNOWN = ["garbage", "2024-9-1", "2024-09-31", "2024-02-30", "2024-13", "02024", "2024-09-01 ", " 2024-09-01",
           "2024-09-01.", "2024-09-01.done", "2024-09-01.other", "2024-09-01.pending.pending", "2024-09-01.PENDING",
           "2024-09-01T24", "2024-09-02T05", "2024-09-02T05:00", "--", "2024-09-01--", "--2024-09-01",
           "2024-09-01--x", "2024-09-01--2024-09-02--2024-09-03", ".sql", ".nothing", "2024-09-01.pending.sql",
           "2024-08-31", "2024-09-05", "0000", "9999-12-31", "2024-09-01\n", "\udcff", "x" * 255]


def test_names_that_are_none(sessions):
    wrong = {name: e for name in UNKNOWN if (e := errno_of(os.stat, sessions / "sessions" / name)) != errno.ENOENT}
    assert not wrong
    assert [errno_of(os.stat, sessions / name) for name in ("nothing", "2024-09-01", ".model", "Sessions")] == [
        errno.ENOENT] * 4
    touched = shell(sessions, "touch sessions/garbage sessions/2024-08-31 sessions/2024-09-05 other")
    assert touched.returncode == 1 and touched.stderr.count("No such file or directory") == 4
    assert set(sessions.states("sessions").values()) == {"pending"}


def test_versions_and_packages(project, warehouse, mount):
    make_events(warehouse)
    project.source("events", event_time="event_time")
    for number in (1, 2):
        project.model("orders", "select id, event_time from {events}", inputs=["events"], version=number,
                      alias=f"orders_v{number}")
    for package in ("shop", "web"):
        project.model("visits", "select id, event_time from {events}", inputs=["events"], package=package,
                      alias=f"{package}_visits")
    m = mount(project, now=NOW)
    assert m.ls() == ["orders.v1", "orders.v2", "shop.visits", "web.visits"]
    m.build("orders.v2", "2024-09-01")
    m.build("web.visits", "2024-09-02")
    assert (warehouse.count("orders_v2"), warehouse.count("web_visits")) == (4, 4)
    assert m.states("orders.v1")["2024-09-01"] == m.states("shop.visits")["2024-09-02"] == "pending"
    assert [m.document(d, ".model")["package"] for d in m.ls()] == ["proj", "proj", "shop", "web"]


@pytest.mark.parametrize("by", ["config", "mount"])
def test_a_protected_model(project, warehouse, mount, by):
    make_events(warehouse)
    add_sessions(project, **({"full_refresh": False} if by == "config" else {}))
    project.model("free", "select id, event_time from {events}", inputs=["events"])
    m = mount(project, *(["protect"] if by == "mount" else []), now=NOW)
    path = m / "sessions" / ".full-refresh"
    assert ".full-refresh" in os.listdir(m / "sessions")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o444
    said = m.document("sessions", ".full-refresh")
    assert said["protected"] == by and "2024-09" in said["message"]
    assert m.document("sessions", ".model")["protected"] == by
    for call in (os.utime, lambda p: open(p, "w").close(), lambda p: open(p, "a").close()):
        assert errno_of(call, path) == errno.EPERM
    assert m.document("sessions", ".full-refresh")["last_refusal"]["errno"] == "EPERM"
    assert stat.S_IMODE(os.stat(m / "free" / ".full-refresh").st_mode) == (0o444 if by == "mount" else 0o644)
    # Only who has taken the w bits away gives them back.
    assert errno_of(os.chmod, path, 0o644) == errno.EPERM
    assert "cannot lift" in m.document("sessions", ".full-refresh")["last_refusal"]["message"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o444
    # A bounded rebuild stays allowed.
    m.build("sessions", "2024-09")
    assert warehouse.count("sessions") == 16


def test_full_refresh_true_permits_and_does_nothing_by_itself(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project, full_refresh=True)
    m = mount(project, now=NOW)
    path = m / "sessions" / ".full-refresh"
    assert ".full-refresh" in os.listdir(m / "sessions")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert m.document("sessions", ".model")["protected"] is False
    said = m.document("sessions", ".full-refresh")
    assert said["protected"] is False and said["message"] is None
    m.build("sessions", "2024-09-01--2024-09-03")
    m.build("sessions", ".run")
    assert [m.document("sessions", day)["attempt"] for day in ("2024-09-01", "2024-09-02", "2024-09-03")] == [1, 1, 1]
    m.build("sessions", ".full-refresh")
    assert [m.document("sessions", day)["attempt"] for day in ("2024-09-01", "2024-09-02", "2024-09-03")] == [2, 2, 2]


def test_new_batches_appear_as_time_passes(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    project.model("later", "select id, event_time from {events}", inputs=["events"], begin="2024-09-05")
    m = mount(project, now="2024-09-04T23:59:58")
    new = m / "sessions" / "2024-09-05"
    m.states("sessions"), new.exists(), os.listdir(m / "later"), m.document("sessions", "2024-09")
    wait_until(new.exists, what="2024-09-05 has come")
    assert m.states("sessions")["2024-09-05"] == "pending"
    assert m.ls("later") == ["2024-09-05.pending"]
    assert m.document("sessions", "2024-09")["batches"] == m.document("sessions", ".status")["batches"] == 5
    m.build("sessions", "2024-09-05")
    assert m.states("sessions")["2024-09-05"] == "partial"


CANNOT_RUN = {
    "uncompiled": ({"sql": None}, "dbt compile"),
    "deleting": ({"incremental_predicates": ["val > 1"]}, "predicates"),
    "hooked": ({"post-hook": [{"sql": "select '{{ invocation_id }}'", "transaction": True, "index": None}]}, "post-hook"),
}


def test_models_that_cannot_run_are_listed_and_say_why(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    for name, (config, _) in CANNOT_RUN.items():
        config = dict(config)
        sql = config.pop("sql", "select id, event_time from {events}")
        project.model(name, sql, inputs=["events"], **config)
    m = mount(project, now=NOW)
    assert m.ls() == sorted([*CANNOT_RUN, "sessions"])
    for name, (_, words) in CANNOT_RUN.items():
        model = m.document(name, ".model")
        assert model["runnable"] is False and words in model["why_not"], model["why_not"]
        assert set(m.states(name).values()) <= {"pending", "unknown"}
        assert stat.S_IMODE(os.stat(m / name / "2024-09-01").st_mode) == 0o444
        assert [errno_of(call, m / name / "2024-09-01") for call in (os.utime, lambda p: open(p, "w").close())] == [
            errno.EOPNOTSUPP] * 2
        assert errno_of(os.utime, m / name / "2024-09") == errno.EOPNOTSUPP
        assert m.document(name, "2024-09-01")["last_refusal"]["errno"] == "EOPNOTSUPP"
        assert errno_of(m.sync, name, "2024-09-01") == errno.ENODATA
    assert run("touch", m / "uncompiled" / "2024-09-01").stderr.endswith("Operation not supported\n")
    m.build("sessions", "2024-09-01")
    assert warehouse.count("sessions") == 4


def test_a_batch_size_that_is_unknown(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    project.model("weekly", "select id, event_time from {events}", inputs=["events"], batch_size="week")
    m = mount(project, now=NOW)
    model = m.document("weekly", ".model")
    assert m.ls() == ["sessions", "weekly"]
    assert model["runnable"] is False and "week" in model["why_not"] and model["batch_size"] == "week"
    assert m.ls("weekly") == []
    assert os.strerror(errno.EOPNOTSUPP) in shell(m / "weekly", "touch 2024").stderr


def test_mtimes(project, warehouse, mount):
    add_troubled(project)
    m = mount(project, now=NOW)
    day, whole = m / "sessions" / "2024-09-01", m / "sessions" / "2024-09"
    assert os.stat(day).st_mtime_ns == os.stat(whole).st_mtime_ns == 0
    m.build("sessions", "2024-09-01")
    first = os.stat(day).st_mtime_ns
    assert first // 1000 % 1_000_000, "an mtime of whole seconds makes make(1) miss builds"
    m.build("sessions", "2024-09-02")
    assert os.stat(whole).st_mtime_ns == first < os.stat(m / "sessions" / "2024-09-02").st_mtime_ns
    set_days(warehouse, FAILS, "2024-09-01")
    assert errno_of(m.build, "sessions", "2024-09-01") == errno.EIO
    assert os.stat(day).st_mtime_ns == first, "a failure is no build"
    set_days(warehouse, FINE, "2024-09-01")
    m.build("sessions", "2024-09-01")
    assert os.stat(day).st_mtime_ns > os.stat(whole).st_mtime_ns > first


def test_whoever_goes_through_all_directories_sees_the_same(project, warehouse, mount):
    """Who only wants the names gets them without attributes, from his second directory on."""
    make_events(warehouse)
    add_sessions(project)
    for name in ("a", "b", "c"):
        project.model(name, "select id, event_time, val from {events}", inputs=["events"])
    m = mount(project, now=NOW)
    m.build("b", "2024-09-02")
    names = {str(m / model / batch) for model in ("a", "b", "c", "sessions") for batch in
             ("2024-09-01.pending", "2024-09-02.pending", "2024-09-03.pending", "2024-09-04.pending")}
    names = names - {str(m / "b" / "2024-09-02.pending")} | {str(m / "b" / "2024-09-02")}
    pattern = ["-type", "f", "-name", "2024*"]
    assert set(run("find", m.path, *pattern).stdout.splitlines()) == names
    looked = run("find", m.path, *pattern, "-printf", "%p %M %i\n").stdout.splitlines()
    assert {tuple(line.split()[:2]) for line in looked} == {(name, "-rw-r--r--") for name in names}
    listed = {(entry.path, entry.inode()) for model in os.scandir(m.path) if model.is_dir() for entry in os.scandir(model)}
    assert {(line.split()[0], int(line.split()[2])) for line in looked} <= listed
    assert run("du", "-a", m / "c").stdout.count("2024-09") == 4
