/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The renderer of slow documents: a thread that makes them one after the other, so that whoever opens, stats
 * or reads one waits for himself alone. The users take turns, so that nobody queues behind all that another
 * one has asked for.
 */
#ifndef BATCHFS_FS_RENDERER_H
#define BATCHFS_FS_RENDERER_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

struct fs;
struct parked;
struct renderer_user;
TAILQ_HEAD(renderer_users, renderer_user);

struct renderer {
	pthread_t thread; /* main's alone */
	bool started;
	pthread_mutex_t lock; /* for everything below; innermost */
	pthread_cond_t more;
	struct renderer_users users; /* who wait, in the order of their turns */
	bool stop;
};

void renderer_init(struct renderer *l);
void renderer_fini(struct renderer *l);
int renderer_start(struct fs *fs); /* -errno */
void renderer_stop(struct fs *fs); /* and waits for its end */

/* FUSE thread. An OPEN, a GETATTR or a READ that is parked (wait.h): the caller's part of it is handed over.
 * False: no memory, and the caller keeps it. */
bool renderer_add(struct fs *fs, struct parked *p);

#endif
