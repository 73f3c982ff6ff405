/* SPDX-License-Identifier: Apache-2.0 */
/* Everything recorded, streamed: two cursors, merged by the start of the batch. */
#include "backend/sqlite/private.h"

static struct ordinal_range touched(const struct model *m, int64_t start, int64_t end)
{
	return calendar_touched(m->batch_size, start, end);
}

static int load_requests(struct store *s, sqlite3 *queue, slot model, int64_t queue_id,
			 const struct store_sink *sink, struct error *err)
{
	const struct model *m = s->targets[model].model;
	auto_stmt *stmt = NULL;
	int r = db_prepare(
		queue,
		"SELECT id, seq, range_start, range_end, uid, command, reason, code, at, open FROM request"
		" WHERE model = ?1 AND kind = 'build' AND (open OR id IN (SELECT request FROM state WHERE "
		"model = ?1)) ORDER BY "
		"seq",
		&stmt, err);
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
		sink->request(sink->ctx, &row);
		r = 0;
	}
	return r;
}

/* A cursor over rows by start; stmt NULL: there is no such table. */
struct cursor {
	sqlite3_stmt *stmt;
	bool row;
};

static int advance(struct cursor *c, struct error *err)
{
	int r = c->stmt ? db_step(c->stmt, err) : 0;
	c->row = r == 1;
	return r < 0 ? r : 0;
}

static void report(const struct store_sink *sink, const struct model *m, slot model, int64_t start,
		   struct batch_row *row)
{
	struct store_state *st = &row->state;
	if (st->run == ROW_IDLE && st->outcome == OUTCOME_NONE && st->served == 0)
		return;
	st->model = model;
	st->batch = calendar_ordinal(m->batch_size, start);
	sink->state(sink->ctx, st);
}

static int merge(struct store *s, slot model, const struct target *t, struct cursor *done,
		 struct cursor *tried, const struct store_sink *sink, struct error *err)
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
		merge_rows(t, use_done ? &d : NULL, use_tried ? &q : NULL, &row);
		report(sink, s->targets[model].model, model, use_done ? d.start : q.start, &row);
		if (use_done)
			r = advance(done, err);
		if (use_tried && r == 0)
			r = advance(tried, err);
	}
	return r;
}

int load_states(struct store *s, sqlite3 *file, sqlite3 *queue, bool tables, slot model,
		const struct store_sink *sink, struct error *err)
{
	struct target copy = target_copy(s, model), *t = &copy;
	auto_stmt *done = NULL, *tried = NULL;
	int r = 0;
	if (tables)
		r = db_prepare(file,
			       "SELECT " DONE_COLUMNS " FROM batchfs_state WHERE model = ? ORDER BY start",
			       &done, err);
	if (r == 0 && done)
		r = db_bind(done, err, "i", t->table_id);
	if (r == 0 && queue && t->queue_id)
		r = db_prepare(queue, "SELECT " TRIED_COLUMNS " FROM state WHERE model = ? ORDER BY start",
			       &tried, err);
	if (r == 0 && tried)
		r = db_bind(tried, err, "i", t->queue_id);
	struct cursor of_file = {.stmt = done}, of_queue = {.stmt = tried};
	return r == 0 ? merge(s, model, t, &of_file, &of_queue, sink, err) : r;
}

int sqlite_load(struct store *s, const struct store_sink *sink, struct error *err)
{
	auto_db *file = NULL, *queue = NULL;
	bool tables = false, queued = false;
	int n = (int)s->n;
	int r = store_usable(s, err);
	if (r == 0)
		r = connect_file(s, &s->patience, &file, err);
	if (r == 0)
		r = connect_queue(s, &s->patience, &queue, err);
	if (r == 0)
		r = schema_check(file, &tables, err);
	if (r == 0 && queue)
		r = schema_check(queue, &queued, err);
	/* FILE-queue first: what FILE has in addition is then newer, never older. */
	if (r == 0 && queued)
		r = db_exec(queue, "BEGIN", err);
	for (int i = 0; i < n && r == 0 && queued; i++) {
		struct target t = target_copy(s, i);
		if (t.enlisted && t.queue_id)
			r = load_freezes(s, queue, i, t.queue_id, sink, err);
		if (r == 0 && t.enlisted && t.queue_id)
			r = load_requests(s, queue, i, t.queue_id, sink, err);
	}
	for (int i = 0; i < n && r == 0; i++) {
		struct target t = target_copy(s, i);
		if (t.enlisted)
			r = load_states(s, file, queued ? queue : NULL, tables, i, sink, err);
	}
	return r;
}
