/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for which batch. A request that waits for many watches one, the first that
 * has not settled, so that a change costs only those who watch just that batch.
 */
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/base/hash.h"
#include "fs/announce.h"
#include "fs/failure_snapshot.h"
#include "fs/parked.h"
#include "fs/scope.h"
#include "fs/wait.h"

struct watch_key {
	slot model;
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

static struct watch *find(struct waits *w, slot model, ordinal batch)
{
	struct watch_key key = {model, batch};
	struct watch *x;

	HASH_FIND(hh, w->watches, &key, sizeof(key), x);
	return x;
}

static bool attach(struct parked *p)
{
	struct waits *w = &p->fs->waits;
	struct watch_key key = {scope_list(&p->scope)[p->place.part].model, p->place.batch};
	struct watch *x = find(w, key.model, key.batch);

	if (!x) {
		x = calloc(1, sizeof(*x));
		if (!x)
			return false;
		x->key = key;
		TAILQ_INIT(&x->waiting);
		HASH_ADD(hh, w->watches, key, sizeof(x->key), x);
		if (!hash_has(x->hh)) {
			free(x);
			return false;
		}
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
	if (p->failures_before && failure_snapshot_has_grown(p->failures_before, b))
		return -EIO;
	return backend_verdict(b, scope_list(&p->scope), p->scope.n, p->scope.single);
}

bool parked_watch(struct parked *p)
{
	parked_unwatch(p);
	if (!scope_unsettled(p->fs->backend, &p->scope, &p->place))
		return parked_take(p, verdict(p));
	return attach(p) ? false : parked_take(p, -ENOMEM);
}

/* Under the lock. */
static void collect(const struct watch *x, struct parked_list *waiting)
{
	struct parked *p;

	TAILQ_FOREACH(p, &x->waiting, watch_link)
	TAILQ_INSERT_TAIL(waiting, p, move_link);
}

/* Under the lock. First all, then each: a watch that is set again would be met again. */
static void collect_all(struct waits *w, slot model, struct ordinal_range batches,
			struct parked_list *waiting)
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

void wait_changed(struct fs *fs, slot model, struct ordinal_range batches)
{
	struct parked_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct parked_list through = TAILQ_HEAD_INITIALIZER(through);
	struct parked *p;

	{
		LOCKED(&fs->waits.lock);
		collect_all(&fs->waits, model, batches, &waiting);
		while ((p = TAILQ_FIRST(&waiting))) {
			TAILQ_REMOVE(&waiting, p, move_link);
			if (parked_watch(p))
				TAILQ_INSERT_TAIL(&through, p, taken_link);
		}
	}
	while ((p = TAILQ_FIRST(&through))) {
		TAILQ_REMOVE(&through, p, taken_link);
		/* What settled them may be another change than the one that was announced. */
		announce_attributes(fs, &p->scope);
		parked_answer(p);
	}
}
