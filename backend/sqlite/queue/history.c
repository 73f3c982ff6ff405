/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What .history shows: attempts that are recorded here and, in an engine, those that are recorded with the
 * rows; with who asked for either; merged by the time of their end. The cursor is the last row of each, as
 * two numbers.
 */
#include <inttypes.h>
#include <stdio.h>

#include "backend/sqlite/queue/private.h"

/* One of the two tables. */
struct side {
	sqlite3_stmt *rows; /* NULL: there is no such table */
	bool row, elsewhere;
	int64_t last;
};

struct reading {
	struct store *s;
	struct side sides[2];
	sqlite3_stmt *who; /* NULL: the queue is not there */
	ended_attempt_fn *tell;
	void *ctx;
};

static int side_next(struct side *side, struct error *err)
{
	int r = side->rows ? db_step(side->rows, err) : 0;
	side->row = r == 1;
	return r < 0 ? r : 0;
}

static int side_start(struct side *side, int64_t id, size_t most, struct error *err)
{
	int r = db_bind(side->rows, err, "iii", side->last, id, (int64_t)most);
	return r == 0 ? side_next(side, err) : r;
}

/* The slot of a model by its id; SLOT_NONE: it is none of this mount's. */
static slot model_of(struct store *s, bool elsewhere, int64_t id)
{
	LOCKED(&s->lock);
	for (size_t i = 0; i < s->n; i++) {
		const struct queue_model *m = &s->models[i];
		if (m->enlisted && (elsewhere ? m->table_id : m->queue_id) == id)
			return (slot)i;
	}
	return SLOT_NONE;
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
	slot model = model_of(h->s, side->elsewhere, sqlite3_column_int64(row, 1));
	if (model == SLOT_NONE || !row_start_fits(h->s->models[model].size, row, 2))
		return 0;
	struct ended_attempt a = {
		.model = model,
		.batch = calendar_ordinal(h->s->models[model].size, sqlite3_column_int64(row, 2)),
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
		.cancelled_uid = count_of(row, 13),
		.cancelled_command = db_text(row, 14),
	};
	int r = look_up(h, row, &a, err);
	/* What was skipped or cancelled as a range is a line for each batch. */
	ordinal last = a.batch;
	if (row_start_fits(h->s->models[model].size, row, 12))
		last = calendar_ordinal(h->s->models[model].size, sqlite3_column_int64(row, 12));
	for (; r == 0 && a.batch <= last; a.batch++)
		h->tell(h->ctx, &a);
	if (h->who)
		sqlite3_reset(h->who);
	return r;
}

static int merge(struct reading *h, struct error *err)
{
	struct side *other = &h->sides[0], *tried = &h->sides[1];
	int r = 0;
	while (r == 0 && (other->row || tried->row)) {
		bool first = other->row && (!tried->row || sqlite3_column_int64(other->rows, 5) <=
								   sqlite3_column_int64(tried->rows, 5));
		struct side *next = first ? other : tried;
		next->last = sqlite3_column_int64(next->rows, 0);
		r = tell_row(h, next, err);
		if (r == 0)
			r = side_next(next, err);
	}
	return r;
}

static int read_both(struct reading *h, sqlite3 *db, slot model, size_t most, struct error *err)
{
	struct queue_model qm = {0};
	bool present = false;
	if (model != SLOT_NONE) {
		qm = queue_model_of(h->s, model);
		if (!qm.enlisted)
			return 0;
	}
	/* Elsewhere first: what becomes done meanwhile is found there next time, and was nothing here. */
	int r = h->sides[0].rows ? side_start(&h->sides[0], qm.table_id, most, err) : 0;
	if (r == 0 && db && (model == SLOT_NONE || qm.queue_id))
		r = queue_schema_check(db, &present, err);
	if (r == 0 && present)
		r = db_prepare(db, SQL_TRIED_HISTORY, &h->sides[1].rows, err);
	if (r == 0 && present)
		r = side_start(&h->sides[1], qm.queue_id, most, err);
	if (r == 0 && present)
		r = db_prepare(db, SQL_WHO_ASKED, &h->who, err);
	if (r == 0)
		r = merge(h, err);
	sqlite3_finalize(h->who);
	sqlite3_finalize(h->sides[1].rows);
	return r;
}

int queue_history(struct store *s, sqlite3 *db, sqlite3_stmt *elsewhere, slot model, size_t most,
		  char **cursor, ended_attempt_fn *tell, void *ctx, struct error *err)
{
	struct reading h = {
		.s = s, .tell = tell, .ctx = ctx, .sides[0] = {.rows = elsewhere, .elsewhere = true}};
	char *next = NULL;
	if (*cursor && sscanf(*cursor, "%" SCNd64 " %" SCNd64, &h.sides[0].last, &h.sides[1].last) != 2)
		return error_set(err, EINVAL, "no such place in the history: %s", *cursor);
	int r = read_both(&h, db, model, most, err);
	if (r == 0 && asprintf(&next, "%" PRId64 " %" PRId64, h.sides[0].last, h.sides[1].last) < 0)
		r = error_set(err, ENOMEM, "no memory");
	if (r == 0) {
		free(*cursor);
		*cursor = next;
	}
	return r;
}
