/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/conn.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/postgres/pipe.h"

/* Sessions outlive neither a dead client nor a dead network by more than some seconds
 * (facts/postgres.md §4: without these up to two hours). Unknown ones are passed over. */
static const char *const session_settings[] = {
	"select set_config('client_connection_check_interval', '1000', false)",
	"select set_config('tcp_keepalives_idle', '10', false)",
	"select set_config('tcp_keepalives_interval', '3', false)",
	"select set_config('tcp_keepalives_count', '3', false)",
	"select set_config('tcp_user_timeout', '20000', false)",
	"select set_config('idle_in_transaction_session_timeout', '60s', false)",
	"select set_config('idle_session_timeout', '0', false)",
};
#define N_SETTINGS    (sizeof session_settings / sizeof *session_settings)
#define OLDEST_SERVER 130000

static int poll_ms(int64_t now, int64_t deadline)
{
	if (deadline <= now)
		return 0;
	int64_t ms = (deadline - now + 999) / 1000;
	return ms > 60000 ? 60000 : (int)ms;
}

int pg_pause(int abandon_fd, int64_t deadline)
{
	for (;;) {
		int64_t now = clock_monotonic_us();
		struct pollfd fd = {.fd = abandon_fd, .events = POLLIN};
		if (poll(&fd, 1, poll_ms(now, deadline)) > 0)
			return -ECANCELED;
		if (now >= deadline)
			return 0;
	}
}

int pg_wait(struct pg_conn *c, short events, int64_t deadline)
{
	for (;;) {
		int64_t now = clock_monotonic_us(), until = deadline;
		if (c->waker) {
			int64_t next;
			int r = c->waker->due(c->waker, c, now, &next);
			if (r)
				return r;
			if (next < until)
				until = next;
		}
		struct pollfd fds[3] = {
			{.fd = c->abandon_fd, .events = POLLIN},
			{.fd = PQsocket(c->pq), .events = events},
			{.fd = c->waker ? c->waker->fd : -1, .events = POLLIN},
		};
		int n = poll(fds, 3, poll_ms(now, until));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[0].revents)
			return -ECANCELED;
		if (n > 0 && fds[1].revents)
			return 0;
		if (n > 0 && fds[2].revents) {
			uint64_t count;
			ssize_t got = read(c->waker->fd, &count, sizeof count);
			(void)got; /* only a wake-up: what was asked stands in asked */
		}
		if (n <= 0 && clock_monotonic_us() >= deadline)
			return -ETIMEDOUT;
	}
}

static void keep_notice(void *ctx, const PGresult *r)
{
	const struct pg_conn *c = ctx;
	char text[512];
	snprintf(text, sizeof text, "%s", PQresultErrorMessage(r));
	pg_one_line(text);
	log_debug(c->config->log, "postgres: %s", text);
}

static PGconn *start(const struct pg_conn *c)
{
	char name[64];
	snprintf(name, sizeof name, "batchfs:%016" PRIx64 ":%s", (uint64_t)c->owner, c->purpose);
	/* No options=: poolers refuse it. primary and not read-write: that refuses a role
	 * whose transactions are read only by default, and every one of ours says READ WRITE. */
	const char *keys[] = {"application_name",
			      "client_encoding",
			      "target_session_attrs",
			      "keepalives",
			      "keepalives_idle",
			      "keepalives_interval",
			      "keepalives_count",
			      "tcp_user_timeout",
			      c->config->service ? "service" : NULL,
			      NULL};
	const char *values[] = {name, "UTF8",  "primary",	   "1", "10", "3",
				"3",  "20000", c->config->service, NULL};
	return PQconnectStartParams(keys, values, 0);
}

static int refused(const struct pg_conn *c, int code, struct error *err)
{
	char text[2000];
	snprintf(text, sizeof text, "%s", PQerrorMessage(c->pq));
	pg_one_line(text);
	return error_set(err, code, "the warehouse cannot be reached: %s", text);
}

