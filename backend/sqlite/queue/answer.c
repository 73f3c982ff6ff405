/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges that were answered without being built: a row each, in force for the batches whose own row is served
 * less. */
#include <string.h>

#include "backend/kinds.h"
#include "backend/sqlite/queue/private.h"

int answer_reader_open(struct answer_reader *a, sqlite3 *db, struct error *err)
{
	int r = db_prepare(db, SQL_ANSWER_SERVED, &a->served, err);
	if (r == 0)
		r = db_prepare(db, SQL_ANSWER_SKIPPED, &a->skipped, err);
	if (r == 0)
		r = db_prepare(db, SQL_SETTLE_SKIPPED, &a->unfold, err);
	return r;
}

void answer_reader_close(struct answer_reader *a)
{
	sqlite3_finalize(a->served);
	sqlite3_finalize(a->skipped);
	sqlite3_finalize(a->unfold);
}

static void put_skipped(struct answer_reader *a, struct batch_row *out)
{
	struct store_state *st = &out->state;
	out->in_answer = true;
	st->outcome = (enum row_outcome)sqlite3_column_int(a->skipped, 4);
	st->started = st->finished = sqlite3_column_int64(a->skipped, 1);
	if (sqlite3_column_int64(a->skipped, 2))
		st->request = sqlite3_column_int64(a->skipped, 2);
	st->rows_deleted = st->rows_inserted = st->rows_outside = -1;
	st->adopted = false;
	st->sqlstate = "";
	st->message = db_text(a->skipped, 3);
}

int answer_put(struct answer_reader *a, const struct queue_model *qm, int64_t start, struct batch_row *out,
	       struct error *err)
{
	struct store_state *st = &out->state;
	sqlite3_reset(a->served);
	sqlite3_reset(a->skipped);
	int r = db_bind(a->served, err, "ii", qm->queue_id, start);
	if (r == 0)
		r = db_step(a->served, err);
	int64_t served = r == 1 ? sqlite3_column_int64(a->served, 0) : 0, before = st->served;
	if (r < 0 || st->run != ROW_IDLE || served <= before)
		return r < 0 ? r : 0;
	st->served = served;
	r = db_bind(a->skipped, err, "iii", qm->queue_id, start, qm->table_id);
	if (r == 0)
		r = db_step(a->skipped, err);
	if (r == 1 && !qm->is_void && sqlite3_column_int64(a->skipped, 0) > before)
		put_skipped(a, out);
	return r < 0 ? r : 0;
}

int answer_unfold(struct answer_reader *a, const struct queue_model *qm, int64_t start,
		  const struct batch_row *row, struct error *err)
{
	const struct store_state *st = &row->state;
	if (!row->in_answer)
		return 0;
	int r = db_bind(a->unfold, err, "iiiiiittiii", qm->queue_id, start, (int64_t)row->last_attempt,
			qm->table_id, st->started, st->finished, "", st->message, st->served, st->request,
			(int64_t)st->outcome);
	return r == 0 ? db_run(a->unfold, err) : r;
}

/* Of a statement that gives one number; *out stays as it is where that is null. */
static int number(sqlite3 *db, const char *sql, const char *types, const int64_t *values, int64_t *out,
		  struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, sql, &stmt, err);
	for (int i = 0; r == 0 && types[i]; i++)
		sqlite3_bind_int64(stmt, i + 1, values[i]);
	if (r == 0)
		r = db_step(stmt, err);
	if (r == 1 && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		*out = sqlite3_column_int64(stmt, 0);
	return r < 0 ? r : 0;
}

static int add(struct store *s, struct store_outcome *o, const struct queue_model *qm, int64_t start,
	       int64_t end, int64_t served, struct error *err)
{
	enum batch_size size = s->models[o->model].size;
	enum row_outcome shows = settle_traits(o->kind)->shows;
	const char *message = shows && o->message ? o->message : "";
	auto_stmt *put = NULL, *tell = NULL;
	int r = db_prepare(s->db, SQL_ANSWER_ADD, &put, err);
	if (r == 0)
		r = db_bind(put, err, "iiiiiiiit", qm->queue_id, start, end, qm->table_id, (int64_t)shows,
			    served, o->finished, o->request, message);
	if (r == 0)
		r = db_run(put, err);
	o->id = sqlite3_last_insert_rowid(s->db);
	if (r == 0)
		r = db_prepare(s->db, SQL_ANSWER_ENDED, &tell, err);
	if (r == 0)
		r = db_bind(tell, err, "iiiitiit", qm->queue_id, start,
			    calendar_start(size, calendar_ordinal(size, end) - 1), (int64_t)o->last,
			    settle_traits(o->kind)->history, o->finished, o->request, message);
	return r == 0 ? db_run(tell, err) : r;
}

