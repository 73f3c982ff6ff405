/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the kernel what has changed. Inodes by whoever changed them, before the waiters are
 * answered (the other order showed stale stats and cut reads); names by the announcer's thread, since the
 * kernel waits there for the directory's lock, which a lookup holds until the FUSE thread has answered it.
 */
#ifndef BATCHFS_FS_ANNOUNCE_H
#define BATCHFS_FS_ANNOUNCE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "backend/backend.h"
#include "fs/scope.h"

struct fs;
struct dropped_name;
TAILQ_HEAD(dropped_names, dropped_name);

struct announcer {
	pthread_t thread; /* main's alone */
	bool started;
	pthread_mutex_t lock; /* for everything below; innermost */
	pthread_cond_t more;  /* CLOCK_MONOTONIC */
	struct dropped_names dropped;
	bool kicked, stop;
	int64_t telling_since; /* CLOCK_MONOTONIC us; 0: no notice about a name is on its way */
	uint64_t telling_dir;  /* inode number of the directory that the name is in */
};

void announcer_init(struct announcer *a);
void announcer_fini(struct announcer *a);
int announcer_start(struct fs *fs); /* -errno */
void announcer_stop(struct fs *fs); /* soon, and then ends the FUSE thread */
void announcer_join(struct fs *fs);

/*
 * The batches look different: inodes are invalidated before it returns, names once announce_kick()
 * has been called. Never on the FUSE thread (a page that is being read is waited for).
 */
void announce_changed(struct fs *fs, slot model, struct ordinal_range batches);

/*
 * Any thread, the FUSE thread too: the kernel asks for the batches' attributes again. For whoever answers
 * from the state alone, since the one who changed it may not have come to announce_changed() yet.
 */
void announce_attributes(struct fs *fs, const struct scope *scope);

/* Any thread, soon: nothing is left in the page cache of the inode that the node is. */
void announce_pages(struct fs *fs, const struct node *n);

/* Lets the announcer go on. */
void announce_kick(struct fs *fs);

/* Any thread. The file's inode is locked (own_inode.h): the names that lead to it are dropped. */
void announce_locked(struct fs *fs, const struct node *n);

/* Any thread. A new manifest: what the names of these models lead to is another model's, or nobody's; and
 * what selections select. After announce_kick(). */
void announce_models(struct fs *fs, const slot *models, size_t n);

/* Any thread, after something was interned: the kernel is told to drop names where too much is. */
void announce_surplus(struct fs *fs);

/* FUSE thread, after an answer that said `told` of the batch: sees to it if that no longer holds. */
void announce_recheck(struct fs *fs, slot model, ordinal batch, const struct batch_glance *told);

#endif
