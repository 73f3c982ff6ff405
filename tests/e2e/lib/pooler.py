# SPDX-License-Identifier: Apache-2.0
"""A private pgbouncer in front of a private PostgreSQL."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg2

from .pg import DATABASE
from .wait import wait_until

PORT = "6543"


def find_pgbouncer():
    """The program, or None."""
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Pooler:
    """with Pooler(pg, "transaction") as pooler: mount(project, env=pooler.env())"""

    def __init__(self, pg, mode):
        self.pg = pg
        self.home = Path(tempfile.mkdtemp(prefix="batchfs-pool-"))
        (self.home / "users").write_text('"postgres" ""\n')
        (self.home / "ini").write_text(
            f"[databases]\n{DATABASE} = host={pg.home} user=postgres\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\n"
            f"unix_socket_dir = {self.home}\nauth_type = any\nauth_file = {self.home}/users\npool_mode = {mode}\n"
            "default_pool_size = 1\nserver_check_delay = 0\n")
        (self.home / "service").write_text(f"[warehouse]\nhost={self.home}\nport={PORT}\nuser=postgres\ndbname={DATABASE}\n")
        for path in (self.home, *self.home.iterdir()):
            os.chmod(path, 0o777)
        # pgbouncer does not run as root: it runs as the one that PostgreSQL runs as.
        self.program = subprocess.Popen([*pg.as_user, find_pgbouncer(), self.home / "ini"], cwd="/",
                                        stdin=subprocess.DEVNULL, stdout=open(self.home / "log", "wb"),
                                        stderr=subprocess.STDOUT)

    def __enter__(self):
        wait_until(self.answers, what="pgbouncer answers")
        return self

    def __exit__(self, *_):
        self.program.terminate()
        self.program.wait()
        shutil.rmtree(self.home)

    def connect(self):
        connection = psycopg2.connect(host=str(self.home), port=PORT, user="postgres", dbname=DATABASE)
        connection.autocommit = True
        return connection

    def sql(self, query):
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall()
        finally:
            connection.close()

    def answers(self):
        try:
            return self.sql("SELECT 1") == [(1,)]
        except psycopg2.OperationalError:
            assert self.program.poll() is None, (self.home / "log").read_text()
            return False

    def env(self):
        return {"PGSERVICEFILE": str(self.home / "service")}
