/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was done is recorded in FILE, everything else in the queue. FILE's lock is only tried when old
 * attempts go: a batch may hold it for as long as it takes.
 */
#include "backend/sqlite/schema.h"
#include "backend/sqlite/sql.h"
#include "backend/sqlite/warehouse.h"

/* 1: the statement is there; 0: FILE has no such table. */
static int prepare_done(struct worker *w, sqlite3_stmt **out, struct error *err)
{
	bool present = false;
	int r = warehouse_schema_check(w->db, &present, err);
	if (r == 0 && present)
		r = db_prepare(w->db, SQL_DONE_HISTORY, out, err);
	return r;
}

int sqlite_history(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
		   void *ctx, struct error *err)
{
	struct store *s = w->store;
	auto_db *queue = NULL;
	sqlite3_stmt *done = NULL;
	int r = worker_enter(w, SLOT_NONE, err);
	if (r == 0)
		r = queue_connect(s, &w->patience, &queue, err);
	if (r == 0)
		r = prepare_done(w, &done, err);
	if (r == 0)
		r = queue_history(s, queue, done, model, most, cursor, tell, ctx, err);
	sqlite3_finalize(done);
	worker_leave(w);
	return r;
}

/* Of a statement that gives one number; 0: none. */
static int number(sqlite3_stmt *stmt, int64_t *out, struct error *err)
{
	int r = db_step(stmt, err);
	*out = r == 1 ? sqlite3_column_int64(stmt, 0) : 0;
	return r < 0 ? r : 0;
}

static int prune_done(sqlite3 *file, int64_t id, size_t keep, int64_t before, struct error *err)
{
	auto_stmt *look = NULL;
	int64_t found;
	int r = db_prepare(file, SQL_DONE_LOOK, &look, err);
	if (r == 0)
		r = db_bind(look, err, "iii", id, keep ? (int64_t)keep - 1 : 0, before);
	if (r == 0)
		r = number(look, &found, err);
	sqlite3_reset(look);
	return r == 0 && found ? delete_old(file, SQL_DONE_DELETE, id, keep, before, err) : r;
}

static int first_request(sqlite3 *file, int64_t id, int64_t *first, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(file, SQL_DONE_FIRST_REQUEST, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", id);
	return r == 0 ? number(stmt, first, err) : r;
}

int sqlite_prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err)
{
	struct store *s = w->store;
	struct queue_model qm = queue_model_of(s, model);
	auto_db *queue = NULL;
	int64_t first;
	if (!qm.enlisted || !qm.queue_id)
		return 0;
	int r = worker_enter(w, SLOT_NONE, err);
	if (r == 0)
		r = queue_connect(s, &w->patience, &queue, err);
	int64_t wait_us = w->patience.wait_us;
	w->patience.wait_us = 0;
	if (r == 0)
		r = prune_done(w->db, qm.table_id, keep, before, err);
	if (r == 0)
		r = first_request(w->db, qm.table_id, &first, err);
	if (r == 0)
		r = queue_prune(queue, qm.queue_id, keep, before, first, err);
	w->patience.wait_us = wait_us;
	worker_leave(w);
	return r;
}
