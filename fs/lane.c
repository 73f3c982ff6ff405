/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lane.h"

#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "fs/parked.h"

/* Who waits for something, and it. */
struct lane_user {
	TAILQ_ENTRY(lane_user) link;
	uid_t uid;
	TAILQ_HEAD(lane_queue, parked) queue;
};

void lane_init(struct lane *l)
{
	*l = (struct lane){.started = false};
	TAILQ_INIT(&l->users);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->more, NULL);
}

void lane_fini(struct lane *l)
{
	pthread_cond_destroy(&l->more);
	pthread_mutex_destroy(&l->lock);
}

/* Under the lock. NULL: no memory. */
static struct lane_user *user_of(struct lane *l, uid_t uid)
{
	struct lane_user *u;

	TAILQ_FOREACH(u, &l->users, link)
	{
		if (u->uid == uid)
			return u;
	}
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->uid = uid;
	TAILQ_INIT(&u->queue);
	TAILQ_INSERT_TAIL(&l->users, u, link);
	return u;
}

bool lane_add(struct fs *fs, struct parked *p)
{
	struct lane *l = &fs->lane;

	LOCKED(&l->lock);
	struct lane_user *u = user_of(l, p->what.uid);
	if (!u)
		return false;
	TAILQ_INSERT_TAIL(&u->queue, p, lane_link);
	pthread_cond_signal(&l->more);
	return true;
}

/* The first of whose turn it is; NULL: the end. */
static struct parked *next(struct lane *l)
{
	LOCKED(&l->lock);
	while (TAILQ_EMPTY(&l->users) && !l->stop)
		pthread_cond_wait(&l->more, &l->lock);
	struct lane_user *u = TAILQ_FIRST(&l->users);
	if (!u)
		return NULL;
	struct parked *p = TAILQ_FIRST(&u->queue);
	TAILQ_REMOVE(&u->queue, p, lane_link);
	TAILQ_REMOVE(&l->users, u, link);
	if (TAILQ_EMPTY(&u->queue))
		free(u);
	else
		TAILQ_INSERT_TAIL(&l->users, u, link);
	return p;
}

/* What is answered meanwhile (its time was up, the mount has ended) is not made. */
static bool is_wanted(struct parked *p)
{
	LOCKED(&p->fs->waits.lock);
	return !p->taken;
}

static int work(struct parked *p)
{
	struct fs *fs = p->fs;
	const struct wait_for *what = &p->what;

	if (!is_wanted(p))
		return -ECANCELED;
	p->made = what->kind == WAIT_OPEN;
	if (what->kind == WAIT_TEXT) {
		struct backend_sql *sql = handle_sql(&fs->handles, what->fi.fh);
		if (sql) {
			p->piece = true;
			int r = backend_sql_read(sql, (size_t)what->off, what->size, &p->document.text);
			backend_sql_close(sql);
			return r;
		}
	}
	return document_make(fs, &what->node, &p->document);
}

static void *lane_main(void *arg)
{
	struct fs *fs = arg;
	struct parked *p;

	while ((p = next(&fs->lane)))
		wait_made(p, work(p));
	return NULL;
}

int lane_start(struct fs *fs)
{
	int r = pthread_create(&fs->lane.thread, NULL, lane_main, fs);

	fs->lane.started = r == 0;
	return -r;
}

void lane_stop(struct fs *fs)
{
	if (!fs->lane.started)
		return;
	{
		LOCKED(&fs->lane.lock);
		fs->lane.stop = true;
		pthread_cond_signal(&fs->lane.more);
	}
	pthread_join(fs->lane.thread, NULL);
	fs->lane.started = false;
}
