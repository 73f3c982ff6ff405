/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is frozen: intervals of a model in the queue, where claims are written, too, so that one
 * transaction comes before the other.
 */
#include <stdio.h>

#include "backend/freeze.h"
#include "backend/sqlite/queue/private.h"

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

int freeze_of(sqlite3_stmt *find, const struct model *m, int64_t queue_id, int64_t start,
	      struct store_freeze *out, struct error *err)
{
	sqlite3_reset(find);
	int r = db_bind(find, err, "ii", queue_id, start);
	if (r == 0)
		r = db_step(find, err);
	return r == 1 ? read_freeze(m, find, out) : r;
}

static int count(sqlite3 *db, int64_t queue_id, size_t *n, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_FREEZES_COUNT, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", queue_id);
	if (r == 0)
		r = db_step(stmt, err);
	*n = r == 1 ? (size_t)sqlite3_column_int64(stmt, 0) : 0;
	return r < 0 ? r : 0;
}

int load_freezes(struct store *s, sqlite3 *db, slot model, int64_t queue_id, const struct store_sink *sink,
		 struct error *err)
{
	const struct model *m = s->models[model].model;
	typedef char command_text[sizeof((struct store_request *)0)->command];
	auto_stmt *stmt = NULL;
	size_t most, n = 0;
	int r = count(db, queue_id, &most, err);
	if (r < 0 || most == 0)
		return r;
	auto_free struct store_freeze *list = calloc(most, sizeof *list);
	auto_free command_text *commands = calloc(most, sizeof *commands);
	if (!list || !commands)
		return error_set(err, ENOMEM, "no memory");
	r = db_prepare(db, SQL_FREEZES_OF, &stmt, err);
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

/* What runs, in the range: what is done elsewhere decides, as for every row that the queue calls running. */
static int check_busy(struct store *s, struct row_reader *reader, struct store_request *rq,
		      const struct queue_model *qm, int64_t start, int64_t end, struct error *err)
{
	const struct model *m = s->models[rq->model].model;
	auto_stmt *rows = NULL;
	int r = db_prepare(s->db, SQL_RUNNING_IN, &rows, err);
	if (r == 0)
		r = db_bind(rows, err, "iii", qm->queue_id, start, end);
	while (r == 0 && (r = db_step(rows, err)) == 1) {
		struct batch_row row;
		int64_t at = sqlite3_column_int64(rows, 0);
		r = reader_get(reader, qm, at, &row, err);
		if (r == 0 && row.state.run == ROW_RUNNING) {
			rq->result = freeze_busy(&rq->err, m, calendar_ordinal(m->batch_size, at));
			return 0;
		}
	}
	return r;
}

static const char *const changes[][3] = {
	[REQUEST_FREEZE] = {SQL_FREEZE_ADD},
	[REQUEST_THAW] = {SQL_THAW_SPLIT, SQL_THAW_SHORTEN, SQL_THAW_WITHIN},
	[REQUEST_PROTECT] = {SQL_PROTECT},
	[REQUEST_UNPROTECT] = {SQL_UNPROTECT},
};

int freeze_change(struct store *s, struct row_reader *reader, struct store_request *rq,
		  const struct queue_model *qm, struct error *err)
{
	const struct model *m = s->models[rq->model].model;
	int64_t start = calendar_start(m->batch_size, rq->batches.first);
	int64_t end = calendar_start(m->batch_size, rq->batches.end);
	int r = rq->kind == REQUEST_FREEZE ? check_busy(s, reader, rq, qm, start, end, err) : 0;
	if (r == 0 && rq->kind == REQUEST_FREEZE && (r = refresh_is_first(s->db, qm->queue_id, err)) == 1) {
		rq->result = freeze_too_late(&rq->err, m);
		r = 0;
	}
	for (size_t i = 0; i < 3 && changes[rq->kind][i] && r == 0 && rq->result == 0; i++) {
		static const char types[] = "iiiiti";
		char bound[sizeof types];
		auto_stmt *stmt = NULL;
		r = db_prepare(s->db, changes[rq->kind][i], &stmt, err);
		if (r == 0) {
			snprintf(bound, sizeof bound, "%.*s", sqlite3_bind_parameter_count(stmt), types);
			r = db_bind(stmt, err, bound, qm->queue_id, start, end, (int64_t)rq->uid, rq->command,
				    rq->at);
		}
		if (r == 0)
			r = db_run(stmt, err);
	}
	return r;
}
