# SPDX-License-Identifier: Apache-2.0
"""SQLite: what cannot be prepared or built fails with its reason, nothing stays queued; and runs once the reason has gone."""
import errno
import os

import pytest

from lib.events import add_sessions, make_events
from lib.truth import stored
from lib.wait import wait_until

NOW = "2024-09-04T12:00:00"
ALL = {"2024-09-01": 4, "2024-09-02": 4, "2024-09-03": 4, "2024-09-04": 4}
COPY = "CREATE TABLE sessions AS SELECT * FROM events WHERE false"


@pytest.fixture
def engine():
    return "sqlite"


def errno_of(call, *args):
    try:
        call(*args)
    except OSError as e:
        return e.errno
    return 0


def queue_all(m):
    """Every batch is asked for, or refused with a reason; then nothing waits."""
    said = errno_of(os.utime, m / "sessions" / "2024-09")
    assert said in (0, errno.EOPNOTSUPP)
    if said == 0:
        assert errno_of(m.sync, "sessions", "2024-09") == errno.EIO
    assert not {"queued", "running"} & set(m.states("sessions").values())
    return said


def reason(m, said):
    if said == errno.EOPNOTSUPP:
        return m.document("sessions", ".model")["why_not"]
    failed = [batch for batch, state in m.states("sessions").items() if state == "failed"]
    return m.document("sessions", failed[0])["error"]["message"]


def builds_again(m, warehouse):
    """Without a remount."""
    def built():
        said = errno_of(os.utime, m / "sessions" / "2024-09")
        assert said in (0, errno.EOPNOTSUPP)
        return said == 0 and errno_of(m.sync, "sessions", "2024-09") == 0
    wait_until(built, what="it is built once the reason has gone")
    assert stored(warehouse, "sessions") == ALL
    assert m.document("sessions", ".model")["why_not"] is None


def do(warehouse, *statements):
    for statement in statements:
        warehouse.sql(statement)


# What is done, how the reason reads, what is done to undo it.
TROUBLES = {
    "view": (["ALTER TABLE sessions RENAME TO was", "CREATE VIEW sessions AS SELECT * FROM events"], "is a view",
             ["DROP VIEW sessions", "ALTER TABLE was RENAME TO sessions"]),
    "event_time of the target": (["INSERT INTO sessions VALUES (99, 'zzz', 1)"], "holds 'zzz'",
                                 ["DELETE FROM sessions WHERE id = 99"]),
    "no event_time": (["ALTER TABLE sessions RENAME event_time TO at"], "no column event_time",
                      ["ALTER TABLE sessions RENAME at TO event_time"]),
    "event_time of an input": (["UPDATE events SET event_time = replace(event_time, ' ', 'T')"], "T00:00:00'",
                               ["UPDATE events SET event_time = replace(event_time, 'T', ' ')"]),
    "type of an input": (["ALTER TABLE events RENAME TO away",
                          "CREATE TABLE events AS SELECT id, unixepoch(event_time) AS event_time, val FROM away"], "yields its event_time",
                         ["DROP TABLE events", "ALTER TABLE away RENAME TO events"]),
    "input": (["ALTER TABLE events RENAME TO away"], "events", ["ALTER TABLE away RENAME TO events"]),
    "broken view as an input": (["ALTER TABLE events RENAME TO away", "CREATE VIEW events AS SELECT * FROM nowhere"],
                                "nowhere", ["DROP VIEW events", "ALTER TABLE away RENAME TO events"]),
    "column": (["ALTER TABLE events RENAME val TO away"], "val", ["ALTER TABLE events RENAME away TO val"]),
    "trigger": (["CREATE TRIGGER bad AFTER INSERT ON sessions BEGIN DELETE FROM batchfs_state; END"],
                "write the table batchfs_state, by way of bad", ["DROP TRIGGER bad"]),
}


@pytest.mark.parametrize("known", ["built", "new"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_cannot_be_prepared_fails(project, warehouse, mount, trouble, known):
    trouble, words, undo = TROUBLES[trouble]
    make_events(warehouse)
    add_sessions(project)
    do(warehouse, COPY)
    m = mount(project, now=NOW)
    if known == "built":
        m.build("sessions", "2024-09")
    do(warehouse, *trouble)
    said = queue_all(m)
    assert words in reason(m, said).replace('"', "")
    # Again, and at once: what was found out a moment ago is no reason to wait.
    queue_all(m)
    do(warehouse, *undo)
    builds_again(m, warehouse)


@pytest.mark.parametrize("trouble", ["view", "event_time of the target", "no event_time"])
def test_what_refuses_at_mount_time_may_go_away(project, warehouse, mount, trouble):
    trouble, words, undo = TROUBLES[trouble]
    make_events(warehouse)
    add_sessions(project)
    do(warehouse, COPY, *trouble)
    m = mount(project, now=NOW)
    assert queue_all(m) == errno.EOPNOTSUPP
    assert words in m.document("sessions", ".model")["why_not"]
    do(warehouse, *undo)
    builds_again(m, warehouse)


def test_a_table_that_was_never_there(project, warehouse, mount):
    make_events(warehouse)
    add_sessions(project)
    do(warehouse, "ALTER TABLE events RENAME TO away")
    m = mount(project, now=NOW)
    assert "events" in reason(m, queue_all(m))
    do(warehouse, "ALTER TABLE away RENAME TO events")
    builds_again(m, warehouse)


def test_one_damaged_row_fails_its_own_batch(ready, warehouse, mount):
    """Built, then damaged below the mount: the others go on, and so does the mount."""
    m = mount(ready, now=NOW)
    m.build("sessions", "2024-09")
    do(warehouse, "UPDATE batchfs_state SET attempt = 2147483647 WHERE start = 1725235200000000")
    assert errno_of(m.build, "sessions", "2024-09") == errno.EIO
    assert m.states("sessions") == {"2024-09-01": "done", "2024-09-02": "failed", "2024-09-03": "done",
                                    "2024-09-04": "partial"}
    error = m.document("sessions", "2024-09-02")["error"]
    assert error["sqlstate"] == "XX001" and "DELETE FROM batchfs_state WHERE model = " in error["message"]
    status = m.document(".status")
    assert status.get("mount", status)["warehouse"] == "connected"
    m.unmount()
    m.start()
    assert m.states("sessions")["2024-09-02"] == "failed"
    do(warehouse, error["message"][error["message"].index("DELETE"):].split(" it is")[0])
    m.build("sessions", "2024-09")
    assert stored(warehouse, "sessions") == ALL
