/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/pipe.h"
#include "backend/postgres/sql.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_WRITE    "begin isolation level read committed read write"
#define BEGIN_SNAPSHOT "begin isolation level repeatable read read only"

static bool keep_slot(struct pg_pipe *p)
{
	if (p->n == p->size) {
		size_t size = p->size ? 2 * p->size : 8;
		PGresult **results = realloc(p->results, size * sizeof *results);
		if (!results) {
			p->broken = true;
			return false;
		}
		p->results = results;
		p->size = size;
	}
	p->results[p->n++] = NULL;
	return true;
}

static size_t queued(struct pg_pipe *p, int sent)
{
	if (!sent)
		p->broken = true;
	return p->n - 1;
}

size_t pg_add(struct pg_pipe *p, const char *sql, const struct pg_params *params)
{
	if (!keep_slot(p))
		return 0;
	return queued(p, PQsendQueryParams(p->conn->pq, sql, params ? params->n : 0, NULL,
					   params ? params->value : NULL, NULL, NULL, 0));
}

size_t pg_add_named(struct pg_pipe *p, const char *name, const struct pg_params *params)
{
	if (!keep_slot(p))
		return 0;
	return queued(p, PQsendQueryPrepared(p->conn->pq, name, params ? params->n : 0,
					     params ? params->value : NULL, NULL, NULL, 0));
}

size_t pg_add_prepare(struct pg_pipe *p, const char *name, const char *sql)
{
	return keep_slot(p) ? queued(p, PQsendPrepare(p->conn->pq, name, sql, 0, NULL)) : 0;
}

size_t pg_add_describe(struct pg_pipe *p, const char *name)
{
	return keep_slot(p) ? queued(p, PQsendDescribePrepared(p->conn->pq, name)) : 0;
}

size_t pg_add_kept(struct pg_pipe *p, unsigned which, const char *sql, const struct pg_params *params)
{
	static const char *const names[] = {"batchfs_kept_0", "batchfs_kept_1"};
	if (!(p->conn->kept & 1u << which))
		p->preparing[which] = 1 + pg_add_prepare(p, names[which], sql);
	return pg_add_named(p, names[which], params);
}

/* Prepared statements outlive the transaction, also one that has failed later. */
static void note_kept(struct pg_pipe *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (p->preparing[i] && PQresultStatus(p->results[p->preparing[i] - 1]) == PGRES_COMMAND_OK)
			p->conn->kept |= 1u << i;
}

void pg_add_begin(struct pg_pipe *p)
{
	pg_add(p, BEGIN_WRITE, NULL);
	pg_add(p, SQL_SETTINGS, NULL);
}

void pg_add_begin_snapshot(struct pg_pipe *p)
{
	pg_add(p, BEGIN_SNAPSHOT, NULL);
	pg_add(p, SQL_SETTINGS, NULL);
}

void pg_add_sync(struct pg_pipe *p)
{
	if (!PQpipelineSync(p->conn->pq))
		p->broken = true;
	p->syncs++;
}

static int flush(struct pg_conn *c, int64_t deadline)
{
	for (;;) {
		int left = PQflush(c->pq);
		if (left == 0)
			return 0;
		if (left < 0)
			return -ECONNRESET;
		/* Reading as well: both sides may have filled their buffers. */
		int r = pg_wait(c, POLLIN | POLLOUT, deadline);
		if (r)
			return r;
		if (!PQconsumeInput(c->pq))
			return -ECONNRESET;
	}
}

static int next_result(struct pg_conn *c, int64_t deadline, PGresult **out)
{
	while (PQisBusy(c->pq)) {
		int r = pg_wait(c, POLLIN, deadline);
		if (r)
			return r;
		if (!PQconsumeInput(c->pq))
			return -ECONNRESET;
	}
	*out = PQgetResult(c->pq);
	return 0;
}

static bool is_error(const PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);
	return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_NONFATAL_ERROR;
}

/*
 * The server says that it ends the session; the answer to a COMMIT may be that although it is committed. No
 * SQLSTATE says so: class 08 also comes from a query (08P01 for a stray $1, 08001 from a foreign server).
 */
