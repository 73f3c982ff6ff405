/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/db/db.h"

#include <stdarg.h>
#include <string.h>

#include "backend/base/clock.h"

/* Often enough to end within a moment, too seldom to be felt. */
#define PROGRESS_OPS 4000

bool patience_ended(const struct patience *p)
{
	return __atomic_load_n(&p->stop, __ATOMIC_ACQUIRE) || __atomic_load_n(p->abandoned, __ATOMIC_ACQUIRE);
}

static int on_progress(void *ctx)
{
	return patience_ended(ctx);
}

/* SQLite's own busy timeout cannot be ended from outside. */
static int on_busy(void *ctx, int tries)
{
	struct patience *p = ctx;
	int64_t now = clock_monotonic_us();
	if (tries == 0)
		p->waiting_since = now;
	if (patience_ended(p) || now - p->waiting_since >= p->wait_us)
		return 0;
	sqlite3_sleep(tries < 8 ? 1 << (tries / 2) : 20);
	return 1;
}

static int to_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_INTERRUPT:
		return ECANCELED;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EACCES;
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
		return EINVAL;
	default:
		return EIO;
	}
}

int db_error(sqlite3 *db, struct error *err)
{
	int code = sqlite3_errcode(db);
	const char *file = sqlite3_db_filename(db, "main");
	if (to_errno(code) == EBUSY)
		return error_set(err, EBUSY, "%s is locked by another program", file ? file : "the database");
	return error_set(err, to_errno(code), "%s", sqlite3_errmsg(db));
}

int db_open(const char *path, int flags, struct patience *p, sqlite3 **out, struct error *err)
{
	auto_db *db = NULL;
	*out = NULL;
	if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) !=
	    SQLITE_OK)
		return db ? error_set(err, to_errno(sqlite3_errcode(db)), "%s: %s", path, sqlite3_errmsg(db))
			  : error_set(err, ENOMEM, "%s: no memory", path);
	sqlite3_busy_handler(db, on_busy, p);
	sqlite3_progress_handler(db, PROGRESS_OPS, on_progress, p);
	*out = db;
	db = NULL;
	return 0;
}

int db_exec(sqlite3 *db, const char *sql, struct error *err)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db, err);
}

void db_rollback(sqlite3 *db)
{
	if (db && !sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct error *err)
{
	const char *tail = "";
	auto_stmt *stmt = NULL;
	*out = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, &tail) != SQLITE_OK)
		return db_error(db, err);
	if (!stmt || tail[strspn(tail, " \t\r\n;")])
		return error_set(err, EINVAL, "the SQL is not one single statement");
	*out = stmt;
	stmt = NULL;
	return 0;
}

int db_bind(sqlite3_stmt *stmt, struct error *err, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	int r = SQLITE_OK;
	for (int i = 1; types[i - 1] && r == SQLITE_OK; i++) {
		switch (types[i - 1]) {
		case 'i':
			r = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
			break;
		case 'c': {
			int64_t count = va_arg(ap, int64_t);
			r = count < 0 ? sqlite3_bind_null(stmt, i) : sqlite3_bind_int64(stmt, i, count);
			break;
		}
		case 't':
			r = sqlite3_bind_text(stmt, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
			break;
		case 'b':
			r = sqlite3_bind_blob(stmt, i, va_arg(ap, const unsigned char *), 16,
					      SQLITE_TRANSIENT);
			break;
		default:
			r = SQLITE_MISUSE;
		}
	}
	va_end(ap);
	return r == SQLITE_OK ? 0 : db_error(sqlite3_db_handle(stmt), err);
}

int db_step(sqlite3_stmt *stmt, struct error *err)
{
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return db_error(sqlite3_db_handle(stmt), err);
	}
}

int db_run(sqlite3_stmt *stmt, struct error *err)
{
	int r = db_step(stmt, err);
	sqlite3_reset(stmt);
	return r < 0 ? r : 0;
}

const char *db_text(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);
	return text ? (const char *)text : "";
}

void db_identifier(struct strbuf *out, const char *name)
{
	strbuf_putc(out, '"');
	for (const char *c = name; *c; c++) {
		if (*c == '"')
			strbuf_putc(out, '"');
		strbuf_putc(out, *c);
	}
	strbuf_putc(out, '"');
}
