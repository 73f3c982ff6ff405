# SPDX-License-Identifier: Apache-2.0
"""What the warehouse itself says, past the mount: requests, attempts, states and rows of a daily model."""
import sqlite3
from collections import Counter
from datetime import datetime, timedelta, timezone

WINDOW = "to_char(a.window_start AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


def _day(microseconds):
    return datetime.fromtimestamp(microseconds / 1_000_000, timezone.utc).strftime("%Y-%m-%d")


def _queue(warehouse, query):
    connection = sqlite3.connect(f"{warehouse.path}-queue", timeout=30, isolation_level=None)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def requests(warehouse):
    """[(first day, end day)] of every build request that was recorded, oldest first."""
    if warehouse.engine == "sqlite":
        rows = _queue(warehouse, "SELECT range_start, range_end FROM request WHERE kind = 'build' ORDER BY id")
        return [(_day(first), _day(end)) for first, end in rows]
    return warehouse.sql("SELECT to_char(first_start AT TIME ZONE 'UTC', 'YYYY-MM-DD'),"
                         " to_char(end_start AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
                         " FROM batchfs.request WHERE kind = 'build' ORDER BY id")


def asked_for(warehouse):
    """Counter of the days that recorded requests name."""
    days = Counter()
    for first, end in requests(warehouse):
        at, last = datetime.fromisoformat(first), datetime.fromisoformat(end)
        while at < last:
            days[f"{at:%Y-%m-%d}"] += 1
            at += timedelta(days=1)
    return days


def built(warehouse, model):
    """Counter of the days that were built, by the attempt history."""
    if warehouse.engine == "sqlite":
        rows = warehouse.sql("SELECT a.start FROM batchfs_attempt a JOIN batchfs_model m ON m.id = a.model"
                             " WHERE m.target_table = %s AND a.outcome = 'done'", model)
        return Counter(_day(start) for start, in rows)
    rows = warehouse.sql(f"SELECT {WINDOW} FROM batchfs.attempt a JOIN batchfs.model m ON m.id = a.model"
                         " WHERE m.target_table = %s AND a.outcome = 'done'", model)
    return Counter(day for day, in rows)


def recorded(warehouse, model):
    """{day: rows} that the states of what is done promise."""
    if warehouse.engine == "sqlite":
        rows = warehouse.sql("SELECT s.start, s.rows_inserted FROM batchfs_state s JOIN batchfs_model m"
                             " ON m.id = s.model WHERE m.target_table = %s", model)
        return {_day(start): n for start, n in rows}
    return dict(warehouse.sql(f"SELECT {WINDOW}, a.rows_inserted FROM batchfs.state a JOIN batchfs.model m"
                              " ON m.id = a.model WHERE m.target_table = %s AND a.outcome = 1", model))


def stored(warehouse, model):
    """{day: rows} in the target."""
    day = "substr(event_time, 1, 10)" if warehouse.engine == "sqlite" else "to_char(event_time, 'YYYY-MM-DD')"
    return dict(warehouse.sql(f"SELECT {day}, count(*) FROM {warehouse.relation(model)} GROUP BY 1"))


def check_rows(warehouse, model):
    """The states promise exactly the rows that are there, and no row is there twice."""
    rows = stored(warehouse, model)
    assert recorded(warehouse, model) == rows
    twice = warehouse.sql(f"SELECT id, count(*) FROM {warehouse.relation(model)} GROUP BY id HAVING count(*) > 1")
    assert twice == []
    return rows


def claimed(warehouse, model):
    """How many batches of the model a mount has claimed, begun or not."""
    if warehouse.engine == "sqlite":
        ((n,),) = _queue(warehouse, "SELECT count(*) FROM state s JOIN model m ON m.id = s.model"
                                    f" WHERE m.target_table = '{model}' AND s.run = 1")
        return n
    ((n,),) = warehouse.sql("SELECT count(*) FROM batchfs.state s JOIN batchfs.model m ON m.id = s.model"
                            " WHERE m.target_table = %s AND s.run = 1", model)
    return n
