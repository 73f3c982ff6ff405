/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts "running" rows right: what FILE has as done is idle, what a dead owner left
 * goes back to the queue or, interrupted too often, fails (private.h, invariants 2 and 3).
 */
#include <inttypes.h>
#include <stdio.h>

#include "backend/sqlite/private.h"

struct sweep {
	sqlite3_stmt *rows, *done, *idle, *put_back, *fail, *history;
};

static void sweep_close(struct sweep *w)
{
	sqlite3_stmt *all[] = {w->rows, w->done, w->idle, w->put_back, w->fail, w->history};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		sqlite3_finalize(all[i]);
}

static int sweep_open(struct sweep *w, sqlite3 *queue, sqlite3 *file, struct error *err)
{
	const struct {
		sqlite3 *db;
		sqlite3_stmt **stmt;
		const char *sql;
	} all[] = {
		{queue, &w->rows,
		 "SELECT " TRIED_COLUMNS
		 " FROM state WHERE model = ? AND run = 1 AND start > ? ORDER BY start LIMIT 1"},
		{file, &w->done, "SELECT attempt FROM batchfs_state WHERE model = ? AND start = ?"},
		{queue, &w->idle,
		 "UPDATE state SET run = 0, interruptions = 0, outcome = 0 WHERE model = ? AND start = ?"},
		{queue, &w->put_back,
		 "UPDATE state SET run = 2, interruptions = interruptions + 1 WHERE model = ? AND start = ?"},
		{queue, &w->fail,
		 "UPDATE state SET run = 0, interruptions = 0, outcome = 2, outcome_attempt = attempt,"
		 " started = running_since, finished = ?3, sqlstate = '', message = ?4 WHERE model = ?1 AND "
		 "start = ?2"},
		{queue, &w->history,
		 "INSERT INTO attempt(model, start, attempt, outcome, at, request, message, seconds, "
		 "sqlstate)"
		 " VALUES (?, ?, ?, ?, ?, ?, ?, ? / 1e6, '')"},
	};
	int r = 0;
	for (size_t i = 0; i < sizeof all / sizeof *all && r == 0; i++)
		r = db_prepare(all[i].db, all[i].sql, all[i].stmt, err);
	return r;
}

static int interrupted(struct store *s, struct sweep *w, const struct target *t, const struct tried_row *row,
		       struct error *err)
{
	int64_t now = clock_now_us(s->config.clock);
	bool fails = row->interruptions >= INTERRUPTIONS_MAX;
	char message[64];
	snprintf(message, sizeof message, "interrupted %d times", row->interruptions + 1);
	int r = fails ? db_bind(w->fail, err, "iiit", t->queue_id, row->start, now, message)
		      : db_bind(w->put_back, err, "ii", t->queue_id, row->start);
	if (r == 0)
		r = db_run(fails ? w->fail : w->put_back, err);
	if (r == 0)
		r = db_bind(w->history, err, "iiitiiti", t->queue_id, row->start, (int64_t)row->attempt,
			    "interrupted", now, row->request, message,
			    now > row->running_since ? now - row->running_since : 0);
	return r == 0 ? db_run(w->history, err) : r;
}

static int sweep_row(struct store *s, struct sweep *w, const struct target *t, const struct tried_row *row,
		     int64_t mine, struct error *err)
{
	int r = db_bind(w->done, err, "ii", row->table_id, row->start);
	int has_done = r < 0 ? r : db_step(w->done, err);
	bool is_done = has_done > 0 && sqlite3_column_int64(w->done, 0) >= row->attempt;
	sqlite3_reset(w->done);
	if (has_done < 0)
		return has_done;
	if (!is_done)
		return row->owner == mine ? 0 : interrupted(s, w, t, row, err);
	r = db_bind(w->idle, err, "ii", t->queue_id, row->start);
	return r == 0 ? db_run(w->idle, err) : r;
}

int sweep_model(struct store *s, sqlite3 *queue, sqlite3 *file, const struct target *t, int64_t mine,
		struct error *err)
{
	struct sweep w = {0};
	int r = sweep_open(&w, queue, file, err);
	int64_t start = INT64_MIN;
	while (r == 0) {
		struct tried_row row;
		r = db_bind(w.rows, err, "ii", t->queue_id, start);
		if (r == 0)
			r = db_step(w.rows, err);
		if (r <= 0)
			break;
		tried_read(w.rows, &row);
		start = row.start;
		sqlite3_reset(w.rows); /* row's texts are void from here on; none is used */
		r = sweep_row(s, &w, t, &row, mine, err);
	}
	sweep_close(&w);
	return r;
}
