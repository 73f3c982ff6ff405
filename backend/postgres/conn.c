/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/conn.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "backend/base/strbuf.h"
#include "backend/postgres/value.h"

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

static PGconn *start(const struct pg_conn *c, const struct pg_address *at)
{
	char name[64];
	snprintf(name, sizeof name, "batchfs:%016" PRIx64 ":%s", (uint64_t)c->owner, c->purpose);
	/* No options=: poolers refuse it. primary and not read-write: that refuses a role
	 * whose transactions are read only by default, and every one of ours says READ WRITE. */
	/* libpq passes over what is empty. */
	const char *const options[][2] = {
		{"application_name", name},
		{"client_encoding", "UTF8"},
		{"target_session_attrs", "primary"},
		{"keepalives", "1"},
		{"keepalives_idle", "10"},
		{"keepalives_interval", "3"},
		{"keepalives_count", "3"},
		{"tcp_user_timeout", "20000"},
		{"service", c->config->service},
		{"host", at->host},
		{"hostaddr", at->ip},
		{"port", at->port},
	};
	const char *keys[sizeof options / sizeof *options + 1] = {0},
							    *values[sizeof options / sizeof *options + 1];
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		keys[i] = options[i][0];
		values[i] = options[i][1];
	}
	return PQconnectStartParams(keys, values, 0);
}

/* What libpq says of the connection, behind `at` where there is more than one address to tell apart. */
static int refused(const struct pg_conn *c, const char *at, struct error *err)
{
	char text[2000];
	snprintf(text, sizeof text, "%s", PQerrorMessage(c->pq));
	pg_one_line(text);
	return error_set(err, ECONNREFUSED, "%s%s", at, text);
}

static int handshake(struct pg_conn *c, const char *at, int64_t deadline, struct error *err)
{
	if (PQstatus(c->pq) == CONNECTION_BAD)
		return refused(c, at, err);
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;
	while (next != PGRES_POLLING_OK) {
		int r = pg_wait(c, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
		if (r == -ECANCELED)
			return error_set(err, ECANCELED, "given up while connecting to the warehouse");
		if (r)
			return error_set(err, EHOSTUNREACH, "%sno answer", at);
		next = PQconnectPoll(c->pq);
		if (next == PGRES_POLLING_FAILED)
			return refused(c, at, err);
	}
	if (PQsetnonblocking(c->pq, 1) || !PQenterPipelineMode(c->pq))
		return refused(c, at, err);
	return 0;
}

static int begin(struct pg_conn *c, const struct pg_address *at, struct error *err)
{
	pg_disconnect(c);
	c->pq = start(c, at);
	return c->pq ? 0 : error_set(err, ENOMEM, "no memory for a connection");
}

/* One that hangs keeps nobody from the next: each gets an equal share of the time that is left. */
static int dial_each(struct pg_conn *c, const struct pg_hosts *hosts, int64_t deadline, struct error *err)
{
	auto_strbuf told = STRBUF_INIT;
	int answer = ECONNREFUSED;
	for (size_t i = 0; i < hosts->n; i++) {
		const struct pg_address *at = &hosts->list[i];
		struct error why = {0};
		char name[400];
		snprintf(name, sizeof name, "%s%s%s%s port %s: ", at->host, *at->ip ? " (" : "", at->ip,
			 *at->ip ? ")" : "", at->port);
		int64_t now = clock_monotonic_us(),
			share = deadline == PG_NO_DEADLINE ? deadline
							   : now + (deadline - now) / (int64_t)(hosts->n - i);
		int r = begin(c, at, err);
		if (!r)
			r = handshake(c, name, share, &why);
		if (!r)
			return 0;
		if (r == -ECANCELED || r == -ENOMEM)
			return why.err ? error_set(err, why.err, "%s", why.text) : r;
		answer = r == -EHOSTUNREACH ? EHOSTUNREACH : answer;
		strbuf_printf(&told, "%s%s", told.len ? "; " : "", why.text);
	}
	return error_set(err, answer, "the warehouse cannot be reached: %s", told.str ? told.str : "");
}

static int dial_one(struct pg_conn *c, int64_t deadline, struct error *err)
{
	int r = handshake(c, "", deadline, err);
	if (r == -EHOSTUNREACH)
		return error_set(err, EHOSTUNREACH, "the warehouse does not answer");
	if (r == -ECONNREFUSED)
		error_prefix(err, "the warehouse cannot be reached: ");
	return r;
}

int pg_dial(struct pg_conn *c, const struct pg_address *at, int64_t deadline, struct error *err)
{
	auto_hosts hosts = {0};
	if (pg_pause(c->abandon_fd, 0))
		return error_set(err, ECANCELED, "the warehouse has been given up");
	int r = begin(c, at, err);
	if (!r)
		r = hosts_read(c->pq, &hosts, err);
	if (!r)
		r = hosts.n > 1 ? dial_each(c, &hosts, deadline, err) : dial_one(c, deadline, err);
	if (!r)
		PQsetNoticeReceiver(c->pq, keep_notice, c);
	return r;
}

void pg_disconnect(struct pg_conn *c)
{
	if (c->pq)
		PQfinish(c->pq);
	c->pq = NULL;
}
