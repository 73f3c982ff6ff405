/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_MOUNTINFO_H
#define BATCHFS_MOUNTINFO_H

#include <stdbool.h>

struct mount_entry {
	unsigned major, minor; /* of the mounted file system */
	char type[64];	       /* "fuse.batchfs" */
	long user; /* the user who has mounted a FUSE file system, its user_id=; -1: the line names none */
};

/*
 * The topmost mount at the absolute path, as this process sees it. Asks the kernel's table, never the
 * file system itself, which may not answer. False: nothing is mounted there.
 */
bool mountinfo_top(const char *path, struct mount_entry *out);

/* Takes one line of the table apart. False: the line describes a mount on another path. */
bool mountinfo_parse(const char *line, const char *path, struct mount_entry *out);

#endif
