# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL: unix socket only, no fsync, gone afterwards."""
import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg2

from .wait import wait_until

DATABASE = "warehouse"


def find_binaries():
    """The directory of the newest server on this machine, or None."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda p: int(p.split("/")[4]))
    if found:
        return Path(found[-1]).parent
    on_path = shutil.which("postgres")
    return Path(on_path).parent if on_path else None


class Postgres:
    """copy_of: a standby of that server, made by pg_basebackup, and not started yet."""

    def __init__(self, binaries, settings=(), copy_of=None):
        self.binaries = binaries
        # Not below pytest's tmp_path: a socket's path may have 107 bytes only.
        self.home = Path(tempfile.mkdtemp(prefix="batchfs-pg-"))
        self.data = self.home / "data"
        self.log = self.home / "server.log"
        self.as_user = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.home, user.pw_uid, user.pw_gid)
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        os.chmod(self.home, 0o755)
        if copy_of:
            self._run("pg_basebackup", "-h", copy_of.home, "-U", "postgres", "-D", self.data, "-R", "-c", "fast",
                      "--no-sync")
        else:
            self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync",
                      "--locale=C.UTF-8")
        lines = ["listen_addresses = ''", f"unix_socket_directories = '{self.home}'", "fsync = off",
                 "full_page_writes = off", "max_connections = 60", "shared_buffers = 32MB",
                 "timezone = 'Asia/Tokyo'", "log_line_prefix = '%m [%p] %a '", *settings]
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write("\n".join(lines) + "\n")
        self.service_file = self.home / "pg_service.conf"
        self.service_file.write_text(f"[warehouse]\nhost={self.home}\nuser=postgres\ndbname={DATABASE}\n")
        if not copy_of:
            self.start()

    def _run(self, program, *args):
        done = subprocess.run([*self.as_user, str(self.binaries / program), *map(str, args)], cwd="/",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}\n{self.log_text()[-4000:]}")

    def start(self):
        # Not through a pipe: the server would keep it open, and _run() would wait for it.
        subprocess.run([*self.as_user, str(self.binaries / "pg_ctl"), "-D", str(self.data), "-l", str(self.log), "-w",
                        "-t", "60", "start"], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)

    def stop_immediate(self):
        """As if the machine had lost its power."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def stop_flushing(self):
        """From now on the server loses with its life what no commit has waited for."""
        query = "SELECT pid, wait_event_type FROM pg_stat_activity WHERE backend_type = 'walwriter'"
        [(pid, _)] = self.sql(query, database="postgres")

        def stopped():
            """Between two of its rounds: one that is stopped while it writes holds a lock that others need."""
            os.kill(pid, signal.SIGSTOP)
            asleep = self.sql(query, database="postgres") == [(pid, "Activity")]
            if not asleep:
                os.kill(pid, signal.SIGCONT)
            return asleep
        wait_until(stopped, what="the WAL writer is stopped while it sleeps")

    def crash(self):
        """kill -9 of every process of it."""
        self.sigstop()
        family = self.processes()
        for pid in reversed(family):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family), what="the server is dead")

    def promote(self):
        self._run("pg_ctl", "-D", self.data, "-w", "promote")

    @contextlib.contextmanager
    def unreachable(self):
        """For connections that are not there yet."""
        socket = self.home / ".s.PGSQL.5432"
        socket.rename(self.home / "hidden")
        try:
            yield
        finally:
            (self.home / "hidden").rename(socket)

    def stop(self):
        if self.pid():
            self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def pid(self):
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            return pid if os.path.exists(f"/proc/{pid}") else None
        except (FileNotFoundError, IndexError):
            return None

    def processes(self):
        """The postmaster and every process of it."""
        first = self.pid()
        family = [first]
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(stat, encoding="utf-8") as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == first:
                family.append(int(stat.split("/")[2]))
        return family

    def _signal_all(self, number):
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def sigstop(self):
        """The postmaster first, so that no new process comes unseen."""
        self._signal_all(signal.SIGSTOP)

    def sigcont(self):
        self._signal_all(signal.SIGCONT)

    def connect(self, database=DATABASE, user="postgres"):
        connection = psycopg2.connect(host=str(self.home), user=user, dbname=database)
        connection.autocommit = True
        return connection

    def sql(self, query, *args, database=DATABASE, user="postgres"):
        """Rows as a list of tuples; [] where the statement has none."""
        connection = self.connect(database, user)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, args or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def fresh(self):
        """An empty database `warehouse`, with schema `an`; no role but postgres, and no settings of its own."""
        self.sql("ALTER ROLE postgres RESET ALL", database="postgres")
        self.sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", database="postgres")
        self.sql(f"CREATE DATABASE {DATABASE}", database="postgres")
        for (role,) in self.sql("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname <> 'postgres' "
                                "AND rolname !~ '^pg_'"):
            self.sql(f"DROP ROLE {role}")
        self.sql("CREATE SCHEMA an")

    def env(self):
        return {"PGHOST": str(self.home), "PGUSER": "postgres", "PGDATABASE": DATABASE,
                "PGSERVICEFILE": str(self.service_file)}

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def close(self):
        """What a server must never say is returned."""
        try:
            self.sigcont() if self.pid() else None
            self.stop()
        finally:
            panics = [line for line in self.log_text().splitlines() if "PANIC" in line]
            shutil.rmtree(self.home, ignore_errors=True)
        return panics

    def answers(self):
        try:
            return self.sql("SELECT 1", database="postgres") == [(1,)]
        except psycopg2.OperationalError:
            return False

    def wait_ready(self):
        wait_until(self.answers, what="PostgreSQL answers")
