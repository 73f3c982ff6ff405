/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "backend/sqlite/queue/private.h"

static int64_t known_count(sqlite3_stmt *stmt, int column)
{
	return sqlite3_column_type(stmt, column) == SQLITE_NULL ? -1 : sqlite3_column_int64(stmt, column);
}

/* types: 'i' an integer, 'c' a count or null, 't' text, a letter a column. */
static const char *misfit(sqlite3_stmt *stmt, const char *types)
{
	for (int i = 0; types[i]; i++) {
		int type = sqlite3_column_type(stmt, i);
		bool fits = types[i] == 't'	  ? type == SQLITE_TEXT
			    : type == SQLITE_NULL ? types[i] == 'c'
						  : type == SQLITE_INTEGER;
		if (!fits)
			return sqlite3_column_name(stmt, i);
	}
	return NULL;
}

static bool is_attempt(int64_t value)
{
	return value >= 0 && value <= ATTEMPT_MAX;
}

bool row_start_fits(enum batch_size size, sqlite3_stmt *stmt, int column)
{
	int64_t start = sqlite3_column_int64(stmt, column);
	return sqlite3_column_type(stmt, column) == SQLITE_INTEGER && start >= CALENDAR_MIN_US &&
	       start < CALENDAR_END_US && calendar_start(size, calendar_ordinal(size, start)) == start;
}

void done_read(sqlite3_stmt *stmt, struct done_row *row)
{
	*row = (struct done_row){
		.start = sqlite3_column_int64(stmt, 0),
		.attempt = (uint32_t)sqlite3_column_int64(stmt, 1),
		.started = sqlite3_column_int64(stmt, 2),
		.finished = sqlite3_column_int64(stmt, 3),
		.rows_deleted = known_count(stmt, 4),
		.rows_inserted = known_count(stmt, 5),
		.rows_outside = known_count(stmt, 6),
		.adopted = sqlite3_column_int(stmt, 7) != 0,
		.code = db_text(stmt, 8),
		.damaged = misfit(stmt, "iicccccit"),
	};
	if (!row->damaged && !is_attempt(sqlite3_column_int64(stmt, 1)))
		row->damaged = sqlite3_column_name(stmt, 1);
}

void tried_read(sqlite3_stmt *stmt, struct tried_row *row)
{
	*row = (struct tried_row){
		.start = sqlite3_column_int64(stmt, 0),
		.table_id = sqlite3_column_int64(stmt, 1),
		.run = (enum row_run)sqlite3_column_int(stmt, 2),
		.attempt = (uint32_t)sqlite3_column_int64(stmt, 3),
		.running_since = sqlite3_column_int64(stmt, 4),
		.owner = sqlite3_column_int64(stmt, 5),
		.request = sqlite3_column_int64(stmt, 6),
		.served = sqlite3_column_int64(stmt, 7),
		.interruptions = sqlite3_column_int(stmt, 8),
		.outcome = (enum row_outcome)sqlite3_column_int(stmt, 9),
		.outcome_attempt = (uint32_t)sqlite3_column_int64(stmt, 10),
		.started = sqlite3_column_int64(stmt, 11),
		.finished = sqlite3_column_int64(stmt, 12),
		.sqlstate = db_text(stmt, 13),
		.message = db_text(stmt, 14),
		.built = sqlite3_column_int64(stmt, 15),
		.code = db_text(stmt, 16),
		.rows_deleted = known_count(stmt, 17),
		.rows_inserted = known_count(stmt, 18),
		.rows_outside = known_count(stmt, 19),
		.adopted = sqlite3_column_int(stmt, 20) != 0,
		.damaged = misfit(stmt, "iiiiiiiiiiiiittitccci"),
	};
	if (row->damaged)
		return;
	if (row->run > ROW_REQUEUED)
		row->damaged = "run";
	else if (row->outcome > OUTCOME_SKIPPED)
		row->damaged = "outcome";
	else if (!is_attempt(sqlite3_column_int64(stmt, 3)) || !is_attempt(sqlite3_column_int64(stmt, 10)))
		row->damaged = "attempt";
}

static void put_done(struct store_state *st, const struct done_row *done)
{
	st->outcome = OUTCOME_DONE;
	st->started = done->started;
	st->finished = done->finished;
	st->rows_deleted = done->rows_deleted;
	st->rows_inserted = done->rows_inserted;
	st->rows_outside = done->rows_outside;
}

/* Skipped is skipped after the attempt it names, failed is how that attempt ended. */
static bool is_newer(const struct tried_row *tried, const struct done_row *done)
{
	if (tried->outcome == OUTCOME_NONE)
		return false;
	return !done || tried->outcome_attempt > done->attempt ||
	       (tried->outcome == OUTCOME_SKIPPED && tried->outcome_attempt == done->attempt);
}

