/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/renderer.h"

#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "fs/document.h"
#include "fs/handle.h"
#include "fs/parked.h"

/* Who waits for something, and it. */
struct renderer_user {
	TAILQ_ENTRY(renderer_user) link;
	uid_t uid;
	TAILQ_HEAD(renderer_queue, parked) queue;
};

void renderer_init(struct renderer *l)
{
	*l = (struct renderer){.started = false};
	TAILQ_INIT(&l->users);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->more, NULL);
}

void renderer_fini(struct renderer *l)
{
	pthread_cond_destroy(&l->more);
	pthread_mutex_destroy(&l->lock);
}

/* Under the lock. NULL: no memory. */
static struct renderer_user *user_of(struct renderer *l, uid_t uid)
{
	struct renderer_user *u;

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

bool renderer_add(struct fs *fs, struct parked *p)
{
	struct renderer *l = &fs->renderer;

	LOCKED(&l->lock);
	struct renderer_user *u = user_of(l, p->what.uid);
	if (!u)
		return false;
	TAILQ_INSERT_TAIL(&u->queue, p, renderer_link);
	pthread_cond_signal(&l->more);
	return true;
}

/* The first of whose turn it is; NULL: the end. */
static struct parked *next(struct renderer *l)
{
	LOCKED(&l->lock);
	while (TAILQ_EMPTY(&l->users) && !l->stop)
		pthread_cond_wait(&l->more, &l->lock);
	struct renderer_user *u = TAILQ_FIRST(&l->users);
	if (!u)
		return NULL;
	struct parked *p = TAILQ_FIRST(&u->queue);
	TAILQ_REMOVE(&u->queue, p, renderer_link);
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
		struct backend_pages *pages = handle_pages(&fs->handles, what->fi.fh);
		if (pages) {
			p->piece = true;
			int r = backend_pages_read(pages, (size_t)what->off, what->size, &p->document.text);
			backend_pages_close(pages);
			return r;
		}
	}
	return document_make(fs, &what->node, &p->document);
}

static void *renderer_main(void *arg)
{
	struct fs *fs = arg;
	struct parked *p;

	while ((p = next(&fs->renderer)))
		p->rendered(p, work(p));
	return NULL;
}

int renderer_start(struct fs *fs)
{
	int r = pthread_create(&fs->renderer.thread, NULL, renderer_main, fs);

	fs->renderer.started = r == 0;
	return -r;
}

void renderer_stop(struct fs *fs)
{
	if (!fs->renderer.started)
		return;
	{
		LOCKED(&fs->renderer.lock);
		fs->renderer.stop = true;
		pthread_cond_signal(&fs->renderer.more);
	}
	pthread_join(fs->renderer.thread, NULL);
	fs->renderer.started = false;
}
