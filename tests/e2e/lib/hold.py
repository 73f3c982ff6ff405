# SPDX-License-Identifier: Apache-2.0
"""Batches that run until the test lets them go."""


class PostgresHold:
    """The model's query waits as long as its row's time is in an interval that is held."""

    condition = "an.passes(event_time)"

    def __init__(self, warehouse):
        self.warehouse = warehouse
        warehouse.sql("CREATE TABLE an.held (first timestamp, last timestamp)")
        warehouse.sql("""
            CREATE FUNCTION an.passes(t timestamp) RETURNS boolean VOLATILE LANGUAGE plpgsql AS $$
            BEGIN
                WHILE EXISTS (SELECT FROM an.held WHERE t >= first AND t < last) LOOP
                    PERFORM pg_sleep(0.005);
                END LOOP;
                RETURN true;
            END $$""")

    def close(self, first="2000-01-01", last="2100-01-01"):
        self.warehouse.sql("INSERT INTO an.held VALUES (%s, %s)", first, last)

    def open(self):
        self.warehouse.sql("DELETE FROM an.held")


class SqliteHold:
    """
    The model's query counts to a number that it reads first, and that may be too large to reach.
    A running batch holds the file: it can be let go only once it is over.
    """

    condition = ("(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < (SELECT n FROM held))"
                 " SELECT count(*) FROM c) > 0")

    def __init__(self, warehouse):
        self.warehouse = warehouse
        warehouse.sql("CREATE TABLE held (n integer)")
        warehouse.sql("INSERT INTO held VALUES (1)")

    def close(self):
        self.warehouse.sql("UPDATE held SET n = 1000000000000")

    def open(self):
        self.warehouse.sql("UPDATE held SET n = 1")


def make_hold(warehouse):
    return PostgresHold(warehouse) if warehouse.engine == "postgres" else SqliteHold(warehouse)


def add_held(project, hold, name="sessions", **config):
    project.source("events", event_time="event_time")
    return project.model(name, "select id, event_time, val from {events} where " + hold.condition,
                         inputs=["events"], **config)
