/* SPDX-License-Identifier: Apache-2.0 */
/* How either file is opened, for writing and with -o ro. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "backend/sqlite/private.h"

int store_usable(const struct store *s, struct error *err)
{
	if (__atomic_load_n(&s->abandoned, __ATOMIC_ACQUIRE))
		return error_set(err, ECANCELED, "the mount is ending");
	return 0;
}

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

/*
 * Reads without leaving a trace. Where a write-ahead log lies beside the file, it is
 * read with what its writer keeps in -shm, unwritten; where there is none nobody has the
 * file open, and `immutable` keeps SQLite from making one. The connection must be short.
 */
static int open_unwritten(const char *path, struct patience *p, sqlite3 **out, struct error *err)
{
	auto_strbuf uri = STRBUF_INIT;
	uri_path(&uri, path);
	strbuf_puts(&uri, has_log(path) ? "?mode=ro&readonly_shm=1" : "?mode=ro&immutable=1");
	if (strbuf_broken(&uri))
		return error_set(err, ENOMEM, "no memory");
	return db_open(uri.str, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, p, out, err);
}

static int open_written(const char *path, int create, struct patience *p, sqlite3 **out, struct error *err)
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

int connect_file(struct store *s, struct patience *p, sqlite3 **out, struct error *err)
{
	return s->config.read_only ? open_unwritten(s->file, p, out, err)
				   : open_written(s->file, 0, p, out, err);
}

int connect_queue(struct store *s, struct patience *p, sqlite3 **out, struct error *err)
{
	*out = NULL;
	if (!s->config.read_only)
		return open_written(s->queue, SQLITE_OPEN_CREATE, p, out, err);
	return access(s->queue, F_OK) == 0 ? open_unwritten(s->queue, p, out, err) : 0;
}

int connect_control(struct store *s, struct error *err)
{
	int r = store_usable(s, err);
	if (r < 0)
		return r;
	if (s->config.read_only)
		return error_set(err, EROFS, "mounted with -o ro: nothing is written to the warehouse");
	if (!s->queue_db) {
		lock_sign(s->lock_fd);
		r = connect_queue(s, &s->patience, &s->queue_db, err);
	}
	if (r == 0 && !s->file_db) {
		r = connect_file(s, &s->patience, &s->file_db, err);
		if (r == 0)
			r = db_exec(s->file_db, "PRAGMA query_only = 1", err);
	}
	return r;
}
