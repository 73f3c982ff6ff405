# SPDX-License-Identifier: Apache-2.0
"""Several mounts on one PostgreSQL: a batch runs once, everybody sees the same, nothing a dead mount left is lost."""
import errno
import os
import random
import signal
from contextlib import suppress
from datetime import date, timedelta

import pytest

from lib.command import errno_of, finish, start, wait_parked
from lib.events import add_sessions, make_events
from lib.footprint import footprint
from lib.hold import PostgresHold, add_held
from lib.project import Project
from lib.trouble import FAILS, FINE, add_troubled, set_days
from lib.truth import asked_for, built, check_rows
from lib.wait import SLOWER, wait_until

NOW = "2024-09-06T12:00:00"
DAYS = [f"2024-09-0{day}" for day in range(1, 7)]
RANGE = "2024-09-01--2024-09-06"


# A SQLite file has one mount.
@pytest.fixture(params=["postgres"])
def engine(request):
    return request.param


@pytest.fixture
def hold(project, warehouse):
    make_events(warehouse)
    hold = PostgresHold(warehouse)
    add_held(project, hold)
    return hold


def states(m, *days):
    seen = m.states("sessions")
    return [seen[d] for d in days or DAYS]


def wait_state(m, state, *days):
    wait_until(lambda: set(states(m, *days)) == {state}, what=f"{m.path}: {days} are {state}")


def settle(m, name):
    """Until nothing in it is queued or running; what was cancelled meanwhile does not matter."""
    while errno_of(m.sync, "sessions", name) == errno.ECANCELED:
        pass


def running(m):
    return [d for d, s in m.states("sessions").items() if s == "running"]


def outcomes(warehouse, day):
    rows = warehouse.sql("SELECT outcome FROM batchfs.attempt WHERE window_start = %s AND attempt > 0"
                         " ORDER BY attempt, xid::text::bigint", f"{day} 00:00+00")
    return [outcome for outcome, in rows]


def record(warehouse, kind, first, end, code="", model="sessions", at=NOW):
    """A request as a mount that is gone by now has recorded it."""
    warehouse.sql("WITH m AS (UPDATE batchfs.model SET seq = seq + 1 WHERE target_table = %s RETURNING id, seq)"
                  " INSERT INTO batchfs.request (uuid, model, seq, kind, first_start, end_start, uid, command, code,"
                  " at, origin) SELECT gen_random_uuid(), id, seq, %s, %s, %s, 0, 'test', %s, %s, 1 FROM m",
                  model, kind, f"{first} 00:00+00", f"{end} 00:00+00", code, f"{at}+00")
    warehouse.sql("NOTIFY batchfs")


def code_of(warehouse, day, model="sessions"):
    return warehouse.sql("SELECT code FROM batchfs.state s JOIN batchfs.model m ON m.id = s.model"
                         " WHERE target_table = %s AND window_start = %s", model, f"{day} 00:00+00")[0][0]


def cancels_are_closed(warehouse):
    wait_until(lambda: warehouse.sql("SELECT count(*) FROM batchfs.request WHERE open")[0][0] == 0,
               what="no request is left open")


@pytest.mark.parametrize("name", [DAYS[1], f"{DAYS[1]}.running", RANGE, ".running"])
def test_rm_of_what_another_mount_runs(project, mount, hold, warehouse, name):
    owner = mount(project, "jobs=2", "drain=0", now=NOW)
    other = mount(project, "jobs=1", now=NOW)
    owner.build("sessions", DAYS[0])
    hold.close()
    os.utime(owner / "sessions" / DAYS[1])
    wait_state(other, "running", DAYS[1])
    waiting = [start("sync", m / "sessions" / DAYS[1]) for m in (owner, other)]
    for process in waiting:
        wait_parked(process)
    os.unlink(other / "sessions" / name)
    for process in waiting:
        done = finish(process)
        assert done.returncode == 1 and "canceled" in done.stderr
    hold.open()
    for m in (owner, other):
        wait_state(m, "pending", DAYS[1])
        assert states(m, DAYS[0]) == ["done"]
    assert outcomes(warehouse, DAYS[1]) == ["cancelled"]
    # What is asked for after it is built, by any mount, and nothing is left of the cancel.
    other.build("sessions", DAYS[1])
    assert check_rows(warehouse, "sessions") == dict.fromkeys(DAYS[:2], 4)
    cancels_are_closed(warehouse)


