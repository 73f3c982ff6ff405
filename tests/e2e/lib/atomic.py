# SPDX-License-Identifier: Apache-2.0
"""A daily model with meta.batchfs.refresh: atomic, and who is in the way of its exchange."""
import pytest

from .command import shell
from .events import make_events
from .hold import PostgresHold, add_held
from .wait import wait_until

NOW = "2024-09-05T12:00:00"
DAYS = [f"2024-09-0{d}" for d in range(1, 6)]
STATES = {**dict.fromkeys(DAYS, "done"), DAYS[4]: "partial"}
ATOMIC = {"batchfs": {"refresh": "atomic"}}
OURS = "SELECT count(*) FROM pg_class WHERE relname LIKE 'batchfs_beside%%'"


@pytest.fixture
def held(project, warehouse):
    """The model's query waits while hold.close(). It is open."""
    make_events(warehouse)
    hold = PostgresHold(warehouse)
    add_held(project, hold, meta=ATOMIC)
    yield hold
    hold.open()


def document(m):
    return m.document("sessions", ".full-refresh")


def oid(warehouse):
    return warehouse.sql("SELECT 'an.sessions'::regclass::oid")[0][0]


def values(warehouse, relation="an.sessions"):
    return sorted({v for v, in warehouse.sql(f"SELECT val FROM {relation}")})


def wait_phase(m, phase, done=0):
    return wait_until(lambda: (d := document(m))["phase"] == phase and d["done"] >= done and d, what=f"{phase} {done}")


def nothing_left(warehouse):
    for query in OURS, "SELECT count(*) FROM batchfs.beside", "SELECT count(*) FROM batchfs.beside_state":
        wait_until(lambda query=query: warehouse.sql(query) == [(0,)], what=query)


def change(warehouse, value=99):
    warehouse.sql(f"UPDATE an.events SET val = {value}")


def refresh_until_exchange(m, hold, reader):
    """A refresh that all is built for, and a reader whom the exchange waits for."""
    hold.close(DAYS[4], "2100-01-01")
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    wait_phase(m, "build", 4)
    r = reader()
    hold.open()
    wait_phase(m, "exchange", 5)
    return r


def begin(m, hold, reader, phase):
    """A refresh that stays in this phase until hold.open(), or until the reader that is returned goes."""
    if phase == "exchange":
        return refresh_until_exchange(m, hold, reader)
    hold.close(DAYS[2], DAYS[3])
    assert shell(m / "sessions", "touch .full-refresh").returncode == 0
    wait_phase(m, "build", 2)
    return None


class Reader:
    """Somebody who has read the table, and whose transaction is open."""

    def __init__(self, warehouse):
        self.connection = warehouse.pg.connect()
        self.connection.autocommit = False
        self.connection.cursor().execute("SELECT count(*) FROM an.sessions")

    def close(self):
        self.connection.rollback()
        self.connection.close()


@pytest.fixture
def reader(warehouse):
    readers = []

    def make():
        readers.append(Reader(warehouse))
        return readers[-1]

    yield make
    for r in readers:
        if not r.connection.closed:
            r.close()
