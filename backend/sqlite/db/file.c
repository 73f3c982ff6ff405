/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/db/file.h"

#include <string.h>
#include <unistd.h>

#include "backend/base/cleanup.h"

static void uri_path(struct strbuf *out, const char *path)
{
	strbuf_puts(out, "file:");
	for (const unsigned char *c = (const unsigned char *)path; *c; c++) {
		if (*c == '%' || *c == '?' || *c == '#')
			strbuf_printf(out, "%%%02X", *c);
		else
			strbuf_putc(out, (char)*c);
	}
}

static bool has_log(const char *path)
{
	auto_strbuf log = STRBUF_INIT;
	strbuf_printf(&log, "%s-wal", path);
	return access(log.str, F_OK) == 0;
}

int file_open_unwritten(const char *path, struct patience *p, sqlite3 **out, struct error *err)
{
	auto_strbuf uri = STRBUF_INIT;
	uri_path(&uri, path);
	strbuf_puts(&uri, has_log(path) ? "?mode=ro&readonly_shm=1" : "?mode=ro&immutable=1");
	if (strbuf_broken(&uri))
		return error_set(err, ENOMEM, "no memory");
	return db_open(uri.str, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, p, out, err);
}

int file_open_written(const char *path, int create, struct patience *p, sqlite3 **out, struct error *err)
{
	auto_db *db = NULL;
	int r = db_open(path, SQLITE_OPEN_READWRITE | create, p, &db, err);
	if (r < 0)
		return r;
	auto_stmt *mode = NULL;
	r = db_prepare(db, "PRAGMA journal_mode = WAL", &mode, err);
	if (r == 0)
		r = db_step(mode, err);
	if (r < 0)
		return error_prefix(err, "%s: ", path);
	if (r == 0 || strcmp(db_text(mode, 0), "wal") != 0)
		return error_set(err, EINVAL, "%s: SQLite cannot keep a write-ahead log beside it", path);
	sqlite3_reset(mode);
	r = db_exec(db, "PRAGMA synchronous = FULL", err);
	if (r < 0)
		return error_prefix(err, "%s: ", path);
	*out = db;
	db = NULL;
	return 0;
}
