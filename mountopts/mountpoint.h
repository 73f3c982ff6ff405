/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount point before and while it is one: who is mounted there, and that it is us.
 *
 * Two locks that need no file and end with the process: a flock on the directory below the mount (two daemons
 * that start at once), and an abstract socket named after the mount's device number, whose peer is the daemon
 * (so that a second daemon can name the process of the first). Every user of the machine can take either, so
 * each counts only where its holder is a batchfs of root, of who has mounted, or of who mounts now. A
 * stranger's lock costs what the lock is for, a clear message, and never the mount.
 */
#ifndef BATCHFS_MOUNTPOINT_H
#define BATCHFS_MOUNTPOINT_H

#include <stdbool.h>

#include "backend/base/error.h"
#include "backend/base/log.h"

struct mountpoint {
	char *path;	/* absolute, or /dev/fd/N */
	bool passed_in; /* /dev/fd/N: mounted by somebody else, who also unmounts it */
	int dir;	/* holds the flock; -1: none */
	int door;	/* the listening socket; -1: none */
};

/*
 * Absolute path; a dead mount there is detached, a live batchfs refused with -EBUSY and its pid in *err.
 * -ENOENT, -ENOTDIR: what stands there is no directory. mountpoint_fini() must follow, also on failure.
 */
int mountpoint_take(const char *typed, const struct log *log, struct mountpoint *out, struct error *err);

/* After mounting: opens the door. Without one a second daemon is refused without our pid. */
void mountpoint_announce(struct mountpoint *m, const struct log *log);

/* Unmounted: the device number, and so the door's name, is another mount's from now on. */
void mountpoint_withdraw(struct mountpoint *m);

/* When the door is readable: whoever asked has learned our pid by connecting. */
void mountpoint_greet(struct mountpoint *m);

void mountpoint_fini(struct mountpoint *m);

#endif
