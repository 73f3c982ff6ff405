/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "backend/kinds.h"
#include "backend/sqlite/queue/private.h"

struct settling {
	struct store *s;
	struct row_reader reader;
	sqlite3_stmt *put[SETTLE_KINDS], *drop, *history;
};

static const char *const settle_sql[SETTLE_KINDS] = {
	[SETTLE_FAILED] = SQL_SETTLE_FAILED,	       [SETTLE_REQUEUED] = SQL_SETTLE_REQUEUED,
	[SETTLE_INTERRUPTED] = SQL_SETTLE_INTERRUPTED, [SETTLE_UNSTARTED] = SQL_SETTLE_UNSTARTED,
	[SETTLE_SKIPPED] = SQL_SETTLE_SKIPPED,	       [SETTLE_UNBUILDABLE] = SQL_SETTLE_SKIPPED,
	[SETTLE_CANCELLED] = SQL_SETTLE_CANCELLED,     [SETTLE_DONE] = SQL_SETTLE_DONE,
	[SETTLE_RETRACTED] = SQL_SETTLE_RETRACTED,
};

static int settling_open(struct settling *g, struct store *s, struct error *err)
{
	g->s = s;
	int r = reader_open(&g->reader, &s->done, s->db, err);
	for (int i = 0; i < SETTLE_KINDS && r == 0; i++)
		r = db_prepare(s->db, settle_sql[i], &g->put[i], err);
	if (r == 0)
		r = db_prepare(s->db, SQL_SETTLE_DROPPED, &g->drop, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_ATTEMPT_ENDED, &g->history, err);
	return r;
}

static void settling_close(struct settling *g)
{
	reader_close(&g->reader);
	for (int i = 0; i < SETTLE_KINDS; i++)
		sqlite3_finalize(g->put[i]);
	sqlite3_finalize(g->drop);
	sqlite3_finalize(g->history);
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static int tell(struct settling *g, const struct store_outcome *o, const struct queue_model *qm,
		int64_t start, uint32_t attempt, struct error *err)
{
	bool done = o->kind == SETTLE_DONE, failed = !done && o->kind != SETTLE_CANCELLED;
	int r = db_bind(g->history, err, "iiitiitticc", qm->queue_id, start, (int64_t)attempt,
			settle_traits(o->kind)->history, o->finished, o->finished - o->started,
			failed ? text(o->sqlstate) : "", failed ? text(o->message) : "",
			o->attempt ? INT64_C(0) : o->request, done ? o->rows_deleted : INT64_C(-1),
			done ? o->rows_inserted : INT64_C(-1));
	if (r == 0 && !o->attempt)
		sqlite3_bind_null(g->history, 6);
	return r == 0 ? db_run(g->history, err) : r;
}

static int put_outcome(struct settling *g, struct store_outcome *o, const struct queue_model *qm,
		       int64_t start, uint32_t attempt, struct error *err)
{
	sqlite3_stmt *stmt = o->kind == SETTLE_CANCELLED && !o->attempt ? g->drop : g->put[o->kind];
	static const char types[] = "iiiiiittiiccct";
	char bound[sizeof types];
	snprintf(bound, sizeof bound, "%.*s", sqlite3_bind_parameter_count(stmt), types);
	enum row_outcome shows = settle_traits(o->kind)->shows;
	int r = db_bind(stmt, err, bound, qm->queue_id, start, (int64_t)attempt, qm->table_id, o->started,
			o->finished, text(o->sqlstate), text(o->message), o->wanted, o->request,
			shows ? (int64_t)shows : o->rows_deleted, o->rows_inserted, o->rows_outside,
			o->code ? o->code : qm->model->code);
	if (r == 0)
		r = db_run(stmt, err);
	if (r == 0 && sqlite3_changes(g->s->db) == 0)
		o->result = -ESTALE;
	if (r < 0 || o->result < 0 || !settle_traits(o->kind)->history)
		return r;
	return tell(g, o, qm, start, attempt, err);
}

/* Whether the outcome is still about the batch as it is now. */
static bool applies(const struct store_outcome *o, const struct batch_row *row)
{
	const struct store_state *st = &row->state;
	if (!o->attempt)
		return (st->run == ROW_REQUEUED && (!o->before || st->served < o->before)) ||
		       (st->run == ROW_IDLE && st->served < o->wanted);
	if (o->kind == SETTLE_RETRACTED)
		return st->outcome == OUTCOME_DONE && st->run == ROW_IDLE && st->attempt == o->attempt;
	/* What is done elsewhere is done (queue.h, invariant 2). */
	return !(st->outcome == OUTCOME_DONE && st->run == ROW_IDLE && st->attempt >= o->attempt);
}

static int one_outcome(struct settling *g, struct store_outcome *o, struct error *err)
{
	const struct model *m = g->s->models[o->model].model;
	struct queue_model qm = queue_model_of(g->s, o->model);
	int64_t start = calendar_start(m->batch_size, o->batch);
	struct batch_row row;
	o->result = 0;
	int r = reader_get(&g->reader, &qm, start, &row, err);
	if (r < 0)
		return r;
	if (!applies(o, &row)) {
		o->result = -ESTALE;
		return 0;
	}
	uint32_t attempt = o->attempt ? o->attempt : row.last_attempt;
	r = answer_unfold(&g->reader.answers, &qm, start, &row, err);
	if (r == 0)
		r = put_outcome(g, o, &qm, start, attempt, err);
	if (o->result == 0)
		o->attempt = attempt;
	return r;
}

int queue_settle(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err)
{
	struct settling g = {0};
	int r = connect_control(s, err);
	if (r < 0)
		return r;
	r = queue_begin(s, err);
	if (r == 0)
		r = settling_open(&g, s, err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = outcomes[i].count > 1 && settle_traits(outcomes[i].kind)->of_queued
			    ? answer_range(s, &outcomes[i], err)
			    : one_outcome(&g, &outcomes[i], err);
	settling_close(&g);
	if (r == 0)
		r = queue_commit(s, err);
	db_rollback(s->db);
	return r;
}
