/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files say of a batch, made into one. */
#include <sys/random.h>
#include <time.h>

#include "backend/sqlite/private.h"

/* Not SQLite's own generator: two processes forked from one get the same numbers from it. */
int64_t fresh_id(void)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
		random = (uint64_t)time(NULL) << 32 ^ (uint64_t)getpid() << 20 ^
			 (uint64_t)clock_monotonic_us();
	return (int64_t)(random >> 2 | 1);
}

static int64_t known_count(sqlite3_stmt *stmt, int column)
{
	return sqlite3_column_type(stmt, column) == SQLITE_NULL ? -1 : sqlite3_column_int64(stmt, column);
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
	};
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
	};
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
		st->rows_deleted = st->rows_inserted = st->rows_outside = -1;
		st->sqlstate = tried->sqlstate;
		st->message = tried->message;
	}
	if (st->run == ROW_RUNNING)
		st->started = tried->running_since;
	out->interruptions = is_done ? 0 : tried->interruptions;
}

void merge_rows(const struct target *t, const struct done_row *done, const struct tried_row *tried,
		struct batch_row *out)
{
	uint32_t of_done = done ? done->attempt : 0, of_tried = tried ? tried->attempt : 0;
	*out = (struct batch_row){
		.last_attempt = of_done > of_tried ? of_done : of_tried,
		.state = {.rows_deleted = -1,
			  .rows_inserted = -1,
			  .rows_outside = -1,
			  .code = "",
			  .sqlstate = "",
			  .message = ""},
	};
	bool is_void = !t->known && (t->exists || t->registered);
	bool tried_holds = tried && !is_void && tried->table_id == t->table_id;
	if (is_void)
		done = NULL;
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
}

int reader_open(struct row_reader *r, sqlite3 *file, sqlite3 *queue, struct error *err)
{
	*r = (struct row_reader){0};
	int e = db_prepare(file, "SELECT " DONE_COLUMNS " FROM batchfs_state WHERE model = ? AND start = ?",
			   &r->done, err);
	if (e == 0)
		e = db_prepare(queue, "SELECT " TRIED_COLUMNS " FROM state WHERE model = ? AND start = ?",
			       &r->tried, err);
	return e;
}

void reader_close(struct row_reader *r)
{
	sqlite3_finalize(r->done);
	sqlite3_finalize(r->tried);
}

int reader_get(struct row_reader *r, const struct target *t, int64_t start, struct batch_row *out,
	       struct error *err)
{
	struct done_row done;
	struct tried_row tried;
	sqlite3_reset(r->done);
	sqlite3_reset(r->tried);
	int e = db_bind(r->done, err, "ii", t->table_id, start);
	if (e == 0)
		e = db_bind(r->tried, err, "ii", t->queue_id, start);
	int has_done = e < 0 ? e : db_step(r->done, err);
	int has_tried = has_done < 0 ? has_done : db_step(r->tried, err);
	if (has_tried < 0)
		return has_tried;
	if (has_done)
		done_read(r->done, &done);
	if (has_tried)
		tried_read(r->tried, &tried);
	merge_rows(t, has_done ? &done : NULL, has_tried ? &tried : NULL, out);
	return 0;
}
