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
	int dir;	/* the directory that is mounted on, open and locked; -1: not opened */
	int door;	/* the listening socket; -1: we have none */
};

/*
 * Makes the path absolute, detaches dead mounts that lie on it, and locks the directory. -EBUSY: a batchfs is
 * mounted there, or about to be; *err names its pid. -ENOENT, -ENOTDIR: what stands there is no directory.
 * The caller calls mountpoint_fini() also after a failure.
 */
int mountpoint_take(const char *typed, const struct log *log, struct mountpoint *out, struct error *err);

/*
 * Opens the door, once the mount is there. Without a door a second daemon is still refused, but cannot name
 * our pid.
 */
void mountpoint_announce(struct mountpoint *m, const struct log *log);

/*
 * Closes the door, before the unmount: the next mount may get our device number, and with it the door's name.
 */
void mountpoint_withdraw(struct mountpoint *m);

/*
 * Takes the callers at the door, when it is readable, and sends them off: by connecting they have learned our
 * pid.
 */
void mountpoint_greet(struct mountpoint *m);

void mountpoint_fini(struct mountpoint *m);

#endif
