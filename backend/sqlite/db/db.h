/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SQLite connection, used by one thread. Every function returns 0 or -errno
 * with SQLite's own sentence in *err; -EBUSY is a lock that somebody else kept
 * longer than the patience lasted, -ECANCELED an end that was asked for.
 */
#ifndef BATCHFS_SQLITE_DB_H
#define BATCHFS_SQLITE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/base/error.h"
#include "backend/base/strbuf.h"

/*
 * How long a connection waits and what makes it give up. Both flags are set by other
 * threads and read by the connection's: __atomic only.
 */
struct patience {
	const bool *abandoned; /* the store's */
	bool stop;	       /* this connection's */
	int64_t wait_us;       /* for a lock, each time */
	int64_t waiting_since;
};

bool patience_ended(const struct patience *p);

/* flags: SQLITE_OPEN_*; `path` may be an SQLite URI. The patience must outlive the connection. */
int db_open(const char *path, int flags, struct patience *p, sqlite3 **out, struct error *err);

/* What SQLite says of the last failure on this connection. */
int db_error(sqlite3 *db, struct error *err);

/* One or more statements of our own without results. */
int db_exec(sqlite3 *db, const char *sql, struct error *err);

/* Rolls back what is open, if anything is. */
void db_rollback(sqlite3 *db);

/* The whole text must be one statement. */
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct error *err);

/*
 * Binds from parameter 1 on: 'i' int64_t, 'c' a count (int64_t; -1, not known: null), 't' const char * (NULL:
 * null; copied), 'b' 16 bytes of a uuid.
 */
int db_bind(sqlite3_stmt *stmt, struct error *err, const char *types, ...);

/* 1: a row, 0: the end, -errno. */
int db_step(sqlite3_stmt *stmt, struct error *err);

/* Runs a statement without results to its end and makes it ready to be bound again. */
int db_run(sqlite3_stmt *stmt, struct error *err);

/* Column as text, "" for null; valid until the next step. */
const char *db_text(sqlite3_stmt *stmt, int column);

/* "name" with quotes doubled. */
void db_identifier(struct strbuf *out, const char *name);

static inline void cleanup_stmt(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

static inline void cleanup_db(sqlite3 **db)
{
	sqlite3_close(*db);
}

#define auto_stmt __attribute__((cleanup(cleanup_stmt))) sqlite3_stmt
#define auto_db	  __attribute__((cleanup(cleanup_db))) sqlite3

#endif