static void put_tried(struct batch_row *out, const struct done_row *done, const struct tried_row *tried)
{
	struct store_state *st = &out->state;
	bool is_done = done && done->attempt >= tried->attempt;
	st->run = tried->run == ROW_RUNNING && is_done ? ROW_IDLE : tried->run;
	if (!done || tried->attempt >= done->attempt) {
		st->attempt = tried->attempt;
		st->request = tried->request;
	}
	if (is_newer(tried, done)) {
		st->outcome = tried->outcome;
		st->started = tried->started;
		st->finished = tried->finished;
		bool built = tried->outcome == OUTCOME_DONE;
		st->rows_deleted = built ? tried->rows_deleted : -1;
		st->rows_inserted = built ? tried->rows_inserted : -1;
		st->rows_outside = built ? tried->rows_outside : -1;
		st->sqlstate = tried->sqlstate;
		st->message = tried->message;
	}
	if (tried->built > st->built) {
		st->built = tried->built;
		st->code = tried->code;
		st->adopted = tried->adopted;
	}
	if (st->run == ROW_RUNNING)
		st->started = tried->running_since;
	out->interruptions = is_done ? 0 : tried->interruptions;
}

/* One that was damaged does not say how the batch stands: it counts as failed, until it is built again. */
static void put_damage(struct batch_row *out, const char *whose, const char *column)
{
	struct store_state *st = &out->state;
	snprintf(out->damage, sizeof out->damage, "its row in %s is damaged: %.40s holds no such thing",
		 whose, column);
	/* A done batch goes on to be called running here (queue.h, invariant 2), and whether it is done is
	 * what nobody can read. What really runs the mount knows itself. */
	if (st->run == ROW_RUNNING)
		st->run = ROW_IDLE;
	st->outcome = OUTCOME_FAILED;
	st->started = st->finished;
	st->rows_deleted = st->rows_inserted = st->rows_outside = -1;
	st->sqlstate = "XX001";
	st->message = out->damage;
}

void merge_rows(const struct queue_model *m, const struct done_row *done, const struct tried_row *tried,
		struct batch_row *out)
{
	const char *of_queue = tried ? tried->damaged : NULL;
	const char *of_rows = done && !m->is_void ? done->damaged : NULL;
	if (done && done->damaged)
		done = NULL;
	if (of_queue)
		tried = NULL;
	uint32_t of_done = done ? done->attempt : 0, of_tried = tried ? tried->attempt : 0;
	if (m->is_void)
		done = NULL;
	*out = (struct batch_row){
		.last_attempt = of_done > of_tried ? of_done : of_tried,
		.state = {.rows_deleted = -1,
			  .rows_inserted = -1,
			  .rows_outside = -1,
			  .code = "",
			  .sqlstate = "",
			  .message = ""},
	};
	bool tried_holds = tried && !m->is_void && tried->table_id == m->table_id;
	if (tried && (tried_holds || tried->run == ROW_IDLE))
		out->state.served = tried->served;
	if (done) {
		put_done(&out->state, done);
		out->state.attempt = done->attempt;
		out->state.built = done->finished;
		out->state.adopted = done->adopted;
		out->state.code = done->code;
	}
	if (tried_holds) {
		put_tried(out, done, tried);
	} else if (tried && tried->run == ROW_REQUEUED) {
		/* Put back before the table was adopted: it was asked for, whatever the table is. */
		out->state.run = ROW_REQUEUED;
		out->state.request = tried->request;
		out->state.served = tried->served;
	}
	if (of_queue || of_rows)
		put_damage(out, of_queue ? "the queue" : "batchfs_state", of_queue ? of_queue : of_rows);
}

void done_rows_close(struct done_rows *d)
{
	sqlite3_finalize(d->one);
	sqlite3_finalize(d->all);
	*d = (struct done_rows){0};
}

int done_get(const struct done_rows *done, int64_t table_id, int64_t start, struct done_row *out,
	     struct error *err)
{
	if (!done->one)
		return 0;
	sqlite3_reset(done->one);
	int r = db_bind(done->one, err, "ii", table_id, start);
	if (r == 0)
		r = db_step(done->one, err);
	if (r == 1)
		done_read(done->one, out);
	return r;
}

int reader_open(struct row_reader *r, const struct done_rows *done, sqlite3 *db, struct error *err)
{
	*r = (struct row_reader){.done = done};
	int e = db_prepare(db, SQL_TRIED_ONE, &r->tried, err);
	return e == 0 ? answer_reader_open(&r->answers, db, err) : e;
}

/* A statement that is not reset would hold its snapshot. */
void reader_close(struct row_reader *r)
{
	if (r->done && r->done->one)
		sqlite3_reset(r->done->one);
	sqlite3_finalize(r->tried);
	answer_reader_close(&r->answers);
}

int reader_get(struct row_reader *r, const struct queue_model *m, int64_t start, struct batch_row *out,
	       struct error *err)
{
	struct done_row done;
	struct tried_row tried;
	sqlite3_reset(r->tried);
	int has_done = done_get(r->done, m->table_id, start, &done, err);
	int has_tried = has_done < 0 ? has_done : db_bind(r->tried, err, "ii", m->queue_id, start);
	if (has_tried == 0)
		has_tried = db_step(r->tried, err);
	if (has_tried < 0)
		return has_tried;
	if (has_tried)
		tried_read(r->tried, &tried);
	merge_rows(m, has_done ? &done : NULL, has_tried ? &tried : NULL, out);
	return out->damage[0] ? 0 : answer_put(&r->answers, m, start, out, err);
}
