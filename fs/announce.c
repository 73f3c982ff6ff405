/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/base/cleanup.h"
#include "fs/drop_names.h"
#include "fs/interned.h"
#include "fs/inval.h"
#include "fs/kernel_cache.h"
#include "fs/name.h"
#include "fs/name_grace.h"
#include "fs/node.h"
#include "fs/private.h"
#include "fs/scope.h"
#include "fs/telling.h"
#include "fs/selection.h"

/* A file whose names shall no longer lead to the inode that they lead to; or (pages) an inode whose pages go.
 */
struct dropped_name {
	TAILQ_ENTRY(dropped_name) link;
	struct node node;
	bool pages;
};

/* Part of one chunk. */
static void chunk_changed(struct fs *fs, slot model, ordinal first, ordinal end, bool note_all)
{
	ordinal base = first - first % KERNEL_CACHE_CHUNK;
	struct batch_glance glances[KERNEL_CACHE_CHUNK];
	uint8_t suffixes[KERNEL_CACHE_CHUNK];
	struct kernel_cache_view view;
	int64_t now = clock_monotonic_us();

	if (!note_all && !kernel_cache_any(&fs->kernel_cache, model, base))
		return;
	backend_glances(fs->backend, model, first, end - first, glances);
	for (ordinal i = 0; i < end - first; i++) {
		enum batch_state state = glances[i].state;
		suffixes[i] = suffix_of(state);
		name_grace_seen(&fs->name_graces, model, first + i, batch_state_traits(state)->unsettled,
				now);
	}
	if (!kernel_cache_changed(&fs->kernel_cache, model, base, first, end, suffixes, now, &view))
		return;
	for (ordinal o = first; o < end; o++)
		inval_batch(fs->session, model, o, view.seen[o - base], 0);
}

void announce_changed(struct fs *fs, slot model, struct ordinal_range batches)
{
	struct ordinal_range existing = backend_existing(fs->backend, model);
	ordinal first = batches.first > existing.first ? batches.first : existing.first;
	ordinal end = batches.end < existing.end ? batches.end : existing.end;
	/* Of a large range, only what was looked up is worth the look. */
	bool note_all = end > first && end - first <= 4 * KERNEL_CACHE_CHUNK;

	while (first < end) {
		ordinal chunk_end = first - first % KERNEL_CACHE_CHUNK + KERNEL_CACHE_CHUNK;
		ordinal stop = chunk_end < end ? chunk_end : end;
		chunk_changed(fs, model, first, stop, note_all);
		first = stop;
	}
	/* Attributes only: their mtime is the last change. */
	fuse_lowlevel_notify_inval_inode(fs->session, inval_model_ino(model), -1, 0);
	fuse_lowlevel_notify_inval_inode(fs->session, FUSE_ROOT_ID, -1, 0);
}

static void attributes_changed(struct fs *fs, slot model, struct ordinal_range batches)
{
	struct kernel_cache_view view;

	for (ordinal o = batches.first; o < batches.end;) {
		ordinal base = o - o % KERNEL_CACHE_CHUNK, stop = base + KERNEL_CACHE_CHUNK;
		bool known = kernel_cache_peek(&fs->kernel_cache, model, base, &view);
		stop = stop < batches.end ? stop : batches.end;
		for (; o < stop; o++)
			if (known)
				inval_batch(fs->session, model, o, view.seen[o - base], -1);
	}
}

void announce_attributes(struct fs *fs, const struct scope *scope)
{
	for (size_t i = 0; i < scope->n; i++)
		attributes_changed(fs, scope_list(scope)[i].model, scope_list(scope)[i].batches);
}

void announce_recheck(struct fs *fs, slot model, ordinal batch, const struct batch_glance *told)
{
	struct batch_glance now;

	if (backend_glance(fs->backend, model, batch, &now) ||
	    (now.state == told->state && now.built_at == told->built_at && now.size == told->size &&
	     now.writable == told->writable))
		return;
	kernel_cache_refresh(&fs->kernel_cache, model, batch, suffix_of(now.state), clock_monotonic_us());
	announce_kick(fs);
}

/* Without memory it stays as it is. */
static void drop_later(struct fs *fs, const struct node *n, bool pages)
{
	struct dropped_name *d = calloc(1, sizeof(*d));

	if (!d)
		return;
	d->node = *n;
	d->pages = pages;
	LOCKED(&fs->announcer.lock);
	TAILQ_INSERT_TAIL(&fs->announcer.dropped, d, link);
}

void announce_locked(struct fs *fs, const struct node *n)
{
	if (node_traits(n)->batch)
		kernel_cache_drop_names(&fs->kernel_cache, n->model, n->ordinal);
	else
		drop_later(fs, n, false);
	announce_kick(fs);
}

void announce_pages(struct fs *fs, const struct node *n)
{
	drop_later(fs, n, true);
	announce_kick(fs);
}

/* Without memory, or where it is no selection any more, it selects nothing. */
static void select_again(struct fs *fs, uint64_t id, const struct selection_dir *former)
{
	struct backend_selection selected;

	if (backend_select(fs->backend, former->text, &selected, NULL))
		selected = (struct backend_selection){.n_models = 0};
	struct selection_dir *dir = selection_new(former->text, &selected);
	if (dir)
		interned_set_selection(&fs->interned, id, dir);
}

