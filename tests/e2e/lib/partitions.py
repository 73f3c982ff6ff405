# SPDX-License-Identifier: Apache-2.0
"""A target with a partition a day, in PostgreSQL, and what others do to it."""
import contextlib

NOW = "2024-09-04T12:00:00"
DAYS = ["2024-09-01", "2024-09-02", "2024-09-03"]
MADE = ["sessions_p2024_09_01", "sessions_p2024_09_02", "sessions_p2024_09_03"]
# So many rows a batch is exchanged.
LARGE = 10000
MAKE = {"meta": {"batchfs": {"partitions": "make"}}}
READ = "SELECT count(*) FROM an.sessions"
TRIGGER = ["CREATE TABLE an.fired (id integer)",
           "CREATE FUNCTION an.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO an.fired VALUES (new.id); RETURN new; END $$"]


def make_large_events(warehouse, rows=LARGE, kind="timestamp"):
    """`rows` events on each of four days; on the last one a few."""
    warehouse.sql(f"CREATE TABLE an.events AS SELECT i AS id, (timestamp '2024-09-01' + (i * interval '1 day' / {rows}))::{kind}"
                  f" AS event_time, i % 7 AS val FROM generate_series(0, {3 * rows + 9}) i")
    warehouse.sql("CREATE INDEX ON an.events (event_time)")
    warehouse.sql("ANALYZE an.events")


def make_partitioned(warehouse, kind="timestamp", columns="id integer, event_time {}, val integer", days=DAYS):
    warehouse.sql(f"CREATE TABLE an.sessions ({columns.format(kind)}) PARTITION BY RANGE (event_time)")
    for day in days:
        warehouse.sql(f"CREATE TABLE an.s_{day[-2:]} PARTITION OF an.sessions FOR VALUES FROM ('{day}') TO"
                      f" ('{day[:-2]}{int(day[-2:]) + 1:02}')")
    warehouse.sql("CREATE INDEX ON an.sessions (event_time)")
    warehouse.sql("CREATE INDEX ON an.sessions (id)")


def add_model(project, **config):
    project.source("events", event_time="event_time")
    return project.model("sessions", "select id, event_time, val from {events}", inputs=["events"], **config)


def oid(warehouse, name):
    return warehouse.sql(f"SELECT 'an.{name}'::regclass::oid::bigint")[0][0]


def rows_of(warehouse, name):
    return warehouse.sql(f"SELECT count(*) FROM an.{name}")[0][0]


def leftovers(warehouse):
    """Tables that no partition is."""
    return warehouse.sql("SELECT relname FROM pg_class WHERE relname LIKE 'batchfs\\_%' AND relkind IN ('r', 'i')"
                         " AND relnamespace = 'an'::regnamespace")


def partition_of(warehouse, name):
    return warehouse.sql("SELECT inhparent::regclass::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i"
                         " JOIN pg_class c ON c.oid = inhrelid WHERE c.relname = %s", name)


def rebuild(warehouse, m, day="2024-09-02", name="s_02"):
    """Builds a day that is there; whether its partition was exchanged."""
    was = oid(warehouse, name)
    m.build("sessions", day)
    assert leftovers(warehouse) == []
    return oid(warehouse, name) != was


@contextlib.contextmanager
def in_transaction(warehouse, statement):
    """What somebody else does, and keeps its locks."""
    with contextlib.closing(warehouse.pg.connect()) as connection:
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute(statement)
            yield connection


def partitions(warehouse, parent="sessions"):
    return [name for name, in warehouse.sql("SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
                                            " WHERE inhparent = %s::regclass ORDER BY relname", f"an.{parent}")]