static int handshake(struct pg_conn *c, int64_t deadline, struct error *err)
{
	if (PQstatus(c->pq) == CONNECTION_BAD)
		return refused(c, ECONNREFUSED, err);
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;
	while (next != PGRES_POLLING_OK) {
		int r = pg_wait(c, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
		if (r == -ECANCELED)
			return error_set(err, ECANCELED, "given up while connecting to the warehouse");
		if (r)
			return error_set(err, EHOSTUNREACH, "the warehouse does not answer");
		next = PQconnectPoll(c->pq);
		if (next == PGRES_POLLING_FAILED)
			return refused(c, ECONNREFUSED, err);
	}
	return 0;
}

/* Through a pooler a session lock outlives its client and is granted twice (facts/postgres.md §8). */
static int check_server(const struct pg_conn *c, const PGresult *r, struct error *err)
{
	if (pg_int(r, 0, 0) != PQbackendPID(c->pq))
		return error_set(
			err, EOPNOTSUPP,
			"the connection goes through a pooler (such as pgbouncer), which hands out one "
			"session to "
			"several clients; name the server itself in the service or in PGHOST and PGPORT");
	if (PQserverVersion(c->pq) < OLDEST_SERVER)
		return error_set(err, EOPNOTSUPP, "the server is PostgreSQL %d, 13 or later is needed",
				 PQserverVersion(c->pq) / 10000);
	return 0;
}

static int set_role(struct pg_conn *c, int64_t deadline, struct error *err)
{
	if (!c->config->role)
		return 0;
	char *role = PQescapeIdentifier(c->pq, c->config->role, strlen(c->config->role));
	if (!role)
		return error_set(err, EINVAL, "role=%s is no name for a role", c->config->role);
	auto_strbuf sql = STRBUF_INIT;
	strbuf_printf(&sql, "set role %s", role);
	PQfreemem(role);
	auto_result *r = NULL;
	return pg_query(c, deadline, sql.str, NULL, &r, err);
}

static int set_up(struct pg_conn *c, int64_t deadline, struct error *err)
{
	if (PQsetnonblocking(c->pq, 1) || !PQenterPipelineMode(c->pq))
		return refused(c, ECONNREFUSED, err);
	PQsetNoticeReceiver(c->pq, keep_notice, c);
	auto_pipe p = PG_PIPE(c, deadline);
	p.tolerant = true;
	for (size_t i = 0; i < N_SETTINGS; i++) {
		pg_add(&p, session_settings[i], NULL);
		pg_add_sync(&p);
	}
	size_t pid = pg_add(&p, "select pg_catalog.pg_backend_pid()", NULL);
	int r = pg_run(&p, err);
	if (r)
		return r;
	if (PQresultStatus(p.results[pid]) != PGRES_TUPLES_OK)
		return pg_error(err, ECONNREFUSED, p.results[pid]);
	r = check_server(c, p.results[pid], err);
	return r ? r : set_role(c, deadline, err);
}

int pg_connect(struct pg_conn *c, int64_t deadline, struct error *err)
{
	if (c->pq && PQstatus(c->pq) == CONNECTION_OK)
		return 0;
	pg_disconnect(c);
	if (pg_pause(c->abandon_fd, 0))
		return error_set(err, ECANCELED, "the warehouse has been given up");
	c->pq = start(c);
	if (!c->pq)
		return error_set(err, ENOMEM, "no memory for a connection");
	int r = handshake(c, deadline, err);
	if (!r)
		r = set_up(c, deadline, err);
	if (r) {
		pg_disconnect(c);
		/* Nothing that matters was sent yet. */
		return r == -ETIMEDOUT ? error_set(err, EHOSTUNREACH, "the warehouse does not answer") : r;
	}
	c->generation++;
	c->kept = 0;
	return 0;
}

void pg_disconnect(struct pg_conn *c)
{
	if (c->pq)
		PQfinish(c->pq);
	c->pq = NULL;
}
