/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/postgres_fixture.h"

#include <glob.h>
#include <libpq-fe.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
	char bin[200], dir[64];
	PGconn *conn;
	char *answer;
	unsigned databases;
} server;

static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	abort();
}

/* initdb and postgres refuse root. */
static int __attribute__((format(printf, 1, 2))) run(const char *fmt, ...)
{
	char command[1000], whole[1200];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	snprintf(whole, sizeof whole, "%s%s >>%s/log 2>&1",
		 geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --clear-groups " : "", command,
		 server.dir);
	return system(whole);
}

static bool find_binaries(void)
{
	glob_t found;
	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) || found.gl_pathc == 0) {
		globfree(&found);
		return false;
	}
	const char *last = found.gl_pathv[found.gl_pathc - 1];
	snprintf(server.bin, sizeof server.bin, "%.*s", (int)(strrchr(last, '/') - last), last);
	globfree(&found);
	return true;
}

static void reconnect(const char *database)
{
	PQfinish(server.conn);
	const char *keys[] = {"host", "user", "dbname", "client_encoding", NULL},
		   *values[] = {server.dir, "postgres", database, "UTF8", NULL};
	server.conn = PQconnectdbParams(keys, values, 0);
	if (PQstatus(server.conn) != CONNECTION_OK)
		give_up("connect", PQerrorMessage(server.conn));
}

static void start(void)
{
	if (run("%s/pg_ctl -D %s/data -w -o \"-k %s -c listen_addresses='' -c fsync=off -c "
		"max_connections=30\" start",
		server.bin, server.dir, server.dir))
		give_up("the server does not start, see its log in", server.dir);
}

static bool server_start(void)
{
	if (!find_binaries())
		return false;
	snprintf(server.dir, sizeof server.dir, "/tmp/batchfs-pg-XXXXXX");
	if (!mkdtemp(server.dir) || chmod(server.dir, 0777))
		give_up("mkdtemp", server.dir);
	if (run("%s/initdb -D %s/data -U postgres -A trust -E UTF8 --locale=C --no-sync", server.bin,
		server.dir))
		give_up("no database cluster, see the log in", server.dir);
	start();
	setenv("PGHOST", server.dir, 1);
	setenv("PGUSER", "postgres", 1);
	setenv("PGDATABASE", "postgres", 1);
	reconnect("postgres");
	return true;
}

static void server_stop(void)
{
	PQfinish(server.conn);
	server.conn = NULL;
	free(server.answer);
	server.answer = NULL;
	run("%s/pg_ctl -D %s/data -m immediate -w stop", server.bin, server.dir);
	char command[100];
	snprintf(command, sizeof command, "rm -rf %s", server.dir);
	if (system(command))
		give_up("rm", server.dir);
}

int server_run_tests(const char *name, const struct CMUnitTest *tests, size_t n)
{
	const char *must = getenv("BATCHFS_MUST_WORK");
	bool skip = !must || strcmp(must, "1") != 0;
	if (!server_start()) {
		fprintf(stderr, "%s: no PostgreSQL server in /usr/lib/postgresql/*/bin\n",
			skip ? "skipped" : "BATCHFS_MUST_WORK=1");
		return skip ? 77 : 1;
	}
	int failed = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
	server_stop();
	return failed;
}

void server_flushes_no_more(void)
{
	pid_t pid = (pid_t)atoi(sql("select pid from pg_stat_activity where backend_type = 'walwriter'"));
	if (pid <= 0 || kill(pid, SIGSTOP))
		give_up("walwriter", "it cannot be stopped");
}

void server_crashes(void)
{
	char path[100];
	snprintf(path, sizeof path, "%s/data/postmaster.pid", server.dir);
	FILE *f = fopen(path, "r");
	int postmaster = 0;
	if (!f || fscanf(f, "%d", &postmaster) != 1)
		give_up(path, "no pid in it");
	fclose(f);
	kill(postmaster, SIGSTOP); /* so that no new process comes unseen */
	char *pids = strdup(sql("select string_agg(pid::text, ' ') from pg_stat_activity"));
	kill(postmaster, SIGKILL);
	for (char *rest = pids, *pid; (pid = strsep(&rest, " "));)
		while (kill(atoi(pid), SIGKILL) == 0)
			usleep(1000);
	free(pids);
	while (kill(postmaster, 0) == 0)
		usleep(1000);
	start();
	reconnect(getenv("PGDATABASE"));
}

void server_database_in(const char *encoding)
{
	char name[32];
	snprintf(name, sizeof name, "t%u", ++server.databases);
	reconnect("postgres");
	sql("create database %s template template0 encoding '%s'", name, encoding);
	setenv("PGDATABASE", name, 1);
	reconnect(name);
}

void server_database(void)
{
	server_database_in("UTF8");
}

const char *sql(const char *fmt, ...)
{
	char *text;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	PGresult *r = PQexec(server.conn, text);
	ExecStatusType status = PQresultStatus(r);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		give_up(text, PQerrorMessage(server.conn));
	free(server.answer);
	server.answer = strdup(PQntuples(r) && PQnfields(r) ? PQgetvalue(r, 0, 0) : "");
	PQclear(r);
	free(text);
	return server.answer;
}

struct stranger *stranger_session(const char *statement)
{
	char *text = strdup(statement);
	sql("drop role if exists stranger; create role stranger login");
	const char *keys[] = {"host", "user", "dbname", NULL},
		   *values[] = {server.dir, "stranger", getenv("PGDATABASE"), NULL};
	PGconn *c = PQconnectdbParams(keys, values, 0);
	if (PQstatus(c) != CONNECTION_OK || !PQsendQuery(c, text))
		give_up("stranger", PQerrorMessage(c));
	free(text);
	return (struct stranger *)c;
}

struct stranger *holder_session(const char *statement)
{
	const char *keys[] = {"host", "user", "dbname", NULL},
		   *values[] = {server.dir, "postgres", getenv("PGDATABASE"), NULL};
	PGconn *c = PQconnectdbParams(keys, values, 0);
	PGresult *r = PQexec(c, statement);
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		give_up(statement, PQerrorMessage(c));
	PQclear(r);
	return (struct stranger *)c;
}

void stranger_end(struct stranger *s)
{
	PQfinish((PGconn *)s);
}
