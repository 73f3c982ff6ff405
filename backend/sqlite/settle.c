/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/sqlite/private.h"

struct settling {
	struct store *s;
	struct row_reader reader;
	sqlite3_stmt *put[SETTLE_UNSTARTED + 1], *history;
};

/*
 * ?1 model, ?2 start, ?3 attempt, ?4 the table of now, ?5 started, ?6 finished, ?7 sqlstate, ?8 message.
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
};

static int settling_open(struct settling *g, struct store *s, struct error *err)
{
	g->s = s;
	int r = reader_open(&g->reader, s->file_db, s->queue_db, err);
	for (int i = 0; i <= SETTLE_UNSTARTED && r == 0; i++)
		r = db_prepare(s->queue_db, settle_sql[i], &g->put[i], err);
	if (r == 0)
		r = db_prepare(s->queue_db,
			       "INSERT INTO attempt(model, start, attempt, outcome, at, seconds, request, "
			       "sqlstate, message)"
			       " SELECT model, start, ?3, ?4, ?5, ?6 / 1e6, request, ?7, ?8 FROM state"
			       " WHERE model = ?1 AND start = ?2",
			       &g->history, err);
	return r;
}

static void settling_close(struct settling *g)
{
	reader_close(&g->reader);
	for (int i = 0; i <= SETTLE_UNSTARTED; i++)
		sqlite3_finalize(g->put[i]);
	sqlite3_finalize(g->history);
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static int put_outcome(struct settling *g, struct store_outcome *o, const struct target *t, int64_t start,
		       struct error *err)
{
	sqlite3_stmt *stmt = g->put[o->kind];
	int n = sqlite3_bind_parameter_count(stmt);
	int r = n == 4 ? db_bind(stmt, err, "iiii", t->queue_id, start, (int64_t)o->attempt, t->table_id)
		       : db_bind(stmt, err, "iiiiiitt", t->queue_id, start, (int64_t)o->attempt, t->table_id,
				 o->started, o->finished, text(o->sqlstate), text(o->message));
	if (r == 0)
		r = db_run(stmt, err);
	if (r == 0 && sqlite3_changes(g->s->queue_db) == 0)
		o->result = -ESTALE;
	if (r < 0 || o->result < 0 || o->kind == SETTLE_UNSTARTED)
		return r;
	r = db_bind(g->history, err, "iiitiitt", t->queue_id, start, (int64_t)o->attempt,
		    o->kind == SETTLE_INTERRUPTED ? "interrupted" : "failed", o->finished,
		    o->finished - o->started, text(o->sqlstate), text(o->message));
	return r == 0 ? db_run(g->history, err) : r;
}

static int one_outcome(struct settling *g, struct store_outcome *o, struct error *err)
{
	const struct model *m = &g->s->config.catalog->models[o->model];
	struct target t = target_copy(g->s, o->model);
	int64_t start = calendar_start(m->batch_size, o->batch);
	struct batch_row row;
	o->result = 0;
	int r = reader_get(&g->reader, &t, start, &row, err);
	if (r < 0)
		return r;
	/* What FILE has as done is done (private.h, invariant 2). */
	if (row.state.outcome == OUTCOME_DONE && row.state.run == ROW_IDLE &&
	    row.state.attempt >= o->attempt) {
		o->result = -ESTALE;
		return 0;
	}
	return put_outcome(g, o, &t, start, err);
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
