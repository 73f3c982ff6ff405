/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts "running" rows right: what is done is idle, what a dead owner left
 * goes back to the queue or, interrupted too often, fails (queue.h, invariants 2 and 3).
 */
#include <inttypes.h>
#include <stdio.h>

#include "backend/base/count.h"
#include "backend/sqlite/queue/private.h"

struct sweep {
	sqlite3_stmt *rows, *idle, *put_back, *fail, *history;
};

static void sweep_close(struct sweep *w)
{
	sqlite3_stmt *all[] = {w->rows, w->idle, w->put_back, w->fail, w->history};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		sqlite3_finalize(all[i]);
}

static int sweep_open(struct sweep *w, sqlite3 *db, struct error *err)
{
	const struct {
		sqlite3_stmt **stmt;
		const char *sql;
	} all[] = {
		{&w->rows, SQL_SWEEP_NEXT},	    {&w->idle, SQL_SWEEP_IDLE},
		{&w->put_back, SQL_SWEEP_PUT_BACK}, {&w->fail, SQL_SWEEP_FAIL},
		{&w->history, SQL_SWEEP_ENDED},
	};
	int r = 0;
	for (size_t i = 0; i < sizeof all / sizeof *all && r == 0; i++)
		r = db_prepare(db, all[i].sql, all[i].stmt, err);
	return r;
}

static int interrupted(struct store *s, struct sweep *w, const struct queue_model *qm,
		       const struct tried_row *row, struct error *err)
{
	int64_t now = clock_now_us(s->config.clock);
	bool fails = row->interruptions >= INTERRUPTIONS_MAX;
	char message[128];
	snprintf(message, sizeof message, "interrupted %s",
		 count_of((uint64_t)row->interruptions + 1, "time", "times").text);
	int r = fails ? db_bind(w->fail, err, "iiit", qm->queue_id, row->start, now, message)
		      : db_bind(w->put_back, err, "ii", qm->queue_id, row->start);
	if (r == 0)
		r = db_run(fails ? w->fail : w->put_back, err);
	if (r == 0)
		r = db_bind(w->history, err, "iiitiiti", qm->queue_id, row->start, (int64_t)row->attempt,
			    "interrupted", now, row->request, message,
			    now > row->running_since ? now - row->running_since : 0);
	return r == 0 ? db_run(w->history, err) : r;
}

static int sweep_row(struct store *s, struct sweep *w, const struct done_rows *rows,
		     const struct queue_model *qm, const struct tried_row *row, int64_t mine,
		     struct error *err)
{
	struct done_row done;
	if (row->damaged)
		return 0;
	int r = done_get(rows, row->table_id, row->start, &done, err);
	if (r < 0)
		return r;
	if (r == 0 || done.damaged || done.attempt < row->attempt)
		return row->owner == mine ? 0 : interrupted(s, w, qm, row, err);
	r = db_bind(w->idle, err, "ii", qm->queue_id, row->start);
	return r == 0 ? db_run(w->idle, err) : r;
}

int queue_sweep(struct store *s, sqlite3 *db, const struct done_rows *done, slot model, int64_t mine,
		struct error *err)
{
	struct queue_model qm = queue_model_of(s, model);
	struct sweep w = {0};
	int r = sweep_open(&w, db, err);
	int64_t start = INT64_MIN;
	while (r == 0) {
		struct tried_row row;
		r = db_bind(w.rows, err, "ii", qm.queue_id, start);
		if (r == 0)
			r = db_step(w.rows, err);
		if (r <= 0)
			break;
		tried_read(w.rows, &row);
		start = row.start;
		sqlite3_reset(w.rows); /* row's texts are void from here on; none is used */
		r = sweep_row(s, &w, done, &qm, &row, mine, err);
	}
	sweep_close(&w);
	return r;
}
