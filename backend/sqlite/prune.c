/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attempts of a model that are too many, in steps that are short. FILE's lock is only tried: a batch may
 * hold it for as long as it takes.
 */
#include "backend/sqlite/private.h"

#define AT_ONCE 2000

/* ?1 model, ?2 how many stay, less one, ?3 what is younger stays, ?4 at once */
#define TOO_OLD(table)                                                                                       \
	" WHERE model = ?1 AND at < ?3 AND id < (SELECT id FROM " table                                      \
	" WHERE model = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)"
#define DELETE_OLD(table)                                                                                    \
	"DELETE FROM " table " WHERE id IN (SELECT id FROM " table TOO_OLD(table) " LIMIT ?4)"

static const char *const delete_done = DELETE_OLD("batchfs_attempt");
static const char *const delete_tried = DELETE_OLD("attempt");
/* Asked first, because it takes no lock. */
static const char *const look_done = "SELECT 1 FROM batchfs_attempt" TOO_OLD("batchfs_attempt") " LIMIT 1";

/* ?4 the first request that FILE's attempts name: ids rise. Of other kinds than a build some stay in force.
 */
static const char *const delete_requests =
	"DELETE FROM request WHERE model = ?1 AND NOT open AND kind = 'build' AND at < ?3 AND id < ?4"
	" AND id NOT IN (SELECT request FROM state WHERE model = ?1)"
	" AND id NOT IN (SELECT request FROM attempt WHERE model = ?1 AND request IS NOT NULL)";
static const char *const first_named = "SELECT coalesce(min(request), 9223372036854775807) FROM "
				       "batchfs_attempt WHERE model = ? AND request > 0";

/* How many went, in one transaction; -errno. */
static int delete_some(sqlite3 *db, const char *sql, int64_t id, size_t keep, int64_t before, int64_t limit,
		       struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, sql, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "iiii", id, keep ? (int64_t)keep - 1 : 0, before, limit);
	if (r == 0)
		r = db_exec(db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = db_run(stmt, err);
	int gone = sqlite3_changes(db);
	if (r == 0)
		r = db_exec(db, "COMMIT", err);
	db_rollback(db);
	return r < 0 ? r : gone;
}

static int delete_old(sqlite3 *db, const char *sql, int64_t id, size_t keep, int64_t before,
		      struct error *err)
{
	int gone;
	do
		gone = delete_some(db, sql, id, keep, before, AT_ONCE, err);
	while (gone == AT_ONCE);
	return gone < 0 ? gone : 0;
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
	int r = db_prepare(file, look_done, &look, err);
	if (r == 0)
		r = db_bind(look, err, "iii", id, keep ? (int64_t)keep - 1 : 0, before);
	if (r == 0)
		r = number(look, &found, err);
	sqlite3_reset(look);
	return r == 0 && found ? delete_old(file, delete_done, id, keep, before, err) : r;
}

static int first_request(sqlite3 *file, int64_t id, int64_t *first, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(file, first_named, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", id);
	return r == 0 ? number(stmt, first, err) : r;
}

static int prune(struct worker *w, sqlite3 *queue, const struct target *t, size_t keep, int64_t before,
		 struct error *err)
{
	int64_t first;
	int r = prune_done(w->db, t->table_id, keep, before, err);
	if (r == 0)
		r = delete_old(queue, delete_tried, t->queue_id, keep, before, err);
	if (r == 0)
		r = first_request(w->db, t->table_id, &first, err);
	if (r == 0)
		r = delete_some(queue, delete_requests, t->queue_id, keep, before, first, err);
	return r < 0 ? r : 0;
}

int sqlite_prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err)
{
	struct target t = target_copy(w->store, model);
	auto_db *queue = NULL;
	if (!t.enlisted || !t.queue_id)
		return 0;
	int r = worker_enter(w, err);
	if (r == 0)
		r = connect_queue(w->store, &w->patience, &queue, err);
	int64_t wait_us = w->patience.wait_us;
	w->patience.wait_us = 0;
	if (r == 0)
		r = prune(w, queue, &t, keep, before, err);
	w->patience.wait_us = wait_us;
	worker_leave(w);
	return r;
}