def test_a_cancel_does_not_hit_what_is_asked_for_after_it(project, mount, hold, warehouse):
    owner = mount(project, "jobs=1", "drain=0", now=NOW)
    other = mount(project, "jobs=1", "drain=0", now=NOW)
    hold.close()
    os.utime(owner / "sessions" / DAYS[0])
    wait_state(other, "running", DAYS[0])
    os.unlink(other / "sessions" / DAYS[0])
    os.utime(other / "sessions" / DAYS[0])
    wait_until(lambda: "cancelled" in outcomes(warehouse, DAYS[0]), what="the first attempt is ended")
    hold.open()
    other.sync("sessions", DAYS[0])
    assert outcomes(warehouse, DAYS[0])[-1] == "done" and built(warehouse, "sessions") == {DAYS[0]: 1}
    for m in (owner, other):
        wait_state(m, "done", DAYS[0])


def test_rm_of_what_runs_leaves_what_lies_between(project, mount, hold, warehouse):
    """Another mount may queue it before the cancel is recorded."""
    owner = mount(project, "jobs=2", "drain=0", now=NOW)
    hold.close()
    for day in DAYS[0], DAYS[2]:
        os.utime(owner / "sessions" / day)
    wait_state(owner, "running", DAYS[0], DAYS[2])
    os.unlink(owner / "sessions" / ".running")
    hold.open()
    wait_state(owner, "pending", DAYS[0], DAYS[2])
    covers = "kind = 'cancel' AND first_start <= %s AND end_start > %s"
    cancels = {day: warehouse.sql(f"SELECT count(*) FROM batchfs.request WHERE {covers}", *[f"{day} 00:00+00"] * 2)[0][0]
               for day in DAYS[:3]}
    assert cancels == {DAYS[0]: 1, DAYS[1]: 0, DAYS[2]: 1}
    cancels_are_closed(warehouse)


def test_rm_of_what_another_mount_has_queued(project, mount, hold, warehouse):
    owner = mount(project, "jobs=1", "drain=0", now=NOW)
    hold.close()
    os.utime(owner / "sessions" / DAYS[0])
    wait_state(owner, "running", DAYS[0])
    os.utime(owner / "sessions" / "2024-09-02--2024-09-06")
    # It is full itself, so that the queue stays as it is.
    other = mount(project, "jobs=1", "drain=0", now=NOW)
    wait_until(lambda: len(running(other)) == 2, what="both are full")
    queued = [d for d in DAYS[:5] if states(other, d) == ["queued"]]
    waiting = [start("sync", m / "sessions" / queued[1]) for m in (owner, other)]
    for process in waiting:
        wait_parked(process)
    os.unlink(other / "sessions" / f"{queued[1]}.queued")
    for process in waiting:
        assert "canceled" in finish(process).stderr
    os.unlink(other / "sessions" / ".queued")
    for m in (owner, other):
        wait_state(m, "pending", *queued)
    hold.open()
    owner.sync("sessions", RANGE)
    assert sorted(built(warehouse, "sessions")) == sorted(set(DAYS[:5]) - set(queued))
    cancels_are_closed(warehouse)


