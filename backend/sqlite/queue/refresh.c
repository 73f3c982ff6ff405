/* SPDX-License-Identifier: Apache-2.0 */
/* Full refreshes: how they are asked for, how they go from phase to phase, how they are read. */
#include <string.h>

#include "backend/freeze.h"
#include "backend/sqlite/queue/private.h"

/* 1: a row, of which *f is filled, with the statement's own strings; *start: its 4th column. */
static int find_one(sqlite3_stmt *stmt, struct store_freeze *f, int64_t *start, struct error *err)
{
	int r = db_step(stmt, err);
	if (r != 1)
		return r;
	*f = (struct store_freeze){.uid = (uint32_t)sqlite3_column_int64(stmt, 0),
				   .command = db_text(stmt, 1),
				   .at = sqlite3_column_int64(stmt, 2)};
	if (start)
		*start = sqlite3_column_int64(stmt, 3);
	return 1;
}

static int check_protected(struct store *s, const struct store_request *of, struct store_request *rq,
			   struct error *err)
{
	struct queue_model qm = queue_model_of(s, of->model);
	struct store_freeze f;
	char because[FREEZE_WHY_MAX];
	auto_stmt *stmt = NULL;
	int r = db_prepare(s->db, SQL_FULL_PROTECTED, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", qm.queue_id);
	if (r == 0)
		r = find_one(stmt, &f, NULL, err);
	if (r != 1)
		return r;
	freeze_why_protected(f.uid, f.command, f.at, because);
	rq->result = refresh_protected(&rq->err, qm.model, because);
	return 0;
}

static int check_frozen(struct store *s, const struct store_request *of, struct store_request *rq,
			struct error *err)
{
	struct queue_model qm = queue_model_of(s, of->model);
	struct store_freeze f;
	int64_t start;
	auto_stmt *stmt = NULL;
	int r = db_prepare(s->db, SQL_FULL_FROZEN, &stmt, err);
	/* With the table all goes. */
	int64_t first = of->anew ? CALENDAR_MIN_US : calendar_start(qm.size, of->batches.first);
	int64_t end = of->anew ? CALENDAR_END_US : calendar_start(qm.size, of->batches.end);
	if (r == 0)
		r = db_bind(stmt, err, "iii", qm.queue_id, first, end);
	if (r == 0)
		r = find_one(stmt, &f, &start, err);
	if (r != 1)
		return r;
	rq->result = refresh_frozen(&rq->err, qm.model, &f, calendar_ordinal(qm.size, start));
	return 0;
}

static int check_busy(struct store *s, const struct store_request *of, struct store_request *rq,
		      struct error *err)
{
	struct queue_model qm = queue_model_of(s, of->model);
	struct store_freeze f;
	auto_stmt *stmt = NULL;
	int r = db_prepare(s->db, SQL_FULL_BUSY, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "ib", qm.queue_id, of->uuid);
	if (r == 0)
		r = find_one(stmt, &f, NULL, err);
	if (r != 1)
		return r;
	rq->result = refresh_busy(&rq->err, qm.model, &f);
	return 0;
}

/* Of all that stand and fall with it. */
static int check(struct store *s, struct store_request *rq, const struct store_request *all, size_t n,
		 struct error *err)
{
	int (*const checks[])(struct store *, const struct store_request *, struct store_request *,
			      struct error *) = {check_protected, check_frozen, check_busy};
	int r = 0;
	for (size_t c = 0; c < sizeof checks / sizeof *checks; c++)
		for (size_t i = 0; i < n && r == 0 && rq->result == 0; i++)
			if (all[i].kind == REQUEST_FULL &&
			    memcmp(all[i].uuid, rq->uuid, sizeof rq->uuid / 2) == 0)
				r = checks[c](s, &all[i], rq, err);
	return r;
}

static int next_seq(struct store *s, int64_t queue_id, int64_t *seq, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(s->db, SQL_NEXT_SEQ, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", queue_id);
	if (r == 0)
		r = db_step(stmt, err);
	*seq = r == 1 ? sqlite3_column_int64(stmt, 0) : 0;
	return r == 0 ? error_set(err, EIO, "%s has lost a model", s->path) : r < 0 ? r : 0;
}

static int add(struct store *s, struct store_request *rq, const struct queue_model *qm, struct error *err)
{
	int64_t start = calendar_start(qm->size, rq->batches.first);
	int64_t end = calendar_start(qm->size, rq->batches.end);
	auto_stmt *made = NULL, *begun = NULL;
	int r = next_seq(s, qm->queue_id, &rq->seq, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_FULL_ADD, &made, err);
	if (r == 0)
		r = db_bind(made, err, "iiiiittibti", qm->queue_id, rq->seq, start, end, (int64_t)rq->uid,
			    rq->command, qm->model->code, rq->at, rq->uuid, rq->reason, (int64_t)rq->anew);
	if (r == 0)
		r = db_run(made, err);
	rq->id = sqlite3_last_insert_rowid(s->db);
	rq->phase = rq->anew ? REFRESH_FIRST : REFRESH_CLEAR;
	if (r == 0)
		r = db_prepare(s->db, SQL_FULL_BEGIN, &begun, err);
	if (r == 0)
		r = db_bind(begun, err, "iiiiit", qm->queue_id, rq->id, start, end, rq->at,
			    refresh_phase_word(rq->phase));
	return r == 0 ? db_run(begun, err) : r;
}

int refresh_record(struct store *s, struct store_request *rq, const struct queue_model *qm,
		   const struct store_request *all, size_t n, struct error *err)
{
	int r = check(s, rq, all, n, err);
	return r == 0 && rq->result == 0 ? add(s, rq, qm, err) : r;
}

int load_refresh(struct store *s, sqlite3 *db, slot model, int64_t queue_id, const struct store_sink *sink,
		 struct error *err)
{
	const struct model *m = s->models[model].model;
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_REFRESH_OF, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", queue_id);
	if (r == 0)
		r = db_step(stmt, err);
	if (r != 1)
		return r;
	const struct store_refresh f = {
		.model = model,
		.id = sqlite3_column_int64(stmt, 0),
		.phase = refresh_phase_of(db_text(stmt, 1)),
		.batches = calendar_touched(m->batch_size, sqlite3_column_int64(stmt, 2),
					    sqlite3_column_int64(stmt, 3)),
		.since = sqlite3_column_int64(stmt, 4),
		.build_at = sqlite3_column_int64(stmt, 5),
		.uid = (uint32_t)sqlite3_column_int64(stmt, 6),
		.command = db_text(stmt, 7),
		.reason = (const char *)sqlite3_column_text(stmt, 8),
		.rows_outside = sqlite3_column_int64(stmt, 9),
		.rows_without_event_time = sqlite3_column_int64(stmt, 10),
		.result = refresh_result_of(db_text(stmt, 11)),
		.finished_at = sqlite3_column_int64(stmt, 12),
		.error = db_text(stmt, 13),
	};
	sink->refresh(sink->ctx, &f);
	return 0;
}

/* Its request is one that is made now. */
static int open_request(struct store *s, const struct refresh_step *step, int64_t queue_id, struct error *err)
{
	int64_t seq;
	auto_stmt *stmt = NULL;
	int r = next_seq(s, queue_id, &seq, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_FULL_OPEN, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "iii", step->id, seq, step->at);
	return r == 0 ? db_run(stmt, err) : r;
}

static int advance(struct store *s, struct refresh_step *step, int64_t queue_id, struct error *err)
{
	const char *to = refresh_phase_word(step->to);
	auto_stmt *stmt = NULL;
	int r = db_prepare(s->db, SQL_REFRESH_ADVANCE, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "iittittii", queue_id, step->id, refresh_phase_word(step->from),
			    to ? to : "", step->at, refresh_result_word(step->result),
			    step->error ? step->error : "", step->rows_outside,
			    step->rows_without_event_time);
	if (r == 0)
		r = db_step(stmt, err);
	step->taken = r == 1 ? 0 : -ESTALE;
	if (r == 1 && step->from == REFRESH_CLEAR && step->to == REFRESH_BUILD)
		return open_request(s, step, queue_id, err);
	return r < 0 ? r : 0;
}

/* The table is another one from now on, in which the first batch alone is built. */
static int make_anew(struct store *s, const struct refresh_step *step, const struct queue_model *qm,
		     int64_t table_id, struct error *err)
{
	auto_stmt *table = NULL, *first = NULL;
	int r = db_prepare(s->db, SQL_ANEW_TABLE, &table, err);
	if (r == 0)
		r = db_bind(table, err, "iii", qm->queue_id, table_id, step->at);
	if (r == 0)
		r = db_run(table, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_ANEW_FIRST, &first, err);
	if (r == 0)
		r = db_bind(first, err, "iii", qm->queue_id, table_id, calendar_start(qm->size, step->first));
	return r == 0 ? db_run(first, err) : r;
}

/* Nothing else of it is built. *doubted: whether the table is known no more. */
static int give_up(struct store *s, const struct refresh_step *step, const struct queue_model *qm,
		   bool *doubted, struct error *err)
{
	auto_stmt *close = NULL, *doubt = NULL;
	int r = db_prepare(s->db, SQL_ANEW_CLOSE, &close, err);
	if (r == 0)
		r = db_bind(close, err, "i", step->id);
	if (r == 0)
		r = db_run(close, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_ANEW_DOUBT, &doubt, err);
	if (r == 0)
		r = db_bind(doubt, err, "ii", qm->queue_id, calendar_start(qm->size, step->first));
	if (r == 0)
		r = db_step(doubt, err);
	*doubted = r == 1;
	return r < 0 ? r : 0;
}

/* What a step from the phase FIRST has made of the table. */
struct left_first {
	int64_t table_id; /* of the new one; 0: that is not known to be one */
	bool doubted;
};

/* Inside the transaction. */
static int leave_first(struct store *s, const struct refresh_step *step, const struct queue_model *qm,
		       struct left_first *out, struct error *err)
{
	switch (step->to) {
	case REFRESH_BUILD:
		out->table_id = fresh_id();
		return make_anew(s, step, qm, out->table_id, err);
	case REFRESH_OVER:
		return give_up(s, step, qm, &out->doubted, err);
	case REFRESH_CLEAR:
	case REFRESH_BESIDE:
	case REFRESH_EXCHANGE:
	case REFRESH_FIRST:
		break;
	}
	return error_set(err, EINVAL, "a full refresh goes from its first batch to no such phase");
}

/* When that has committed. What a look has recorded meanwhile stays. */
static void note_left(struct store *s, slot model, const struct left_first *left)
{
	LOCKED(&s->lock);
	struct queue_model *qm = &s->models[model];
	if (left->table_id)
		qm->table_id = left->table_id;
	qm->looked = left->table_id || (qm->looked && !left->doubted);
}

int queue_refresh(struct store *s, struct refresh_step *step, const struct store_sink *sink,
		  struct error *err)
{
	struct queue_model qm = queue_model_of(s, step->model);
	struct left_first left = {0};
	step->taken = -ESTALE;
	if (!qm.enlisted || !qm.queue_id)
		return 0;
	int r = connect_control(s, err);
	if (r == 0)
		r = queue_begin(s, err);
	if (r == 0)
		r = advance(s, step, qm.queue_id, err);
	if (r == 0 && step->taken == 0 && step->from == REFRESH_FIRST)
		r = leave_first(s, step, &qm, &left, err);
	if (r == 0)
		r = queue_commit(s, err);
	if (s->db)
		db_rollback(s->db);
	if (r == 0)
		note_left(s, step->model, &left);
	if (r == 0 && step->to == REFRESH_BUILD)
		r = load_requests(s, s->db, step->model, qm.queue_id, sink, err);
	return r == 0 ? load_refresh(s, s->db, step->model, qm.queue_id, sink, err) : r;
}

int refresh_is_first(sqlite3 *db, int64_t queue_id, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_REFRESH_IS_FIRST, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", queue_id);
	return r == 0 ? db_step(stmt, err) : r;
}

int queue_refresh_clears(sqlite3 *db, int64_t queue_id, int64_t id, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_REFRESH_CLEARS, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "ii", queue_id, id);
	return r == 0 ? db_step(stmt, err) : r;
}
