/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer a database file: a lock on a small file of its own beside it.
 *
 * Who may only read the database cannot hold it: the lock's file is open to those alone who may write the
 * database (0600 beside a database of 0644), and belongs to its owner where root mounts. flock() keeps others
 * out: it stays with the open file over a fork, it ends with its owner however that dies, and closing some
 * other descriptor of the warehouse cannot drop it (as it would drop a POSIX lock on the database itself). A
 * POSIX lock on the same file, taken after the last fork, lets the kernel say who holds it.
 */
#ifndef BATCHFS_SQLITE_LOCK_H
#define BATCHFS_SQLITE_LOCK_H

#include "backend/base/error.h"

/*
 * `database`: whose rights count; it need not be there. *fd: holds the lock until it is closed. -EBUSY: *err
 * names the holder.
 */
int lock_take(const char *path, const char *database, int *fd, struct error *err);

/* By the process that will live: after a fork it is another. */
void lock_sign(int fd);

#endif
