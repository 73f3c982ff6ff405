/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/db/meta.h"

#include <inttypes.h>
#include <stdio.h>

#include "backend/sqlite/db/sql.h"

/* *version 0: the file has no tables of ours. */
static int find_version(sqlite3 *db, int64_t *version, struct error *err)
{
	auto_stmt *look = NULL, *get = NULL;
	*version = 0;
	int r = db_prepare(db, SQL_META_PRESENT, &look, err);
	if (r == 0)
		r = db_step(look, err);
	if (r <= 0)
		return r;
	r = db_prepare(db, SQL_META_GET, &get, err);
	if (r == 0)
		r = db_bind(get, err, "t", "version");
	if (r == 0)
		r = db_step(get, err);
	if (r < 0)
		return r;
	if (r == 1 && sqlite3_column_type(get, 0) == SQLITE_INTEGER)
		*version = sqlite3_column_int64(get, 0);
	return *version > 0
		       ? 0
		       : error_set(err, EINVAL, "its table batchfs_meta is damaged: it holds no version");
}

static int too_new(const struct schema *schema, int64_t found, struct error *err)
{
	return error_set(err, EINVAL,
			 "its batchfs tables have version %" PRId64
			 ", and this batchfs knows them up to version %d: "
			 "mount it with a newer batchfs",
			 found, schema->version);
}

int meta_check(sqlite3 *db, const struct schema *schema, bool *present, struct error *err)
{
	int64_t found;
	int r = find_version(db, &found, err);
	if (r == 0 && found > schema->version)
		r = too_new(schema, found, err);
	else if (r == 0 && found && found < schema->version)
		r = error_set(err, EINVAL,
			      "its batchfs tables have version %" PRId64
			      ", and this batchfs reads version %d: mount it "
			      "once without -o ro, which brings them up to date",
			      found, schema->version);
	*present = r == 0 && found;
	return r < 0 ? error_prefix(err, "%s: ", sqlite3_db_filename(db, "main")) : 0;
}

static int step(sqlite3 *db, const struct schema *schema, int64_t from, struct error *err)
{
	auto_stmt *set = NULL;
	int r = from ? 0 : db_exec(db, SQL_META_MAKE, err);
	for (int64_t i = from; i < schema->version && r == 0; i++)
		r = db_exec(db, schema->steps[i], err);
	if (r == 0)
		r = db_prepare(db, SQL_META_SET_VERSION, &set, err);
	if (r == 0)
		r = db_bind(set, err, "i", (int64_t)schema->version);
	return r == 0 ? db_run(set, err) : r;
}

int meta_make(sqlite3 *db, const struct schema *schema, struct error *err)
{
	int64_t found;
	int r = find_version(db, &found, err);
	/* Looked at once more within the transaction: no lock is taken where there is nothing to do. */
	if (r == 0 && found != schema->version) {
		r = db_exec(db, "BEGIN IMMEDIATE", err);
		if (r == 0)
			r = find_version(db, &found, err);
		if (r == 0 && found > schema->version)
			r = too_new(schema, found, err);
		if (r == 0)
			r = step(db, schema, found, err);
		if (r == 0)
			r = db_exec(db, "COMMIT", err);
		db_rollback(db);
	}
	return r < 0 ? error_prefix(err, "%s: ", sqlite3_db_filename(db, "main")) : 0;
}

int meta_identity(sqlite3 *db, char *out, size_t size, struct error *err)
{
	auto_stmt *get = NULL;
	*out = '\0';
	int r = db_prepare(db, SQL_META_GET, &get, err);
	if (r == 0)
		r = db_bind(get, err, "t", "identity");
	if (r == 0)
		r = db_step(get, err);
	if (r == 1)
		snprintf(out, size, "%s", db_text(get, 0));
	if (r < 0 || *out)
		return r < 0 ? r : 0;
	return error_set(err, EINVAL, "%s: its table batchfs_meta holds no identity",
			 sqlite3_db_filename(db, "main"));
}
