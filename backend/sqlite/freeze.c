/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is frozen: intervals of a model in FILE-queue, where claims are written, too, so that one
 * transaction comes before the other.
 */
#include <stdio.h>

#include "backend/freeze.h"
#include "backend/sqlite/private.h"

static int read_freeze(const struct model *m, sqlite3_stmt *stmt, struct store_freeze *out)
{
	*out = (struct store_freeze){.uid = (uint32_t)sqlite3_column_int64(stmt, 2),
				     .command = db_text(stmt, 3),
				     .at = sqlite3_column_int64(stmt, 4)};
	if (sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		out->batches = calendar_touched(m->batch_size, sqlite3_column_int64(stmt, 0),
						sqlite3_column_int64(stmt, 1));
	return 1;
}

/* ?1 model, ?2 a window's start */
const char freeze_find[] = "SELECT range_start, range_end, uid, command, at FROM freeze"
			   " WHERE model = ?1 AND range_start <= ?2 AND range_end > ?2";

int freeze_of(sqlite3_stmt *find, const struct model *m, int64_t queue_id, int64_t start,
	      struct store_freeze *out, struct error *err)
{
	sqlite3_reset(find);
	int r = db_bind(find, err, "ii", queue_id, start);
	if (r == 0)
		r = db_step(find, err);
	return r == 1 ? read_freeze(m, find, out) : r;
}

static int count(sqlite3 *queue, int64_t queue_id, size_t *n, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(queue, "SELECT count(*) FROM freeze WHERE model = ?", &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", queue_id);
	if (r == 0)
		r = db_step(stmt, err);
	*n = r == 1 ? (size_t)sqlite3_column_int64(stmt, 0) : 0;
	return r < 0 ? r : 0;
}

int load_freezes(struct store *s, sqlite3 *queue, slot model, int64_t queue_id, const struct store_sink *sink,
		 struct error *err)
{
	const struct model *m = s->targets[model].model;
	typedef char command_text[sizeof((struct store_request *)0)->command];
	auto_stmt *stmt = NULL;
	size_t most, n = 0;
	int r = count(queue, queue_id, &most, err);
	if (r < 0 || most == 0)
		return r;
	auto_free struct store_freeze *list = calloc(most, sizeof *list);
	auto_free command_text *commands = calloc(most, sizeof *commands);
	if (!list || !commands)
		return error_set(err, ENOMEM, "no memory");
	r = db_prepare(queue,
		       "SELECT range_start, range_end, uid, command, at FROM freeze WHERE model = ?"
		       " ORDER BY range_start",
		       &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", queue_id);
	while (r == 0 && n < most && (r = db_step(stmt, err)) == 1) {
		read_freeze(m, stmt, &list[n]);
		/* The column's text ends with the step. */
		snprintf(commands[n], sizeof commands[n], "%s", list[n].command);
		list[n].command = commands[n];
		n++;
		r = 0;
	}
	if (r == 0)
		sink->freezes(sink->ctx, model, list, n);
	return r;
}

/* What runs, in the range: FILE decides, as for every row that FILE-queue calls running. */
static int check_busy(struct store *s, struct row_reader *reader, struct store_request *rq,
		      const struct target *t, int64_t start, int64_t end, struct error *err)
{
	const struct model *m = s->targets[rq->model].model;
	auto_stmt *rows = NULL;
	int r = db_prepare(s->queue_db,
			   "SELECT start FROM state WHERE model = ? AND run = 1 AND start >= ? AND start < ?"
			   " ORDER BY start",
			   &rows, err);
	if (r == 0)
		r = db_bind(rows, err, "iii", t->queue_id, start, end);
	while (r == 0 && (r = db_step(rows, err)) == 1) {
		struct batch_row row;
		int64_t at = sqlite3_column_int64(rows, 0);
		r = reader_get(reader, t, at, &row, err);
		if (r == 0 && row.state.run == ROW_RUNNING) {
			rq->result = freeze_busy(&rq->err, m, calendar_ordinal(m->batch_size, at));
			return 0;
		}
	}
	return r;
}

#define COLUMNS "freeze(model, range_start, range_end, uid, command, at)"
/*
 * ?1 model, ?2 start, ?3 end, ?4 uid, ?5 command, ?6 at. What is frozen already keeps who did it: only the
 * gaps are new. A thaw cuts what it meets. A row without a range protects the model.
 */
static const char *const changes[][3] = {
	[REQUEST_FREEZE] = {"INSERT INTO " COLUMNS " SELECT ?1, a, b, ?4, ?5, ?6 FROM"
			    " (SELECT max(lag(hi, 1, ?2) OVER (ORDER BY lo), ?2) AS a, lo AS b FROM"
			    " (SELECT range_start AS lo, range_end AS hi FROM freeze"
			    " WHERE model = ?1 AND range_start < ?3 AND range_end > ?2"
			    " UNION ALL SELECT ?3, ?3)) WHERE a < b"},
	[REQUEST_THAW] =
		{"INSERT INTO " COLUMNS " SELECT model, ?3, range_end, uid, command, at FROM freeze"
		 " WHERE model = ?1 AND range_start < ?3 AND range_end > ?3",
		 "UPDATE freeze SET range_end = ?2 WHERE model = ?1 AND range_start < ?2 AND range_end > ?2",
		 "DELETE FROM freeze WHERE model = ?1 AND range_start >= ?2 AND range_start < ?3"},
	[REQUEST_PROTECT] = {"INSERT INTO " COLUMNS " SELECT ?1, NULL, NULL, ?4, ?5, ?6 WHERE NOT EXISTS"
			     " (SELECT 1 FROM freeze WHERE model = ?1 AND range_start IS NULL)"},
	[REQUEST_UNPROTECT] = {"DELETE FROM freeze WHERE model = ?1 AND range_start IS NULL"},
};

int freeze_change(struct store *s, struct row_reader *reader, struct store_request *rq,
		  const struct target *t, struct error *err)
{
	const struct model *m = s->targets[rq->model].model;
	int64_t start = calendar_start(m->batch_size, rq->batches.first);
	int64_t end = calendar_start(m->batch_size, rq->batches.end);
	int r = rq->kind == REQUEST_FREEZE ? check_busy(s, reader, rq, t, start, end, err) : 0;
	for (size_t i = 0; i < 3 && changes[rq->kind][i] && r == 0 && rq->result == 0; i++) {
		static const char types[] = "iiiiti";
		char bound[sizeof types];
		auto_stmt *stmt = NULL;
		r = db_prepare(s->queue_db, changes[rq->kind][i], &stmt, err);
		if (r == 0) {
			snprintf(bound, sizeof bound, "%.*s", sqlite3_bind_parameter_count(stmt), types);
			r = db_bind(stmt, err, bound, t->queue_id, start, end, (int64_t)rq->uid, rq->command,
				    rq->at);
		}
		if (r == 0)
			r = db_run(stmt, err);
	}
	return r;
}