/* *taken: the first batch from `start` on that another has taken; as it was: none before `end`. */
static int find_taken(struct store *s, const struct store_outcome *o, int64_t start, int64_t end,
		      int64_t *taken, struct error *err)
{
	struct queue_model qm = queue_model_of(s, o->model);
	int64_t served = o->wanted > o->before ? o->wanted : o->before;
	return number(s->db, SQL_ANSWER_TAKEN, "iiiiii",
		      (int64_t[]){qm.queue_id, start, end, o->lowest, served, o->last}, taken, err);
}

/* Moves *until, where something is taken, past everything that is. */
static int pass_taken(struct store *s, const struct store_outcome *o, int64_t end, int64_t *until,
		      struct error *err)
{
	enum batch_size size = s->models[o->model].model->batch_size;
	struct queue_model qm = queue_model_of(s, o->model);
	int r = 0;
	while (r == 0 && *until < end) {
		int64_t at = *until, next = calendar_start(size, calendar_ordinal(size, at) + 1),
			taken = next;
		r = find_taken(s, o, at, next, &taken, err);
		if (r < 0 || taken != at)
			break;
		*until = next;
		r = number(s->db, SQL_ANSWER_UNTIL, "iii", (int64_t[]){qm.queue_id, at, o->lowest}, until,
			   err);
	}
	return r;
}

int answer_range(struct store *s, struct store_outcome *o, struct error *err)
{
	enum batch_size size = s->models[o->model].size;
	struct queue_model qm = queue_model_of(s, o->model);
	ordinal given = o->batch + o->count;
	int64_t start = calendar_start(size, o->batch), end = calendar_start(size, given), taken = end;
	int64_t served = o->wanted > o->before ? o->wanted : o->before;
	int r = find_taken(s, o, start, end, &taken, err);
	int64_t until = taken;
	if (r == 0)
		r = pass_taken(s, o, end, &until, err);
	if (r == 0 && taken > start)
		r = add(s, o, &qm, start, taken, served, err);
	o->count = calendar_ordinal(size, taken) - o->batch;
	o->next = until >= end ? given : calendar_ordinal(size, until);
	o->result = o->count ? 0 : -ESTALE;
	return r;
}

int load_answers(struct store *s, sqlite3 *db, slot model, const struct store_sink *sink, struct error *err)
{
	enum batch_size size = s->models[model].size;
	struct queue_model qm = queue_model_of(s, model);
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_ANSWERS_OF, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", qm.queue_id);
	while (r == 0 && (r = db_step(stmt, err)) == 1) {
		bool holds = !qm.is_void && sqlite3_column_int64(stmt, 3) == qm.table_id;
		struct store_answer a = {
			.id = sqlite3_column_int64(stmt, 0),
			.model = model,
			.batches = calendar_touched(size, sqlite3_column_int64(stmt, 1),
						    sqlite3_column_int64(stmt, 2)),
			.outcome = holds ? (enum row_outcome)sqlite3_column_int(stmt, 4) : OUTCOME_NONE,
			.served = sqlite3_column_int64(stmt, 5),
			.at = sqlite3_column_int64(stmt, 6),
			.request = sqlite3_column_int64(stmt, 7),
			.message = db_text(stmt, 8),
		};
		sink->answer(sink->ctx, &a);
		r = 0;
	}
	return r;
}

int queue_forget_answers(struct store *s, const int64_t *ids, size_t n, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = connect_control(s, err);
	if (r == 0)
		r = queue_begin(s, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_ANSWER_FORGET, &stmt, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = db_bind(stmt, err, "i", ids[i]);
		if (r == 0)
			r = db_run(stmt, err);
	}
	if (r == 0)
		r = queue_commit(s, err);
	if (s->db)
		db_rollback(s->db);
	return r;
}
