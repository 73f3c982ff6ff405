/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "backend/sqlite/private.h"

#define KINDS (SETTLE_CANCELLED + 1)

struct settling {
	struct store *s;
	struct row_reader reader;
	sqlite3_stmt *put[KINDS], *drop, *history;
};

/*
 * ?1 model, ?2 start, ?3 attempt, ?4 the table of now, ?5 started, ?6 finished, ?7 sqlstate, ?8 message,
 * ?9 wanted, ?10 request.
 * A table that was adopted since the claim has voided what was tried before, but not what is put back here.
 */
#define HERE " WHERE model = ?1 AND start = ?2 AND attempt = ?3 AND run = 1"
#define KEEP ", outcome = CASE WHEN table_id = ?4 THEN outcome ELSE 0 END, table_id = ?4"

static const char *const settle_sql[] = {
	[SETTLE_FAILED] =
		"UPDATE state SET run = 0, interruptions = 0, outcome = 2, outcome_attempt = attempt,"
		" started = ?5, finished = ?6, sqlstate = ?7, message = ?8, table_id = ?4" HERE,
	[SETTLE_REQUEUED] = "UPDATE state SET run = 2" KEEP HERE,
	/* A mount that ends in order is not the batch's fault: only kills are counted. */
	[SETTLE_INTERRUPTED] = "UPDATE state SET run = 2" KEEP HERE,
	[SETTLE_UNSTARTED] = "UPDATE state SET run = 2, attempt = attempt - 1" KEEP HERE,
	/* ?3: the last attempt there was. What is skipped comes after it, so it counts as its outcome. */
	[SETTLE_SKIPPED] =
		"INSERT INTO state(model, start, table_id, run, attempt, running_since, owner, request,"
		" served, outcome, outcome_attempt, started, finished, message)"
		" VALUES (?1, ?2, ?4, 0, ?3, 0, 0, ?10, ?9, 3, ?3, ?6, ?6, ?8)"
		" ON CONFLICT DO UPDATE SET run = 0, interruptions = 0, outcome = 3, attempt = ?3,"
		" outcome_attempt = ?3, started = ?6, finished = ?6, sqlstate = '', message = ?8,"
		" request = CASE WHEN ?10 THEN ?10 ELSE request END, served = max(served, ?9), table_id = ?4",
	[SETTLE_CANCELLED] =
		"UPDATE state SET run = 0, interruptions = 0, served = max(served, ?9)" KEEP HERE,
};

/* Taken out of the queue. ?3 as for what is skipped. */
static const char drop_sql[] =
	"INSERT INTO state(model, start, table_id, run, attempt, running_since, owner, request, served)"
	" VALUES (?1, ?2, ?4, 0, ?3, 0, 0, 0, ?9)"
	" ON CONFLICT DO UPDATE SET run = 0, interruptions = 0, served = max(served, ?9)" KEEP;

static int settling_open(struct settling *g, struct store *s, struct error *err)
{
	g->s = s;
	int r = reader_open(&g->reader, s->file_db, s->queue_db, err);
	for (int i = 0; i < KINDS && r == 0; i++)
		r = db_prepare(s->queue_db, settle_sql[i], &g->put[i], err);
	if (r == 0)
		r = db_prepare(s->queue_db, drop_sql, &g->drop, err);
	if (r == 0)
		r = db_prepare(s->queue_db,
			       "INSERT INTO attempt(model, start, attempt, outcome, at, seconds, request, "
			       "sqlstate, message)"
			       " SELECT model, start, ?3, ?4, ?5, ?6 / 1e6, CASE WHEN ?9 THEN ?9 ELSE "
			       "request END, ?7, ?8"
			       " FROM state"
			       " WHERE model = ?1 AND start = ?2",
			       &g->history, err);
	return r;
}

