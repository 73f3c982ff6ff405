/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/model.h"
#include "backend/schedule/orphans.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/sink.h"

/* Who could build what waits is looked up no sooner than that. */
#define LOOK_US 1000000

/* So many requests at once; of more the rest follows when these have been settled. */
#define ORPHANS_MAX 4096

void orphans_recode(struct backend *b, slot model, const char *was)
{
	struct recode *r = calloc(1, sizeof *r);
	if (!r)
		return;
	r->model = model;
	memcpy(r->was, was, sizeof r->was);
	STAILQ_INSERT_TAIL(&b->recodes, r, link);
}

void orphans_fini(struct backend *b)
{
	struct recode *r;
	while ((r = STAILQ_FIRST(&b->recodes))) {
		STAILQ_REMOVE_HEAD(&b->recodes, link);
		free(r);
	}
}

static int recode_all(struct backend *b, struct error *err)
{
	struct store_sink sink;
	for (;;) {
		struct recode *r;
		{
			LOCKED(&b->lock);
			r = STAILQ_FIRST(&b->recodes);
		}
		if (!r)
			return 0;
		int rc = store_recode(b->store, r->model, r->was, backend_sink(b, &sink), err);
		if (rc < 0)
			return rc;
		LOCKED(&b->lock);
		STAILQ_REMOVE_HEAD(&b->recodes, link);
		free(r);
	}
}

/* With the lock. What of the model the manifest does not tell of any more: all of a model that has gone, else
 * what lies before its begin. */
static struct ordinal_range no_more(const struct backend *b, slot model)
{
	struct ordinal_range all = ledger_recorded(b->ledger, model);
	const struct model *m = facts_of(b, model);
	ordinal begin = calendar_ordinal(m->batch_size, m->begin);
	if (!models_gone(b->models, model) && all.end > begin)
		all.end = begin > all.first ? begin : all.first;
	return all;
}

typedef void waiting_fn(void *ctx, slot model, const struct ledger_waiting *w, bool told);

/* With the lock. What waits for what this mount does not build. told: the manifest tells of the batches, and
 * has other SQL for them. */
static void each_waiting(const struct backend *b, slot model, waiting_fn *fn, void *ctx)
{
	struct ordinal_range gone = no_more(b, model), rest = ledger_recorded(b->ledger, model);
	int64_t at;
	if (models_gone(b->models, model) || !ledger_may_wait_for_other_code(b->ledger, model))
		rest.end = gone.end;
	while (rest.first < rest.end) {
		bool told = rest.first >= gone.end;
		struct ordinal_range some = {rest.first, told ? rest.end : gone.end};
		struct ledger_waiting w = ledger_next_waiting(b->ledger, model, some, true);
		rest.first = w.batches.end;
		if (w.batches.first < w.batches.end &&
		    (!told || ledger_waits_for_other_code(b->ledger, model, w.batches.first, &at)))
			fn(ctx, model, &w, told);
	}
}

struct orphans {
	struct backend *b;
	struct store_orphan *list; /* by request, once they are sorted */
	size_t n, room;
	struct error why; /* of what nobody can build */
	bool failed;	  /* of the model some have */
};

static void collect(void *ctx, slot model, const struct ledger_waiting *w, bool told)
{
	struct orphans *o = ctx;
	struct store_orphan *last = o->n ? &o->list[o->n - 1] : NULL;
	if (last && last->request == w->request) {
		last->batch = w->batches.end - 1;
		return;
	}
	if (o->n == o->room && o->n < ORPHANS_MAX) {
		size_t room = o->room ? 2 * o->room : 64;
		struct store_orphan *list = reallocarray(o->list, room, sizeof *list);
		if (!list)
			return;
		o->list = list;
		o->room = room;
	}
	if (o->n < o->room)
		o->list[o->n++] = (struct store_orphan){
			.request = w->request, .model = model, .batch = w->batches.end - 1};
}

static int by_request(const void *a, const void *b)
{
	const struct store_orphan *x = a, *y = b;
	if (x->request != y->request)
		return x->request < y->request ? -1 : 1;
	return x->batch < y->batch ? -1 : x->batch > y->batch;
}

static int same_request(const void *a, const void *b)
{
	const struct store_orphan *x = a, *y = b;
	return x->request < y->request ? -1 : x->request > y->request;
}

/* Each request once, with the last of its batches. */
static void sort(struct orphans *o)
{
	size_t kept = 0;
	if (o->n)
		qsort(o->list, o->n, sizeof *o->list, by_request);
	for (size_t i = 0; i < o->n; i++) {
		if (!kept || o->list[kept - 1].request != o->list[i].request)
			kept++;
		o->list[kept - 1] = o->list[i];
	}
	o->n = kept;
}

/* What this mount has asked for of what has gone is cancelled at once. Anything else is given a minute: a
 * mount that has died may come back with the SQL. */
static void end(void *ctx, slot model, const struct ledger_waiting *w, bool told)
{
	struct orphans *o = ctx;
	struct backend *b = o->b;
	int64_t now = clock_now_us(b->config.clock);
	const struct store_orphan key = {.request = w->request}, *k;
	k = bsearch(&key, o->list, o->n, sizeof key, same_request);
	/* Nobody knows who asked for it. */
	bool unknown = w->request == 0 && !told;
	if (!unknown && (!k || k->had || (!k->late && (told || !k->own))))
		return;
	bool cancelled = !told && (unknown || k->own);
	struct store_outcome out = {.kind = cancelled ? SETTLE_CANCELLED : SETTLE_UNBUILDABLE,
				    .model = model,
				    .batch = w->batches.first,
				    .count = w->batches.end - w->batches.first,
				    .request = w->request,
				    .wanted = w->wanted,
				    .lowest = w->wanted,
				    .last = w->attempt,
				    .started = now,
				    .finished = now};
	if (!cancelled)
		ledger_mark_skipping(b->ledger, model, w->batches, true);
	outcome_queue(b, &out, cancelled ? NULL : &o->why);
	o->failed |= !cancelled;
}

static void end_all(struct orphans *o)
{
	struct backend *b = o->b;
	error_set(
		&o->why, ECANCELED,
		"for a minute no mount has had the SQL that this was asked for with: touch it again to have it "
		"built with the SQL that there is");
	LOCKED(&b->lock);
	for (slot s = 0; s < b->runtime_end; s++) {
		if (ledger_queued(b->ledger, s) == 0)
			continue;
		o->failed = false;
		each_waiting(b, s, end, o);
		if (o->failed)
			log_warning(b->config.log,
				    "%s: what was asked for with SQL that no mount has has failed",
				    dir_of(b, s));
	}
}

static int settle(struct orphans *o, struct error *err)
{
	struct backend *b = o->b;
	{
		LOCKED(&b->lock);
		for (slot s = 0; s < b->runtime_end; s++)
			if (ledger_queued(b->ledger, s) > 0)
				each_waiting(b, s, collect, o);
	}
	sort(o);
	int r = o->n ? store_orphans(b->store, o->list, o->n, err) : 0;
	if (r == 0 && o->n)
		end_all(o);
	return r;
}

int orphans_settle(struct backend *b, struct error *err)
{
	int64_t now = clock_monotonic_us();
	int r = recode_all(b, err);
	if (r < 0 || now - b->orphans_at < LOOK_US)
		return r;
	b->orphans_at = now;
	struct orphans o = {.b = b};
	r = settle(&o, err);
	free(o.list);
	return r;
}
