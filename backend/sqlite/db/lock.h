/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flock() on a small file of its own: it stays with the open file over a fork, it
 * ends with its owner however that dies, and closing some other descriptor of the
 * warehouse cannot drop it (as it would drop a POSIX lock on FILE itself).
 */
#ifndef BATCHFS_SQLITE_LOCK_H
#define BATCHFS_SQLITE_LOCK_H

#include "backend/base/error.h"

/* *fd: holds the lock until it is closed. -EBUSY: *err names the holder. */
int lock_take(const char *path, int *fd, struct error *err);

/* Writes our pid: after a fork it is another. */
int lock_sign(int fd);

#endif