def test_rm_while_the_owner_dies(project, mount, hold, warehouse):
    """The cancel is recorded; whether the owner has heard of it or not, nobody brings the batch back."""
    owner = mount(project, "jobs=1", now=NOW)
    other = mount(project, "jobs=1", "drain=0", now=NOW)
    for day in DAYS[:3]:
        hold.close()
        os.utime(owner / "sessions" / day)
        wait_until(lambda: day in running(other), what="it runs")
        owner.process.send_signal(signal.SIGSTOP)
        os.unlink(other / "sessions" / day)
        wait_until(lambda: warehouse.sql("SELECT count(*) FROM batchfs.request WHERE kind = 'cancel' AND open")[0][0]
                   or states(other, day) == ["pending"], what="the cancel is recorded")
        owner.kill()
        hold.open()
        wait_state(other, "pending", day)
        assert built(warehouse, "sessions") == {}
        owner.start()
    cancels_are_closed(warehouse)
    assert warehouse.count("sessions") == 0


def test_a_cancel_outlives_who_asked(project, mount, hold, warehouse):
    """Recorded, and the mount that asked is gone before it took the rest out of the queue: the next one does."""
    m = mount(project, "jobs=1", now=NOW)
    hold.close()
    os.utime(m / "sessions" / RANGE)
    wait_until(lambda: running(m), what="one runs")
    m.kill()
    record(warehouse, "cancel", DAYS[0], DAYS[3])
    hold.open()
    again = mount(project, now=NOW, at=m.path)
    settle(again, "2024")
    assert states(again) == ["pending"] * 3 + ["done"] * 2 + ["pending"]
    assert built(warehouse, "sessions") == {DAYS[3]: 1, DAYS[4]: 1}
    cancels_are_closed(warehouse)


def test_rm_races_the_claims_of_others(project, mount, warehouse):
    """Whoever claims at that instant: each batch is built at most once, and what is cancelled stays as it was."""
    make_events(warehouse)
    add_sessions(project)
    here, there = mount(project, "jobs=1", now=NOW), mount(project, "jobs=2", now=NOW)
    for n in range(15):
        os.utime(here / "sessions" / RANGE)
        with suppress(PermissionError):
            os.unlink((here, there)[n % 2] / "sessions" / (RANGE, "2024-09-03--2024-09-05", ".queued")[n % 3])
        for m in (here, there):
            with suppress(OSError):
                m.sync("sessions", RANGE)
    wait_until(lambda: warehouse.sql("SELECT count(*) FROM batchfs.state WHERE run <> 0") == [(0,)], what="all is idle")
    cancels_are_closed(warehouse)
    assert max(built(warehouse, "sessions").values()) <= 15
    here.build("sessions", RANGE)
    assert check_rows(warehouse, "sessions") == dict.fromkeys(DAYS[:5], 4)
    for m in (here, there):
        wait_state(m, "done", *DAYS[:5])


def test_a_cancelled_batch_of_a_run_is_not_built(project, mount, warehouse):
    """Claimed together, sent one behind the other: what rm has taken is never committed."""
    make_events(warehouse, days=60, first="2024-07-01", a_day=1)
    add_sessions(project, begin="2024-07-01")
    m = mount(project, "jobs=1", now="2024-08-20T12:00:00")
    m.build("sessions", "2024-07")
    before = built(warehouse, "sessions")
    hit = 0
    for n in range(30):
        day = f"2024-07-{n % 30 + 2:02}"
        os.utime(m / "sessions" / "2024-07")
        seen = m.states("sessions")
        if seen[day] != "queued":
            m.sync("sessions", "2024-07")
            continue
        asked = warehouse.sql("SELECT count(*) FROM batchfs.attempt WHERE outcome = 'done' AND window_start = %s",
                              f"{day} 00:00+00")[0][0]
        try:
            os.unlink(m / "sessions" / f"{day}.queued")
        except FileNotFoundError:
            m.sync("sessions", "2024-07")
            continue
        hit += 1
        settle(m, "2024-07")
        assert warehouse.sql("SELECT count(*) FROM batchfs.attempt WHERE outcome = 'done' AND window_start = %s",
                             f"{day} 00:00+00")[0][0] == asked, (n, day)
    assert before and hit > 3
    m.build("sessions", "2024-07")
    check_rows(warehouse, "sessions")


