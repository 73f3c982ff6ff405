/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of both files. What is there already is looked at, never changed. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "backend/sqlite/private.h"

#define SCHEMA_VERSION 1

static const char file_sql[] =
	"CREATE TABLE batchfs_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"INSERT INTO batchfs_meta VALUES ('version', 1);"
	/* id: random, names this very table (private.h, invariant 4) */
	"CREATE TABLE batchfs_model(id INTEGER PRIMARY KEY, target_table TEXT NOT NULL COLLATE NOCASE,"
	" batch_size TEXT NOT NULL, known_since INTEGER NOT NULL, UNIQUE (target_table, batch_size));"
	/* times are microseconds since 1970 UTC; rows_* is null where it is not known */
	"CREATE TABLE batchfs_state(model INTEGER NOT NULL, start INTEGER NOT NULL, attempt INTEGER NOT NULL,"
	" started INTEGER, finished INTEGER, rows_deleted INTEGER, rows_inserted INTEGER, rows_outside "
	"INTEGER,"
	" adopted INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '', PRIMARY KEY (model, start)) "
	"WITHOUT ROWID;"
	"CREATE TABLE batchfs_attempt(id INTEGER PRIMARY KEY, model INTEGER NOT NULL, start INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL, outcome TEXT NOT NULL, at INTEGER NOT NULL, seconds REAL, rows_deleted "
	"INTEGER,"
	" rows_inserted INTEGER, request INTEGER);"
	"CREATE INDEX batchfs_attempt_model ON batchfs_attempt(model);";

static const char queue_sql[] =
	"CREATE TABLE batchfs_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"INSERT INTO batchfs_meta VALUES ('version', 1);"
	"CREATE TABLE model(id INTEGER PRIMARY KEY, target_table TEXT NOT NULL COLLATE NOCASE, batch_size "
	"TEXT NOT NULL,"
	" seq INTEGER NOT NULL, table_id INTEGER NOT NULL, UNIQUE (target_table, batch_size));"
	"CREATE TABLE request(id INTEGER PRIMARY KEY AUTOINCREMENT, uuid BLOB NOT NULL UNIQUE, model INTEGER "
	"NOT NULL,"
	" seq INTEGER NOT NULL, kind TEXT NOT NULL, range_start INTEGER NOT NULL, range_end INTEGER NOT NULL,"
	" expected INTEGER, uid INTEGER NOT NULL, command TEXT NOT NULL, reason TEXT, code TEXT NOT NULL,"
	" at INTEGER NOT NULL, open INTEGER NOT NULL DEFAULT 1);"
	"CREATE INDEX request_open ON request(model, seq) WHERE open;"
	/* intervals, none overlapping another; without a start: the model is protected against a full refresh
	 */
	"CREATE TABLE freeze(model INTEGER NOT NULL, range_start INTEGER, range_end INTEGER, uid INTEGER NOT "
	"NULL,"
	" command TEXT NOT NULL, at INTEGER NOT NULL);"
	"CREATE INDEX freeze_model ON freeze(model, range_start);"
	"CREATE TABLE state(model INTEGER NOT NULL, start INTEGER NOT NULL, table_id INTEGER NOT NULL,"
	" run INTEGER NOT NULL, attempt INTEGER NOT NULL, running_since INTEGER NOT NULL, owner INTEGER NOT "
	"NULL,"
	" request INTEGER NOT NULL, served INTEGER NOT NULL, interruptions INTEGER NOT NULL DEFAULT 0,"
	" outcome INTEGER NOT NULL DEFAULT 0, outcome_attempt INTEGER NOT NULL DEFAULT 0,"
	" started INTEGER NOT NULL DEFAULT 0, finished INTEGER NOT NULL DEFAULT 0, sqlstate TEXT NOT NULL "
	"DEFAULT '',"
	" message TEXT NOT NULL DEFAULT '', PRIMARY KEY (model, start)) WITHOUT ROWID;"
	"CREATE INDEX state_running ON state(model) WHERE run = 1;"
	"CREATE TABLE attempt(id INTEGER PRIMARY KEY, model INTEGER NOT NULL, start INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL, outcome TEXT NOT NULL, at INTEGER NOT NULL, seconds REAL, request "
	"INTEGER,"
	" sqlstate TEXT NOT NULL, message TEXT NOT NULL);"
	"CREATE INDEX attempt_model ON attempt(model);";

int schema_check(sqlite3 *db, bool *present, struct error *err)
{
	const char *file = sqlite3_db_filename(db, "main");
	auto_stmt *look = NULL, *version = NULL;
	int r = db_prepare(db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'batchfs_meta'",
			   &look, err);
	if (r == 0)
		r = db_step(look, err);
	*present = r == 1;
	if (r <= 0)
		return r < 0 ? error_prefix(err, "%s: ", file) : 0;
	r = db_prepare(db, "SELECT value FROM batchfs_meta WHERE key = 'version'", &version, err);
	if (r == 0)
		r = db_step(version, err);
	if (r < 0)
		return error_prefix(err, "%s: ", file);
	int64_t found = r ? sqlite3_column_int64(version, 0) : 0;
	if (found != SCHEMA_VERSION)
		return error_set(err, EINVAL,
				 "%s: its batchfs tables have version %" PRId64
				 ", this batchfs knows version %d",
				 file, found, SCHEMA_VERSION);
	return 0;
}

static int make(sqlite3 *db, const char *sql, struct error *err)
{
	bool present;
	int r = schema_check(db, &present, err);
	if (r < 0 || present)
		return r;
	r = db_exec(db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = db_exec(db, sql, err);
	if (r == 0)
		r = db_exec(db, "COMMIT", err);
	db_rollback(db);
	return r < 0 ? error_prefix(err, "%s: ", sqlite3_db_filename(db, "main")) : 0;
}

int schema_file(sqlite3 *db, struct error *err)
{
	return make(db, file_sql, err);
}

int schema_queue(sqlite3 *db, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	strbuf_puts(&sql, queue_sql);
	strbuf_printf(&sql, "INSERT INTO sqlite_sequence VALUES ('request', %" PRId64 ");",
		      (int64_t)time(NULL) << 20);
	if (strbuf_broken(&sql))
		return error_set(err, ENOMEM, "no memory");
	return make(db, sql.str, err);
}
