/* SPDX-License-Identifier: Apache-2.0 */
/* How a database file is opened, for writing and with -o ro. */
#ifndef BATCHFS_SQLITE_FILE_H
#define BATCHFS_SQLITE_FILE_H

#include "backend/sqlite/db/db.h"

/* For writing, with a write-ahead log and durable commits. create: SQLITE_OPEN_CREATE, or 0. */
int file_open_written(const char *path, int create, struct patience *p, sqlite3 **out, struct error *err);

/*
 * Reads without leaving a trace. Where a write-ahead log lies beside the file, it is
 * read with what its writer keeps in -shm, unwritten; where there is none nobody has the
 * file open, and `immutable` keeps SQLite from making one. The connection must be short.
 */
int file_open_unwritten(const char *path, struct patience *p, sqlite3 **out, struct error *err);

#endif
