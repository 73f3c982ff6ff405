/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for which batch. A request that waits for many watches one, the first that
 * has not settled, so that a change costs only those who watch just that batch.
 */
#include <stdlib.h>
#include <uthash.h>

#include "backend/base/cleanup.h"
#include "fs/marks.h"
#include "fs/parked.h"

struct watch_key {
	int model;
	ordinal batch;
};

struct watch {
	struct watch_key key;
	struct parked_list waiting;
	UT_hash_handle hh;
};

void parked_unwatch(struct parked *p)
{
	struct waits *w = &p->fs->waits;
	struct watch *x = p->watch;

	if (!x)
		return;
	TAILQ_REMOVE(&x->waiting, p, watch_link);
	p->watch = NULL;
	if (TAILQ_EMPTY(&x->waiting)) {
		HASH_DEL(w->watches, x);
		free(x);
	}
}

static struct watch *find(struct waits *w, int model, ordinal batch)
{
	struct watch_key key = {model, batch};
	struct watch *x;

	HASH_FIND(hh, w->watches, &key, sizeof(key), x);
	return x;
}

static bool attach(struct parked *p, ordinal batch)
{
	struct waits *w = &p->fs->waits;
	struct watch *x = find(w, p->what.node.model, batch);

	if (!x) {
		x = calloc(1, sizeof(*x));
		if (!x)
			return false;
		x->key = (struct watch_key){p->what.node.model, batch};
		TAILQ_INIT(&x->waiting);
		HASH_ADD(hh, w->watches, key, sizeof(x->key), x);
	}
	TAILQ_INSERT_TAIL(&x->waiting, p, watch_link);
	p->watch = x;
	return true;
}

static int verdict(const struct parked *p)
{
	const struct backend *b = p->fs->backend;

	if (p->cancelled)
		return -ECANCELED;
	if (p->marks && marks_failed_since(p->marks, b))
		return -EIO;
	return backend_verdict(b, &p->what.part, 1);
}

bool parked_watch(struct parked *p, ordinal from)
{
	struct backend *b = p->fs->backend;
	int model = p->what.node.model;
	struct ordinal_range all = p->what.part.batches;
	struct ordinal_range rest = {from, all.end};

	parked_unwatch(p);
	ordinal next = backend_next_unsettled(b, model, rest);
	/* What lies before may have been queued again meanwhile. */
	if (next >= all.end && from > all.first)
		next = backend_next_unsettled(b, model, all);
	if (next >= all.end)
		return parked_take(p, verdict(p));
	return attach(p, next) ? false : parked_take(p, -ENOMEM);
}

/* Under the lock. */
static void collect(const struct watch *x, struct parked_list *waiting)
{
	struct parked *p;

	TAILQ_FOREACH(p, &x->waiting, watch_link)
	TAILQ_INSERT_TAIL(waiting, p, move_link);
}

/* Under the lock. First all, then each: a watch that is set again would be met again. */
static void collect_all(struct waits *w, int model, struct ordinal_range batches, struct parked_list *waiting)
{
	struct watch *x, *next;

	if (batches.end - batches.first <= HASH_COUNT(w->watches)) {
		for (ordinal o = batches.first; o < batches.end; o++) {
			x = find(w, model, o);
			if (x)
				collect(x, waiting);
		}
		return;
	}
	HASH_ITER(hh, w->watches, x, next)
	{
		if (x->key.model == model && x->key.batch >= batches.first && x->key.batch < batches.end)
			collect(x, waiting);
	}
}

void wait_changed(struct fs *fs, int model, struct ordinal_range batches)
{
	struct parked_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct parked_list through = TAILQ_HEAD_INITIALIZER(through);
	struct parked *p;

	{
		LOCKED(&fs->waits.lock);
		collect_all(&fs->waits, model, batches, &waiting);
		while ((p = TAILQ_FIRST(&waiting))) {
			TAILQ_REMOVE(&waiting, p, move_link);
			if (parked_watch(p, p->watch->key.batch))
				TAILQ_INSERT_TAIL(&through, p, taken_link);
		}
	}
	while ((p = TAILQ_FIRST(&through))) {
		TAILQ_REMOVE(&through, p, taken_link);
		/* What settled them may be another change than the one that was announced. */
		announce_attributes(fs, model, p->what.part.batches);
		parked_answer(p);
	}
}

void wait_mark_cancelled(struct fs *fs, int model, struct ordinal_range batches, bool cancelled)
{
	struct parked *p;

	LOCKED(&fs->waits.lock);
	TAILQ_FOREACH(p, &fs->waits.list, link)
	{
		const struct ordinal_range *mine = &p->what.part.batches;
		bool meant = p->watch && p->what.kind != WAIT_READ && p->what.part.model == model;
		if (meant && mine->first < batches.end && batches.first < mine->end)
			p->cancelled = cancelled;
	}
}

void wait_cancelled(struct fs *fs, int model, struct ordinal_range batches)
{
	struct parked_list through = TAILQ_HEAD_INITIALIZER(through);
	struct parked *p, *next;

	{
		LOCKED(&fs->waits.lock);
		/* Asked for again meanwhile: it is built, and who waits will see that. */
		if (backend_next_unsettled(fs->backend, model, batches) < batches.end)
			return;
		for (p = TAILQ_FIRST(&fs->waits.list); p; p = next) {
			const struct ordinal_range *mine = &p->what.part.batches;
			next = TAILQ_NEXT(p, link);
			if (p->watch && p->what.kind != WAIT_READ && p->what.part.model == model &&
			    mine->first < batches.end && batches.first < mine->end &&
			    parked_take(p, -ECANCELED))
				TAILQ_INSERT_TAIL(&through, p, taken_link);
		}
	}
	while ((p = TAILQ_FIRST(&through))) {
		TAILQ_REMOVE(&through, p, taken_link);
		parked_answer(p);
	}
}
