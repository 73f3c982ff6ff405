/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who goes through directory after directory: does he look at what he finds? A listing that brings attributes
 * along spares one who does a LOOKUP for each file, and costs one who does not an inode for each: a kilobyte
 * of kernel memory and more than half of the time of a `find` over a million files. What is cached already is
 * never asked for, so it takes a trial to find out: his first directory comes with attributes, the second
 * without, and what he does then decides. FUSE thread only.
 */
#ifndef BATCHFS_FS_WALKERS_H
#define BATCHFS_FS_WALKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WALKERS		64
#define WALKER_PAUSE_US 10000000 /* Who has listed nothing for so long is a new one. */

struct walker {
	pid_t thread; /* 0: nobody */
	int64_t at;   /* monotonic: of his last listing */
	unsigned listed;
	bool looks;
};

struct walkers {
	struct walker list[WALKERS];
};

/* He begins to list a directory, or goes on with it. Whether he is to get attributes. */
bool walker_lists(struct walkers *w, pid_t thread, bool begins, int64_t now_us);

/* He has looked up a file. */
void walker_looks(struct walkers *w, pid_t thread);

#endif