def test_a_failure_elsewhere_skips_the_readers_here(project, warehouse, tmp_path, mount):
    """The mount where it fails does not even know who reads it."""
    add_troubled(project)
    set_days(warehouse, FAILS, DAYS[1])
    hold = PostgresHold(warehouse)
    there = Project(tmp_path / "there", warehouse)
    there.source("events", event_time="event_time")
    there.model("sessions", "select id, event_time, 1 / val as val from {events} where " + hold.condition,
                inputs=["events"])
    there = mount(there, "jobs=1", now=NOW)
    project.model("daily", "select id, event_time, val from {sessions}", inputs=["sessions"])
    here = mount(project, "jobs=1", now=NOW)
    hold.close()
    os.utime(there / "sessions" / DAYS[1])
    wait_state(here, "running", DAYS[1])
    os.utime(here / "daily" / DAYS[1])
    also = mount(project, "jobs=1", now=NOW)
    waiting = [start("sync", m / "daily" / DAYS[1]) for m in (here, also)]
    for process in waiting:
        wait_parked(process)
    hold.open()
    for process in waiting:
        assert "Input/output error" in finish(process).stderr
    for m in (here, also):
        assert m.states("daily")[DAYS[1]] == "skipped"
        assert m.document("daily", DAYS[1])["because"] == [f"sessions/{DAYS[1]}"]
    assert outcomes(warehouse, DAYS[1]) == ["failed"]
    assert warehouse.sql("SELECT count(*) FROM batchfs.attempt WHERE outcome = 'skipped'") == [(1,)]


def test_a_reader_that_outlived_the_failure_is_skipped_at_the_next_start(project, warehouse, mount):
    """Killed between the record of the failure and that of what is skipped because of it."""
    add_troubled(project)
    project.model("daily", "select id, event_time, val from {sessions}", inputs=["sessions"])
    set_days(warehouse, FAILS, DAYS[1])
    m = mount(project, "jobs=1", now=NOW)
    m.build("sessions", DAYS[0])
    m.build("daily", DAYS[0])
    assert errno_of(m.build, "sessions", DAYS[1]) == errno.EIO
    m.kill()
    # Asked for before it failed.
    code = code_of(warehouse, DAYS[0], "daily")
    record(warehouse, "build", DAYS[1], DAYS[2], code, "daily")
    again = mount(project, now="2024-09-06T13:00:00", at=m.path)
    wait_until(lambda: again.states("daily")[DAYS[1]] == "skipped", what="its reader is skipped")
    assert errno_of(again.sync, "daily", DAYS[1]) == errno.EIO
    # Asked for after it, it is built: that is what was asked for.
    again.build("daily", DAYS[1])
    set_days(warehouse, FINE)
    again.build("sessions", ".failed")
    assert again.states("sessions")[DAYS[1]] == "done"


def two_codes(project, warehouse, tmp_path, mount, *options):
    """Two mounts with different SQL for the same table: val is 1 by one and 2 by the other."""
    make_events(warehouse)
    mounts = []
    for n in (1, 2):
        p = Project(tmp_path / f"target{n}", warehouse)
        p.source("events", event_time="event_time")
        p.model("sessions", f"select id, event_time, {n} as val from {{events}}", inputs=["events"])
        mounts.append(mount(p, *options, now=NOW))
    return mounts


def values(warehouse):
    rows = warehouse.sql("SELECT to_char(event_time, 'YYYY-MM-DD'), min(val), max(val) FROM an.sessions GROUP BY 1")
    assert all(low == high for _, low, high in rows)
    return {day: low for day, low, _ in rows}


