/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a database is still the file that was mounted. A connection goes on writing into a file that was
 * deleted or replaced by its name, and nobody ever finds what it wrote; the same with the write-ahead log
 * (-wal) and its index
 * (-shm), which a second program would make anew and not share.
 *
 * A file that was moved away and comes back, itself and not a copy, is the file that was mounted.
 */
#ifndef BATCHFS_SQLITE_WATCH_H
#define BATCHFS_SQLITE_WATCH_H

#include <sys/types.h>

#include "backend/sqlite/db/db.h"

struct watched_file {
	dev_t dev;
	ino_t ino; /* 0: not known yet */
};

/* Changes while one thread alone uses it; then any thread may check. Zeroed: nothing is watched. */
struct file_watch {
	const char *path; /* the caller's */
	struct watched_file file, log, index;
	char identity[40]; /* of batchfs_meta; "": none yet */
};

/* A connection for writing to the file that is watched, and to no other. */
int watch_open(const struct file_watch *w, struct patience *p, sqlite3 **out, struct error *err);

/*
 * Of a connection that was just opened for writing: that it is on the file that is watched. The first one
 * decides which that is, and the tables of ours are there by then.
 */
int watch_connection(struct file_watch *w, sqlite3 *db, struct error *err);
/* From here on until `db` is closed its log and index stay as they are. */
int watch_log(struct file_watch *w, sqlite3 *db, struct error *err);

/* Without the file being read. -EHOSTUNREACH: it is another one, or gone, and *err says which. */
int watch_check(const struct file_watch *w, struct error *err);

/* Within a transaction: that its contents are those that were mounted. -EHOSTUNREACH: they are not. */
int watch_contents(const struct file_watch *w, sqlite3 *db, struct error *err);

#endif