static void settling_close(struct settling *g)
{
	reader_close(&g->reader);
	for (int i = 0; i < KINDS; i++)
		sqlite3_finalize(g->put[i]);
	sqlite3_finalize(g->drop);
	sqlite3_finalize(g->history);
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static const char *history_name(enum settle_kind kind)
{
	switch (kind) {
	case SETTLE_INTERRUPTED:
		return "interrupted";
	case SETTLE_SKIPPED:
		return "skipped";
	case SETTLE_CANCELLED:
		return "cancelled";
	case SETTLE_FAILED:
	case SETTLE_REQUEUED:
	case SETTLE_UNSTARTED:
		break;
	}
	return "failed";
}

static int tell(struct settling *g, const struct store_outcome *o, const struct target *t, int64_t start,
		uint32_t attempt, struct error *err)
{
	bool cancelled = o->kind == SETTLE_CANCELLED;
	int r = db_bind(g->history, err, "iiitiitti", t->queue_id, start, (int64_t)attempt,
			history_name(o->kind), o->finished, o->finished - o->started,
			cancelled ? "" : text(o->sqlstate), cancelled ? "" : text(o->message),
			o->attempt ? 0 : o->request);
	if (r == 0 && !o->attempt)
		sqlite3_bind_null(g->history, 6);
	return r == 0 ? db_run(g->history, err) : r;
}

static int put_outcome(struct settling *g, struct store_outcome *o, const struct target *t, int64_t start,
		       uint32_t attempt, struct error *err)
{
	sqlite3_stmt *stmt = o->kind == SETTLE_CANCELLED && !o->attempt ? g->drop : g->put[o->kind];
	static const char types[] = "iiiiiittii";
	char bound[sizeof types];
	snprintf(bound, sizeof bound, "%.*s", sqlite3_bind_parameter_count(stmt), types);
	int r = db_bind(stmt, err, bound, t->queue_id, start, (int64_t)attempt, t->table_id, o->started,
			o->finished, text(o->sqlstate), text(o->message), o->wanted, o->request);
	if (r == 0)
		r = db_run(stmt, err);
	if (r == 0 && sqlite3_changes(g->s->queue_db) == 0)
		o->result = -ESTALE;
	if (r < 0 || o->result < 0 || o->kind == SETTLE_UNSTARTED)
		return r;
	return tell(g, o, t, start, attempt, err);
}

/* Whether the outcome is still about the batch as it is now. */
static bool applies(const struct store_outcome *o, const struct batch_row *row)
{
	const struct store_state *st = &row->state;
	if (!o->attempt)
		return (st->run == ROW_REQUEUED && (!o->before || st->served < o->before)) ||
		       (st->run == ROW_IDLE && st->served < o->wanted);
	/* What FILE has as done is done (private.h, invariant 2). */
	return !(st->outcome == OUTCOME_DONE && st->run == ROW_IDLE && st->attempt >= o->attempt);
}

static int one_outcome(struct settling *g, struct store_outcome *o, struct error *err)
{
	const struct model *m = g->s->targets[o->model].model;
	struct target t = target_copy(g->s, o->model);
	int64_t start = calendar_start(m->batch_size, o->batch);
	struct batch_row row;
	o->result = 0;
	int r = reader_get(&g->reader, &t, start, &row, err);
	if (r < 0)
		return r;
	if (!applies(o, &row)) {
		o->result = -ESTALE;
		return 0;
	}
	uint32_t attempt = o->attempt ? o->attempt : row.last_attempt;
	r = put_outcome(g, o, &t, start, attempt, err);
	if (o->result == 0)
		o->attempt = attempt;
	return r;
}

int sqlite_settle(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err)
{
	struct settling g = {0};
	int r = connect_control(s, err);
	if (r < 0)
		return r;
	r = settling_open(&g, s, err);
	if (r == 0)
		r = db_exec(s->queue_db, "BEGIN IMMEDIATE", err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = one_outcome(&g, &outcomes[i], err);
	settling_close(&g);
	if (r == 0)
		r = db_exec(s->queue_db, "COMMIT", err);
	db_rollback(s->queue_db);
	return r;
}