def test_whose_code(project, warehouse, tmp_path, mount):
    a, b = two_codes(project, warehouse, tmp_path, mount)
    a.build("sessions", RANGE)
    assert values(warehouse) == dict.fromkeys(DAYS[:5], 1)
    b.build("sessions", "2024-09-02--2024-09-04")
    assert values(warehouse) == {**dict.fromkeys(DAYS[:5], 1), DAYS[1]: 2, DAYS[2]: 2}
    wait_until(lambda: a.document("sessions", DAYS[1])["code"] == "changed", what="the other's code is seen")
    assert b.document("sessions", DAYS[1])["code"] == "same"
    # The one that has the SQL is away: it waits and says so.
    a.process.send_signal(signal.SIGSTOP)
    record(warehouse, "build", DAYS[3], DAYS[5], code_of(warehouse, DAYS[0]))
    wait_state(b, "queued", *DAYS[3:5])
    # It goes on with its own meanwhile.
    b.build("sessions", DAYS[0])
    assert states(b, *DAYS[3:5]) == ["queued"] * 2
    said = b.document("sessions", DAYS[3])["last_refusal"]
    assert said["errno"] == "EOPNOTSUPP" and "other SQL" in said["message"]
    # Asked for again here: the table ends as who asked last wants it.
    b.build("sessions", DAYS[3])
    assert values(warehouse)[DAYS[3]] == 2
    assert b.document("sessions", DAYS[3])["last_refusal"] is None
    a.process.send_signal(signal.SIGCONT)
    b.sync("sessions", DAYS[4])
    assert values(warehouse) == {**dict.fromkeys(DAYS[:4], 2), DAYS[4]: 1}


def test_nobody_with_that_code_comes(project, warehouse, tmp_path, mount):
    a, b = two_codes(project, warehouse, tmp_path, mount, "jobs=1")
    b.build("sessions", DAYS[0])
    record(warehouse, "build", DAYS[1], DAYS[3], "nobody has it")
    for m in (a, b):
        wait_state(m, "queued", *DAYS[1:3])
    os.unlink(b / "sessions" / ".queued")
    for m in (a, b):
        wait_state(m, "pending", *DAYS[1:3])
    cancels_are_closed(warehouse)
    assert built(warehouse, "sessions") == {DAYS[0]: 1}


def test_what_was_put_back_keeps_its_code(project, warehouse, tmp_path, mount):
    """A batch of a mount that has died is not built with another mount's SQL, until somebody asks for that."""
    make_events(warehouse)
    hold = PostgresHold(warehouse)
    mounts = []
    for n in (1, 2):
        p = Project(tmp_path / f"target{n}", warehouse)
        p.source("events", event_time="event_time")
        p.model("sessions", f"select id, event_time, {n} as val from {{events}} where " + hold.condition,
                inputs=["events"])
        mounts.append(mount(p, "jobs=1", "drain=0", now=NOW))
    a, b = mounts
    hold.close()
    os.utime(a / "sessions" / DAYS[0])
    wait_state(b, "running", DAYS[0])
    a.kill()
    hold.open()
    wait_state(b, "queued", DAYS[0])
    b.build("sessions", DAYS[1])
    assert states(b, DAYS[0]) == ["queued"]
    a.start()
    a.sync("sessions", DAYS[0])
    assert values(warehouse) == {DAYS[0]: 1, DAYS[1]: 2}


def test_kill_is_taken_over_and_seen(project, mount, hold, warehouse):
    first = mount(project, "jobs=2", now=NOW)
    hold.close()
    os.utime(first / "sessions" / "2024-09-01--2024-09-03")
    wait_state(first, "running", *DAYS[:2])
    second = mount(project, "jobs=2", "drain=0", now=NOW)
    watching = mount(project, "ro", now=NOW)
    for m in (second, watching):
        seconds(lambda: states(m, *DAYS[:2]) == ["running"] * 2, 1, "it is seen")
    owner = warehouse.sql("SELECT DISTINCT owner FROM batchfs.state WHERE run = 1")
    first.kill()
    seconds(lambda: warehouse.sql("SELECT DISTINCT owner FROM batchfs.state WHERE run = 1") not in (owner, []), 2,
            "it is taken over")
    hold.open()
    second.sync("sessions", RANGE)
    seconds(lambda: states(watching, *DAYS[:2]) == ["done"] * 2, 1, "it is seen")
    assert built(warehouse, "sessions") == asked_for(warehouse)


