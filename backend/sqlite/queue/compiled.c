/* SPDX-License-Identifier: Apache-2.0 */
/* SQL that is remembered: the store's recall() and remember(). */
#include "backend/sqlite/queue/private.h"

int queue_recall(struct store *s, const struct compiled_sql *asked, size_t n, compiled_sql_fn *tell,
		 void *ctx, struct error *err)
{
	auto_db *db = NULL;
	auto_stmt *stmt = NULL;
	int r = store_usable(s, err);
	if (r == 0)
		r = queue_connect(s, &s->patience, &db, err);
	if (r == 0)
		r = db_prepare(db, SQL_COMPILED_FIND, &stmt, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = db_bind(stmt, err, "tt", asked[i].unique_id, asked[i].made_of);
		if (r == 0)
			r = db_step(stmt, err);
		if (r == 1)
			tell(ctx, i, db_text(stmt, 0), sqlite3_column_int64(stmt, 1));
		sqlite3_reset(stmt);
		r = r < 0 ? r : 0;
	}
	return r;
}

static int put(sqlite3 *db, const struct compiled_sql *list, size_t n, struct error *err)
{
	auto_stmt *add = NULL, *prune = NULL;
	int r = db_prepare(db, SQL_COMPILED_PUT, &add, err);
	if (r == 0)
		r = db_prepare(db, SQL_COMPILED_PRUNE, &prune, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct compiled_sql *q = &list[i];
		r = db_bind(add, err, "tttti", q->unique_id, q->made_of, q->relation, q->sql, q->compiled_at);
		if (r == 0)
			r = db_run(add, err);
		if (r < 0 || sqlite3_changes(db) == 0)
			continue;
		r = db_bind(prune, err, "tti", q->unique_id, q->relation, (int64_t)COMPILED_KEPT);
		if (r == 0)
			r = db_run(prune, err);
	}
	return r;
}

int queue_remember(struct store *s, const struct compiled_sql *list, size_t n, struct error *err)
{
	int r = connect_control(s, err);
	if (r == 0)
		r = queue_begin(s, err);
	if (r == 0)
		r = put(s->db, list, n, err);
	if (r == 0)
		r = queue_commit(s, err);
	if (s->db)
		db_rollback(s->db);
	return r;
}
