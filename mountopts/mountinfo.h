/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_MOUNTINFO_H
#define BATCHFS_MOUNTINFO_H

#include <stdbool.h>

struct mount_entry {
	unsigned major, minor; /* of the mounted file system */
	char type[64];	       /* "fuse.batchfs" */
	long user;	       /* of FUSE: who has mounted it, user_id=; -1: not said */
};

/*
 * The topmost mount at the absolute path, as this process sees it. Asks the kernel's table, never the
 * file system itself, which may not answer. False: nothing is mounted there.
 */
bool mountinfo_top(const char *path, struct mount_entry *out);

/* One line of the table: true if it describes a mount at the path. */
bool mountinfo_parse(const char *line, const char *path, struct mount_entry *out);

#endif