def seconds(condition, limit, what):
    """Within the promise; a busy machine gets some more, so that only a broken promise fails."""
    wait_until(condition, timeout=(limit + 3) * SLOWER, what=f"{what} within {limit} s")


def test_interrupted_too_often_by_any_mount(project, mount, hold, warehouse):
    hold.close()
    m = mount(project, "jobs=1", now=NOW)
    os.utime(m / "sessions" / DAYS[0])
    for n in range(3):
        wait_state(m, "running", DAYS[0])
        after = mount(project, "jobs=1", "drain=0", now=NOW)
        m.kill()
        wait_until(lambda: len(outcomes(warehouse, DAYS[0])) == n + 1, what="it is found interrupted")
        m = after
    wait_state(m, "running", DAYS[0])
    watching = mount(project, "jobs=1", "drain=0", now=NOW)
    m.kill()
    wait_state(watching, "failed", DAYS[0])
    document = watching.document("sessions", DAYS[0])
    assert document["attempt"] == 4 and "interrupted 4 times" in document["error"]["message"]
    assert outcomes(warehouse, DAYS[0]) == ["interrupted"] * 4
    hold.open()
    watching.build("sessions", DAYS[0])


def test_two_mounts_retry_all_at_the_same_instant(project, mount, warehouse):
    add_troubled(project)
    set_days(warehouse, FAILS)
    first, second = (mount(project, "jobs=2", now=NOW) for _ in range(2))
    assert errno_of(first.build, "sessions", RANGE) == errno.EIO
    wait_state(second, "failed", *DAYS[:5])
    attempts = {d: first.document("sessions", d)["attempt"] for d in DAYS[:5]}
    set_days(warehouse, FINE)
    names = [m / "sessions" / f"{d}.failed" for m in (first, second) for d in DAYS[:5]]
    processes = [start("touch", name) for name in names]
    done = [finish(process) for process in processes]
    won = [p for p in done if p.returncode == 0]
    assert len(won) == 5 and all("No such file" in p.stderr for p in done if p.returncode)
    for m in (first, second):
        wait_state(m, "done", *DAYS[:5])
        assert {d: m.document("sessions", d)["attempt"] - 1 for d in DAYS[:5]} == attempts
    assert built(warehouse, "sessions") == dict.fromkeys(DAYS[:5], 1)


def test_read_only_beside_others_writes_nothing(project, mount, hold, warehouse):
    busy = mount(project, "jobs=1", "drain=0", now=NOW)
    busy.build("sessions", DAYS[0])
    busy.unmount()
    before = footprint(warehouse)
    watching = mount(project, "ro", now=NOW)
    assert states(watching, DAYS[0]) == ["done"]
    assert errno_of(os.utime, watching / "sessions" / DAYS[1]) == errno.EROFS
    assert errno_of(os.unlink, watching / "sessions" / DAYS[0]) == errno.EROFS
    assert footprint(warehouse) == before
    busy = mount(project, "jobs=1", "drain=0", now=NOW, at=busy.path)
    hold.close()
    os.utime(busy / "sessions" / DAYS[1])
    seconds(lambda: states(watching, DAYS[1]) == ["running"], 1, "it is seen")
    os.unlink(busy / "sessions" / DAYS[1])
    seconds(lambda: states(watching, DAYS[1]) == ["pending"], 1, "it is seen")
    busy.kill()
    hold.open()
    owners = warehouse.sql("SELECT count(*) FROM batchfs.owner")
    assert owners == [(1,)], "the dead one is not buried by a mount that writes nothing"


