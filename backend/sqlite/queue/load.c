/* SPDX-License-Identifier: Apache-2.0 */
/* Everything recorded, streamed: two cursors, what was tried and what is done, merged by the start of the
 * batch. */
#include "backend/sqlite/queue/private.h"

static struct ordinal_range touched(const struct model *m, int64_t start, int64_t end)
{
	return calendar_touched(m->batch_size, start, end);
}

static bool request_fits(sqlite3_stmt *stmt)
{
	static const int integers[] = {0, 1, 2, 3, 4, 8, 9};
	for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
		if (sqlite3_column_type(stmt, integers[i]) != SQLITE_INTEGER)
			return false;
	int64_t start = sqlite3_column_int64(stmt, 2), end = sqlite3_column_int64(stmt, 3);
	return start >= CALENDAR_MIN_US && start < end && end <= CALENDAR_END_US;
}

static int load_known(sqlite3 *db, slot model, int64_t queue_id, const struct store_sink *sink,
		      struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_MODEL_SEQ, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", queue_id);
	if (r == 0)
		r = db_step(stmt, err);
	if (r == 1 && sink->known)
		sink->known(sink->ctx, model, (struct store_known){.seq = sqlite3_column_int64(stmt, 0)});
	return r < 0 ? r : 0;
}

int load_requests(struct store *s, sqlite3 *db, slot model, int64_t queue_id, const struct store_sink *sink,
		  struct error *err)
{
	const struct model *m = s->models[model].model;
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_REQUESTS_OF, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", queue_id);
	while (r == 0 && (r = db_step(stmt, err)) == 1) {
		struct store_request_row row = {
			.id = sqlite3_column_int64(stmt, 0),
			.seq = sqlite3_column_int64(stmt, 1),
			.model = model,
			.batches = touched(m, sqlite3_column_int64(stmt, 2), sqlite3_column_int64(stmt, 3)),
			.uid = (uint32_t)sqlite3_column_int64(stmt, 4),
			.command = db_text(stmt, 5),
			.reason = (const char *)sqlite3_column_text(stmt, 6),
			.code = db_text(stmt, 7),
			.at = sqlite3_column_int64(stmt, 8),
			.open = sqlite3_column_int(stmt, 9) != 0,
		};
		r = 0;
		if (request_fits(stmt))
			sink->request(sink->ctx, &row);
		else
			log_warning(s->config.log, "%s: the request %lld of %s is damaged and left out",
				    s->path, (long long)row.id, m->dir);
	}
	return r == 0 ? load_known(db, model, queue_id, sink, err) : r;
}

/* A cursor over rows by start; stmt NULL: there is no such table. */
struct cursor {
	sqlite3_stmt *stmt;
	enum batch_size size;
	bool row;
};

static int advance(struct cursor *c, struct error *err)
{
	int r;
	do
		r = c->stmt ? db_step(c->stmt, err) : 0;
	while (r == 1 && !row_start_fits(c->size, c->stmt, 0));
	c->row = r == 1;
	return r < 0 ? r : 0;
}

static void report(const struct store_sink *sink, enum batch_size size, slot model, int64_t start,
		   struct batch_row *row)
{
	struct store_state *st = &row->state;
	if (st->run == ROW_IDLE && st->outcome == OUTCOME_NONE && st->served == 0)
		return;
	st->model = model;
	st->batch = calendar_ordinal(size, start);
	sink->state(sink->ctx, st);
}

static int merge(slot model, const struct queue_model *qm, struct cursor *done, struct cursor *tried,
		 const struct store_sink *sink, struct error *err)
{
	int r = advance(done, err);
	if (r == 0)
		r = advance(tried, err);
	while (r == 0 && (done->row || tried->row)) {
		struct done_row d;
		struct tried_row q;
		struct batch_row row;
		if (done->row)
			done_read(done->stmt, &d);
		if (tried->row)
			tried_read(tried->stmt, &q);
		bool use_done = done->row && (!tried->row || d.start <= q.start);
		bool use_tried = tried->row && (!done->row || q.start <= d.start);
		merge_rows(qm, use_done ? &d : NULL, use_tried ? &q : NULL, &row);
		report(sink, qm->size, model, use_done ? d.start : q.start, &row);
		if (use_done)
			r = advance(done, err);
		if (use_tried && r == 0)
			r = advance(tried, err);
	}
	return r;
}

int queue_load_states(struct store *s, sqlite3 *db, const struct done_rows *done, slot model,
		      const struct store_sink *sink, struct error *err)
{
	struct queue_model qm = queue_model_of(s, model);
	auto_stmt *tried = NULL;
	int r = 0;
	if (done->all) {
		sqlite3_reset(done->all);
		r = db_bind(done->all, err, "i", qm.table_id);
	}
	if (r == 0 && db && qm.queue_id)
		r = db_prepare(db, SQL_TRIED_ALL, &tried, err);
	if (r == 0 && tried)
		r = db_bind(tried, err, "i", qm.queue_id);
	enum batch_size size = qm.size;
	struct cursor of_done = {.stmt = done->all, .size = size}, of_tried = {.stmt = tried, .size = size};
	if (r == 0)
		r = merge(model, &qm, &of_done, &of_tried, sink, err);
	if (done->all)
		sqlite3_reset(done->all);
	return r;
}

int queue_load(struct store *s, sqlite3 *db, const struct done_rows *done, const struct store_sink *sink,
	       struct error *err)
{
	bool present = false;
	slot n = (slot)s->n;
	int r = db ? queue_schema_check(db, &present, err) : 0;
	if (!present)
		db = NULL;
	/* The queue before what is done: what is found there in addition is then newer, never older. */
	if (r == 0 && db)
		r = db_exec(db, "BEGIN", err);
	for (slot i = 0; i < n && r == 0 && db; i++) {
		struct queue_model qm = queue_model_of(s, i);
		bool some = qm.enlisted && !qm.loaded && !qm.gone && qm.queue_id;
		if (some)
			r = load_freezes(s, db, i, qm.queue_id, sink, err);
		if (r == 0 && some)
			r = load_requests(s, db, i, qm.queue_id, sink, err);
		if (r == 0 && some)
			r = load_refresh(s, db, i, qm.queue_id, sink, err);
		if (r == 0 && some)
			r = load_answers(s, db, i, sink, err);
	}
	for (slot i = 0; i < n && r == 0; i++) {
		struct queue_model *qm = &s->models[i];
		if (!qm->enlisted || qm->loaded || qm->gone)
			continue;
		bool anew = qm->astray;
		if (anew)
			sink->forget(sink->ctx, i);
		qm->astray = false;
		r = queue_load_states(s, db, done, i, sink, err);
		if (anew)
			sink->told(sink->ctx, i);
		if (r == 0 && db && qm->queue_id)
			r = load_validations(s, db, i, sink, err);
		qm->loaded = r == 0;
		qm->loaded_begin = qm->model->begin;
	}
	return r;
}
