/* SPDX-License-Identifier: Apache-2.0 */
/* The attempts of a model that are too many, in steps that are short. */
#include "backend/sqlite/queue/private.h"

#define AT_ONCE 2000

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

int delete_old(sqlite3 *db, const char *sql, int64_t id, size_t keep, int64_t before, struct error *err)
{
	int gone;
	do
		gone = delete_some(db, sql, id, keep, before, AT_ONCE, err);
	while (gone == AT_ONCE);
	return gone < 0 ? gone : 0;
}

int queue_prune(sqlite3 *db, int64_t queue_id, size_t keep, int64_t before, int64_t first_named,
		struct error *err)
{
	int r = delete_old(db, SQL_TRIED_DELETE, queue_id, keep, before, err);
	if (r == 0)
		r = delete_some(db, SQL_REQUESTS_DELETE, queue_id, keep, before, first_named, err);
	return r < 0 ? r : 0;
}
