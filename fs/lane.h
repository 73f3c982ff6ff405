/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lane for slow documents: a thread that makes them one after the other, so that whoever opens, stats or
 * reads one waits for himself alone. The users take turns, so that nobody queues behind all that another one
 * has asked for.
 */
#ifndef BATCHFS_FS_LANE_H
#define BATCHFS_FS_LANE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

struct fs;
struct parked;
struct lane_user;
TAILQ_HEAD(lane_users, lane_user);

struct lane {
	pthread_t thread; /* main's alone */
	bool started;
	pthread_mutex_t lock; /* for everything below; innermost */
	pthread_cond_t more;
	struct lane_users users; /* who wait, in the order of their turns */
	bool stop;
};

void lane_init(struct lane *l);
void lane_fini(struct lane *l);
int lane_start(struct fs *fs); /* -errno */
void lane_stop(struct fs *fs); /* and waits for its end */

/* FUSE thread. An OPEN, a GETATTR or a READ that is parked (wait.h): the caller's part of it is handed over.
 * False: no memory, and the caller keeps it. */
bool lane_add(struct fs *fs, struct parked *p);

#endif