def test_four_mounts_and_random_kills(project, mount, warehouse, tmp_path):
    """Nothing lost, nothing twice."""
    seed = int(os.environ.get("BATCHFS_SEED") or random.randrange(1 << 32))
    print(f"BATCHFS_SEED={seed}")
    dice = random.Random(seed)
    n_batches = 2000 // (SLOWER * SLOWER)
    begin = date(2019, 1, 1)
    days = [begin + timedelta(days=n) for n in range(n_batches)]
    make_events(warehouse, first=f"{begin}", days=n_batches, a_day=1)
    add_sessions(project, begin=f"{begin}")
    now = f"{days[-1] + timedelta(days=2)}"
    mounts = [mount(project, "jobs=2", "drain=0", now=now) for _ in range(4)]
    # Each batch is asked for once, in pieces, by any mount, while they are killed.
    pieces, at = [], 0
    while at < n_batches:
        end = min(at + dice.choice((1, 3, 10, 100)), n_batches)
        pieces.append((at, end))
        at = end
    dice.shuffle(pieces)
    dead, kills = [], 0
    for n, (first, end) in enumerate(pieces):
        name = f"{days[first]}--{days[end - 1] + timedelta(days=1)}"
        os.utime(dice.choice([m for m in mounts if m not in dead]) / "sessions" / name)
        if dice.random() < 0.15 and len(dead) < 3:
            victim = dice.choice([m for m in mounts if m not in dead])
            victim.kill()
            dead.append(victim)
            kills += 1
        if dead and dice.random() < 0.25:
            dead.pop(dice.randrange(len(dead))).start()
    for m in list(dead):
        m.start()
    everything = f"{days[0]}--{days[-1] + timedelta(days=1)}"
    expected = dict.fromkeys(map(str, days), "done")
    asked = asked_for(warehouse)
    wait_until(lambda: settled(mounts[0], everything), what="all have settled")
    # What was interrupted a fourth time has failed, as it should: it is asked for again.
    failed = [d for d, s in mounts[0].states("sessions").items() if s == "failed"]
    for day in failed:
        assert "interrupted 4 times" in mounts[0].document("sessions", day)["error"]["message"]
        mounts[0].build("sessions", day)
    print(f"{len(pieces)} requests, {kills} kills, {len(failed)} failed as interrupted")
    for m in mounts:
        wait_until(lambda: {d: s for d, s in m.states("sessions").items() if d in expected} == expected,
                   what=f"{m.path} shows everything done")
    assert built(warehouse, "sessions") == asked == dict.fromkeys(expected, 1)
    assert check_rows(warehouse, "sessions") == dict.fromkeys(expected, 1)
    assert warehouse.sql("SELECT count(*) FROM batchfs.state WHERE run <> 0") == [(0,)]
    cancels_are_closed(warehouse)


def settled(m, name):
    states = m.document("sessions", name)["states"]
    return not states["queued"] and not states["running"] and not states["pending"]


def test_what_was_asked_for_before_its_input_failed_is_skipped(project, warehouse, mount, fault_binary, fault):
    """Also where the mount on which the input fails hears of that request only afterwards."""
    add_troubled(project)
    project.model("daily", "select count(*) as n, date_trunc('day', event_time) as event_time from {sessions} group by 2",
                  inputs=["sessions"])
    two = [mount(project, "jobs=1", now=NOW, binary=fault_binary, env=fault.env()) for _ in range(2)]
    for model in "sessions", "daily":
        two[0].build(model, DAYS[1])
    set_days(warehouse, FAILS, DAYS[1])
    for _ in range(8):
        with fault.holding("build"):
            for model in "sessions", "daily":
                os.utime(two[0] / model / DAYS[1])
            for m in two:
                wait_state(m, "running", DAYS[1])
                wait_until(lambda m=m: m.states("daily")[DAYS[1]] == "queued", what="the reader waits")
            os.utime(two[1] / "daily" / DAYS[1])
        for m in two:
            assert errno_of(m.sync, "daily", DAYS[1]) == errno.EIO
            wait_until(lambda m=m: m.states("daily")[DAYS[1]] == "skipped", what="the reader is skipped")
    assert built(warehouse, "daily") == {DAYS[1]: 1}