static bool ends_session(const struct pg_conn *c, const PGresult *r)
{
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
	return PQstatus(c->pq) != CONNECTION_OK ||
	       (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0));
}

static int read_all(struct pg_pipe *p)
{
	size_t got = 0;
	int empty = 0;
	for (unsigned syncs = 0; syncs < p->syncs;) {
		PGresult *res = NULL;
		int r = next_result(p->conn, p->deadline, &res);
		if (r)
			return r;
		if (!res) {
			if (++empty > 2 || PQstatus(p->conn->pq) != CONNECTION_OK)
				return -ECONNRESET;
			continue;
		}
		empty = 0;
		if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
			syncs++;
			PQclear(res);
			continue;
		}
		/* A deferred constraint of an implicit transaction answers once more, before the sync. */
		size_t i = got < p->n ? got++ : p->n - 1;
		PQclear(p->results[i]);
		p->results[i] = res;
		if (is_error(res) && p->failed < 0)
			p->failed = (int)i;
		if (is_error(res) && ends_session(p->conn, res))
			return -ECONNRESET;
	}
	return 0;
}

static void roll_back(struct pg_pipe *p)
{
	if (!p->conn->pq || PQtransactionStatus(p->conn->pq) != PQTRANS_INERROR)
		return;
	struct pg_pipe undo = PG_PIPE(p->conn, p->deadline);
	undo.tolerant = true;
	pg_add(&undo, "rollback", NULL);
	pg_run(&undo, NULL);
	pg_pipe_fini(&undo);
}

static int gone(struct pg_pipe *p, int r, struct error *err)
{
	p->lost = true;
	char text[2000];
	snprintf(text, sizeof text, "%s",
		 p->failed >= 0 ? PQresultErrorMessage(p->results[p->failed])
		 : p->conn->pq	? PQerrorMessage(p->conn->pq)
				: "it was closed");
	pg_one_line(text);
	const char *state =
		p->failed >= 0 ? PQresultErrorField(p->results[p->failed], PG_DIAG_SQLSTATE) : NULL;
	pg_disconnect(p->conn);
	if (r == -ECANCELED)
		return error_set(err, ECANCELED, "the warehouse has been given up");
	if (r == -EINTR)
		return error_set(err, EINTR, "interrupted");
	if (r == -ETIMEDOUT)
		return error_set(err, ETIMEDOUT, "the warehouse has not answered in time");
	return error_sql(err, ETIMEDOUT, state ? state : "08006",
			 "the connection to the warehouse was lost: %s", text);
}

int pg_send(struct pg_pipe *p, struct error *err)
{
	pg_add_sync(p);
	int r = p->broken ? -ECONNRESET : flush(p->conn, p->deadline);
	return r ? gone(p, r, err) : 0;
}

int pg_receive(struct pg_pipe *p, bool last, struct error *err)
{
	int r = p->conn->pq ? read_all(p) : -ECONNRESET;
	if (r)
		return gone(p, r, err);
	note_kept(p);
	if (last)
		roll_back(p);
	if (p->failed < 0 || p->tolerant)
		return 0;
	return pg_error(err, EIO, p->results[p->failed]);
}

int pg_run(struct pg_pipe *p, struct error *err)
{
	int r = pg_send(p, err);
	return r ? r : pg_receive(p, true, err);
}

void pg_pipe_fini(struct pg_pipe *p)
{
	for (size_t i = 0; i < p->n; i++)
		PQclear(p->results[i]);
	free(p->results);
}

int pg_query(struct pg_conn *c, int64_t deadline, const char *sql, const struct pg_params *params,
	     PGresult **out, struct error *err)
{
	auto_pipe p = PG_PIPE(c, deadline);
	pg_add(&p, sql, params);
	int r = pg_run(&p, err);
	if (r)
		return r;
	*out = p.results[0];
	p.results[0] = NULL;
	return 0;
}

int pg_query_row(struct pg_conn *c, int64_t deadline, const char *sql, const struct pg_params *params,
		 PGresult **out, struct error *err)
{
	int r = pg_query(c, deadline, sql, params, out, err);
	if (r || PQntuples(*out) > 0)
		return r;
	return error_set(err, EIO, "the warehouse has answered a question with no row: %.200s", sql);
}
