# SPDX-License-Identifier: Apache-2.0
"""The two warehouses behind one face: SQL, what a mount needs to find it, what time looks like in it."""
import sqlite3


class PostgresWarehouse:
    engine = "postgres"
    database, schema = "warehouse", "an"
    time_type = "timestamp"

    def __init__(self, pg):
        self.pg = pg
        pg.fresh()

    def sql(self, query, *args):
        return self.pg.sql(query, *args)

    def options(self):
        return ["service=warehouse"]

    def env(self):
        return self.pg.env()

    def relation(self, name):
        return f'"{self.database}"."{self.schema}"."{name}"'

    def count(self, name, where="true"):
        return self.sql(f"SELECT count(*) FROM {self.relation(name)} WHERE {where}")[0][0]


class SqliteWarehouse:
    engine = "sqlite"
    database, schema = "database", "main"
    time_type = "TEXT"

    def __init__(self, path):
        self.path = path
        self.sql("PRAGMA journal_mode=WAL")

    def sql(self, query, *args):
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            return connection.execute(query.replace("%s", "?"), args).fetchall()
        finally:
            connection.close()

    def options(self):
        return [f"database={self.path}"]

    def env(self):
        return {}

    def relation(self, name):
        return f'"{self.schema}"."{name}"'

    def count(self, name, where="true"):
        return self.sql(f"SELECT count(*) FROM {self.relation(name)} WHERE {where}")[0][0]