void announce_models(struct fs *fs, const slot *models, size_t n)
{
	uint64_t id = 0;

	for (size_t i = 0; i < n; i++)
		drop_later(fs, &(struct node){.kind = NODE_MODEL, .model = models[i]}, false);
	for (struct selection_dir *dir; (dir = interned_next_selection(&fs->interned, id, &id));) {
		select_again(fs, id, dir);
		drop_later(fs, &(struct node){.kind = NODE_SELECTION, .model = -1, .interned = id}, false);
		selection_put(dir);
	}
	fuse_lowlevel_notify_inval_inode(fs->session, FUSE_ROOT_ID, 0, 0);
}

void announce_surplus(struct fs *fs)
{
	if (interned_has_surplus(&fs->interned))
		announce_kick(fs);
}

void announce_kick(struct fs *fs)
{
	LOCKED(&fs->announcer.lock);
	fs->announcer.kicked = true;
	pthread_cond_signal(&fs->announcer.more);
}

static void tell_names(struct fs *fs, slot model, ordinal batch, uint8_t mask, bool expire)
{
	char name[BATCH_FILE_NAME_MAX];
	enum batch_size size = backend_batch_size(fs->backend, model);
	fuse_ino_t dir = inval_model_ino(model);

	for (uint8_t suffix = 0; suffix < NODE_SUFFIXES; suffix++) {
		if (!(mask & 1u << suffix))
			continue;
		size_t len = name_format(size, batch, suffix, name);
		telling_set(fs, dir, clock_monotonic_us());
		if (expire)
			compat_expire_entry(fs->session, dir, name, len);
		else
			fuse_lowlevel_notify_inval_entry(fs->session, dir, name, len);
	}
	telling_set(fs, dir, 0);
}

static void tell_chunk(struct fs *fs, const struct kernel_cache_work *w)
{
	bool expire;

	{
		LOCKED(&fs->lock);
		expire = fs->expire_works;
	}
	for (unsigned i = 0; i < KERNEL_CACHE_CHUNK; i++) {
		ordinal batch = w->base + i;
		if (w->refresh[i])
			inval_batch(fs->session, w->model, batch, w->refresh[i], 0);
		if (w->drop[i])
			tell_names(fs, w->model, batch, w->drop[i], false);
		if (w->expire[i])
			tell_names(fs, w->model, batch, w->expire[i], expire);
	}
}

static void tell_dropped(struct fs *fs, struct dropped_names *list)
{
	while (!TAILQ_EMPTY(list)) {
		struct dropped_name *d = TAILQ_FIRST(list);
		TAILQ_REMOVE(list, d, link);
		if (d->pages)
			fuse_lowlevel_notify_inval_inode(fs->session, node_id(&d->node), 0, 0);
		else
			drop_names(fs, &d->node);
		free(d);
	}
}

/* Waits until there is something to tell, or `until`. Takes over the names to drop. False: the end. */
static bool wait_for_more(struct announcer *a, int64_t until, struct dropped_names *list)
{
	struct timespec t = {.tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000};

	LOCKED(&a->lock);
	while (!a->kicked && !a->stop) {
		int r = until == INT64_MAX ? pthread_cond_wait(&a->more, &a->lock)
					   : pthread_cond_timedwait(&a->more, &a->lock, &t);
		if (r == ETIMEDOUT)
			break;
	}
	a->kicked = false;
	TAILQ_CONCAT(list, &a->dropped, link);
	return !a->stop;
}

static void *announcer_run(void *arg)
{
	struct fs *fs = arg;
	struct dropped_names list = TAILQ_HEAD_INITIALIZER(list);
	struct kernel_cache_work work;
	struct node surplus;
	int64_t next = INT64_MAX;

	while (wait_for_more(&fs->announcer, next, &list)) {
		tell_dropped(fs, &list);
		while (interned_take_surplus(&fs->interned, &surplus))
			drop_names(fs, &surplus);
		while (kernel_cache_take(&fs->kernel_cache, clock_monotonic_us(), &work, &next))
			tell_chunk(fs, &work);
	}
	tell_dropped(fs, &list);
	/* Only now: until it had answered them, lookups may have held what the notices waited for. */
	pthread_cancel(fs->thread);
	return NULL;
}

void announcer_init(struct announcer *a)
{
	pthread_condattr_t attr;

	memset(a, 0, sizeof(*a));
	TAILQ_INIT(&a->dropped);
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&a->more, &attr);
	pthread_condattr_destroy(&attr);
}

void announcer_fini(struct announcer *a)
{
	while (!TAILQ_EMPTY(&a->dropped)) {
		struct dropped_name *d = TAILQ_FIRST(&a->dropped);
		TAILQ_REMOVE(&a->dropped, d, link);
		free(d);
	}
	pthread_cond_destroy(&a->more);
	pthread_mutex_destroy(&a->lock);
}

int announcer_start(struct fs *fs)
{
	int r = pthread_create(&fs->announcer.thread, NULL, announcer_run, fs);

	fs->announcer.started = r == 0;
	return -r;
}

void announcer_stop(struct fs *fs)
{
	LOCKED(&fs->announcer.lock);
	fs->announcer.stop = true;
	pthread_cond_signal(&fs->announcer.more);
}

void announcer_join(struct fs *fs)
{
	if (!fs->announcer.started)
		return;
	pthread_join(fs->announcer.thread, NULL);
	fs->announcer.started = false;
}
