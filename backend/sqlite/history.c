/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What .history shows: builds are in FILE, everything else in FILE-queue, with who asked for either; merged
 * by the time of their end. The cursor is the last row of each, as two numbers.
 */
#include <inttypes.h>
#include <stdio.h>

#include "backend/sqlite/private.h"

#define NEWEST "ORDER BY id DESC LIMIT ?3) ORDER BY id"

static const char done_sql[] =
	"SELECT id, model, start, attempt, outcome, at, seconds, request, rows_deleted, rows_inserted, '', ''"
	" FROM (SELECT * FROM batchfs_attempt WHERE id > ?1 AND (?2 = 0 OR model = ?2) " NEWEST;
static const char tried_sql[] =
	"SELECT id, model, start, attempt, outcome, at, seconds, request, NULL, NULL, sqlstate, message"
	" FROM (SELECT * FROM attempt WHERE id > ?1 AND (?2 = 0 OR model = ?2) " NEWEST;
static const char who_sql[] = "SELECT uid, command, reason FROM request WHERE id = ?";

/* One of the two tables. */
struct side {
	sqlite3_stmt *rows; /* NULL: there is no such table */
	bool row, done;	    /* done: the one of FILE */
	int64_t last;
};

struct reading {
	struct store *s;
	struct side sides[2];
	sqlite3_stmt *who; /* NULL: FILE-queue is not there */
	ended_attempt_fn *tell;
	void *ctx;
};

static int side_next(struct side *side, struct error *err)
{
	int r = side->rows ? db_step(side->rows, err) : 0;
	side->row = r == 1;
	return r < 0 ? r : 0;
}

static int side_open(struct side *side, sqlite3 *db, int64_t id, size_t most, struct error *err)
{
	bool present = false;
	int r = db ? schema_check(db, &present, err) : 0;
	if (r < 0 || !present)
		return r;
	r = db_prepare(db, side->done ? done_sql : tried_sql, &side->rows, err);
	if (r == 0)
		r = db_bind(side->rows, err, "iii", side->last, id, (int64_t)most);
	return r == 0 ? side_next(side, err) : r;
}

/* The catalog's number of a model by its id in that file; -1: it is none of this mount's. */
static slot model_of(struct store *s, bool done, int64_t id)
{
	LOCKED(&s->lock);
	for (size_t i = 0; i < s->n; i++) {
		const struct target *t = &s->targets[i];
		if (t->enlisted && (done ? t->table_id : t->queue_id) == id)
			return (int)i;
	}
	return -1;
}

static int64_t count_of(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, column);
}

static int look_up(struct reading *h, sqlite3_stmt *row, struct ended_attempt *a, struct error *err)
{
	a->uid = -1;
	a->command = a->reason = "";
	if (!h->who)
		return 0;
	int r = db_bind(h->who, err, "i", sqlite3_column_int64(row, 7));
	if (r == 0)
		r = db_step(h->who, err);
	if (r <= 0)
		return r;
	a->uid = sqlite3_column_int64(h->who, 0);
	a->command = db_text(h->who, 1);
	a->reason = db_text(h->who, 2);
	return 0;
}

static int tell_row(struct reading *h, const struct side *side, struct error *err)
{
	sqlite3_stmt *row = side->rows;
	slot model = model_of(h->s, side->done, sqlite3_column_int64(row, 1));
	if (model < 0)
		return 0;
	struct ended_attempt a = {
		.model = model,
		.batch = calendar_ordinal(h->s->targets[model].model->batch_size,
					  sqlite3_column_int64(row, 2)),
		.attempt = (uint32_t)sqlite3_column_int64(row, 3),
		.outcome = db_text(row, 4),
		.at = sqlite3_column_int64(row, 5),
		.us = sqlite3_column_type(row, 6) == SQLITE_NULL
			      ? -1
			      : (int64_t)(sqlite3_column_double(row, 6) * 1e6 + 0.5),
		.rows_deleted = count_of(row, 8),
		.rows_inserted = count_of(row, 9),
		.sqlstate = db_text(row, 10),
		.message = db_text(row, 11),
	};
	int r = look_up(h, row, &a, err);
	if (r == 0)
		h->tell(h->ctx, &a);
	if (h->who)
		sqlite3_reset(h->who);
	return r;
}

static int merge(struct reading *h, struct error *err)
{
	struct side *done = &h->sides[0], *tried = &h->sides[1];
	int r = 0;
	while (r == 0 && (done->row || tried->row)) {
		bool first = done->row && (!tried->row || sqlite3_column_int64(done->rows, 5) <=
								  sqlite3_column_int64(tried->rows, 5));
		struct side *next = first ? done : tried;
		next->last = sqlite3_column_int64(next->rows, 0);
		r = tell_row(h, next, err);
		if (r == 0)
			r = side_next(next, err);
	}
	return r;
}

static int read_both(struct worker *w, struct reading *h, sqlite3 *queue, slot model, size_t most,
		     struct error *err)
{
	struct target t = {0};
	if (model >= 0) {
		t = target_copy(h->s, model);
		if (!t.enlisted)
			return 0;
	}
	/* FILE first: what becomes done meanwhile is found there next time, and was nothing here. */
	int r = side_open(&h->sides[0], w->db, t.table_id, most, err);
	if (r == 0 && (model < 0 || t.queue_id))
		r = side_open(&h->sides[1], queue, t.queue_id, most, err);
	if (r == 0 && h->sides[1].rows)
		r = db_prepare(queue, who_sql, &h->who, err);
	if (r == 0)
		r = merge(h, err);
	sqlite3_finalize(h->who);
	sqlite3_finalize(h->sides[0].rows);
	sqlite3_finalize(h->sides[1].rows);
	return r;
}

int sqlite_history(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
		   void *ctx, struct error *err)
{
	struct reading h = {.s = w->store, .tell = tell, .ctx = ctx, .sides[0].done = true};
	auto_db *queue = NULL;
	char *next = NULL;
	if (*cursor && sscanf(*cursor, "%" SCNd64 " %" SCNd64, &h.sides[0].last, &h.sides[1].last) != 2)
		return error_set(err, EINVAL, "no such place in the history: %s", *cursor);
	int r = worker_enter(w, err);
	if (r == 0)
		r = connect_queue(w->store, &w->patience, &queue, err);
	if (r == 0)
		r = read_both(w, &h, queue, model, most, err);
	if (r == 0 && asprintf(&next, "%" PRId64 " %" PRId64, h.sides[0].last, h.sides[1].last) < 0)
		r = error_set(err, ENOMEM, "no memory");
	if (r == 0) {
		free(*cursor);
		*cursor = next;
	}
	worker_leave(w);
	return r;
}
