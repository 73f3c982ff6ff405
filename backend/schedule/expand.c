/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call asks for becomes requests: one for each stretch of neighbouring batches. To ask for
 * a failed batch is to ask for what was skipped because of it, too. What is frozen is left out, unless
 * nothing else was asked for by its name.
 */
#include "backend/schedule/expand.h"

#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/count.h"
#include "backend/base/log.h"
#include "backend/calendar.h"
#include "backend/engine.h"
#include "backend/freeze.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/plan.h"
#include "backend/schedule/ask.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refuse.h"
#include "backend/schedule/runtime.h"

static void add_batch(struct stretches *s, slot model, ordinal batch)
{
	struct stretch *last = s->n ? &s->list[s->n - 1] : NULL;
	if (last && last->model == model && last->batches.end == batch) {
		last->batches.end++;
		return;
	}
	if (s->n == s->size) {
		size_t size = s->size ? 2 * s->size : 8;
		struct stretch *list = realloc(s->list, size * sizeof *list);
		if (!list) {
			s->broken = true;
			return;
		}
		s->list = list;
		s->size = size;
	}
	s->list[s->n++] = (struct stretch){.model = model, .batches = {batch, batch + 1}};
}

static bool has(const struct stretches *s, slot model, ordinal batch)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].model == model && batch >= s->list[i].batches.first &&
		    batch < s->list[i].batches.end)
			return true;
	return false;
}

struct closure {
	struct backend *b;
	struct stretches *found;
	struct ordinal_range *seen; /* of each model: what was looked through as a whole */
};

/* What was skipped among those that read a batch that is asked for is asked for, too, and so on. */
static void add_skipped(void *ctx, slot model, struct ordinal_range batches, bool windowed)
{
	struct closure *c = ctx;
	struct ordinal_range *seen = &c->seen[model];
	/* Without a window every batch has the same readers: once is enough. */
	if (!windowed && batches.first >= seen->first && batches.end <= seen->end)
		return;
	if (!windowed)
		*seen = batches;
	for (ordinal o = batches.first; o < batches.end && !c->found->broken; o++)
		if (ledger_state(c->b->ledger, model, o) == BATCH_SKIPPED &&
		    !ledger_frozen(c->b->ledger, model, o, NULL) && !has(c->found, model, o))
			add_batch(c->found, model, o);
}

/* With the lock. The list grows while it is walked. */
static void close_over_skipped(struct backend *b, struct stretches *found)
{
	auto_free struct ordinal_range *seen = calloc((size_t)models_end(b->models) + 1, sizeof *seen);
	struct closure c = {.b = b, .found = found, .seen = seen};
	found->broken |= !seen;
	for (size_t i = 0; i < found->n && !found->broken; i++) {
		for (ordinal o = found->list[i].batches.first; o < found->list[i].batches.end; o++) {
			slot model = found->list[i].model;
			enum batch_state s = ledger_state(b->ledger, model, o);
			if (batch_state_traits(s)->wrong)
				plan_readers(b->ledger, b->models, model, (struct ordinal_range){o, o + 1},
					     add_skipped, &c);
		}
	}
}

/* With the lock. */
static void add_thawed(const struct backend *b, slot model, struct ordinal_range rest, struct stretches *out)
{
	while (rest.first < rest.end && !out->broken) {
		struct ordinal_range frozen = ledger_next_frozen(b->ledger, model, rest);
		if (rest.first < frozen.first)
			add_batch(out, model, rest.first);
		if (rest.first < frozen.first && !out->broken)
			out->list[out->n - 1].batches.end = frozen.first;
		out->frozen += frozen.end - frozen.first;
		rest.first = frozen.end;
	}
}

/* With the lock. */
static void add_set(const struct backend *b, slot model, const struct batch_set *set, struct stretches *out)
{
	struct ordinal_range next;
	for (next = batch_set_next(set, 0); next.first < next.end; next = batch_set_next(set, next.end))
		add_thawed(b, model, next, out);
}

/* With the lock. Of a set of states. */
static void add_states(struct backend *b, const struct backend_part *p, struct stretches *out)
{
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		enum batch_state s = plan_state(b->ledger, b->models, p->model, o);
		if (!plan_in_set(b->ledger, p->model, o, s, p->states))
			continue;
		if (ledger_frozen(b->ledger, p->model, o, NULL))
			out->frozen++;
		else
			add_batch(out, p->model, o);
	}
}

static bool at_stage(const enum part_stage *stages, size_t i, enum part_stage stage)
{
	return stages ? stages[i] == stage : stage == PART_READY;
}

/* Inputs first: what reads a model must not begin, or fail for want of a table, before that is asked for,
 * too. The set of a model that was added is nobody's any more. */
static void add_in_order(const struct backend *b, slot model, struct batch_set **by_slot,
			 struct stretches *out)
{
	const struct batch_set *set = by_slot[model];
	size_t n;
	const struct model_read *reads = models_reads(b->models, model, &n);
	by_slot[model] = NULL;
	for (size_t i = 0; i < n; i++)
		if (by_slot[reads[i].model])
			add_in_order(b, reads[i].model, by_slot, out);
	add_set(b, model, set, out);
}

/* What was sent before is asked for once more only where it would be stale otherwise. */
static int add_run(struct backend *b, const struct backend_request *r, const enum part_stage *stages,
		   struct batch_set *sets, struct batch_set **by_slot, struct stretches *out)
{
	int64_t now = clock_now_us(b->config.clock);
	int err = 0;
	for (size_t i = 0; i < r->n_parts && err == 0; i++) {
		const struct backend_part *p = &r->parts[i];
		if (at_stage(stages, i, PART_READY))
			err = plan_run_part(b->ledger, b->models, p->model, p->batches, now, &sets[i],
					    &out->frozen);
		else if (at_stage(stages, i, PART_SENT))
			err = batch_set_init(&sets[i], p->batches);
		else
			continue;
		by_slot[p->model] = &sets[i];
	}
	if (err < 0)
		return err;
	plan_run_spread(b->ledger, b->models, by_slot);
	for (size_t i = 0; i < r->n_parts; i++)
		if (by_slot[r->parts[i].model])
			add_in_order(b, r->parts[i].model, by_slot, out);
	return 0;
}

/* With the lock. */
static void expand_run(struct backend *b, const struct backend_request *r, const enum part_stage *stages,
		       struct stretches *out)
{
	auto_free struct batch_set *sets = calloc(r->n_parts + 1, sizeof *sets);
	auto_free struct batch_set **by_slot = calloc((size_t)models_end(b->models) + 1, sizeof *by_slot);
	out->broken |= !sets || !by_slot || add_run(b, r, stages, sets, by_slot, out) < 0;
	for (size_t i = 0; sets && i < r->n_parts; i++)
		batch_set_fini(&sets[i]);
}

bool expand_is_single(const struct backend_request *r)
{
	return r->n_parts == 1 && !r->run && !r->parts->states &&
	       r->parts->batches.end - r->parts->batches.first == 1;
}

/* With the lock. Everything that was asked for by its name is frozen. */
static int all_frozen(const struct backend *b, const struct backend_request *r, struct error *why)
{
	const struct backend_part *p = r->parts;
	const struct model *m = facts_of(b, p->model);
	struct store_freeze f = {.batches = p->batches};
	const struct requester *by = ledger_frozen(b->ledger, p->model, p->batches.first, &f.at);
	if (expand_is_single(r) && by) {
		f.uid = by->uid;
		f.command = by->command;
		return freeze_refuses(why, m, &f, p->batches.first);
	}
	char first[CALENDAR_NAME_MAX], end[CALENDAR_NAME_MAX];
	calendar_name(m->batch_size, p->batches.first, first);
	calendar_name(m->batch_size, p->batches.end, end);
	return error_set(why, EPERM, "everything in %s/%s--%s is frozen: chmod u+w %s--%s thaws it", m->dir,
			 first, end, first, end);
}

int expand(struct backend *b, const struct backend_request *r, const enum part_stage *stages,
	   struct stretches *all, struct error *why)
{
	bool by_name = false;
	if (r->run)
		expand_run(b, r, stages, all);
	for (size_t i = 0; i < r->n_parts && !r->run; i++) {
		const struct backend_part *p = &r->parts[i];
		if (!at_stage(stages, i, PART_READY))
			continue;
		if (p->states)
			add_states(b, p, all);
		else
			add_thawed(b, p->model, p->batches, all);
		by_name |= !p->states;
	}
	/* A set of states and .run may be empty, and are still well. */
	if (by_name && all->n == 0 && all->frozen && !all->broken)
		return all_frozen(b, r, why);
	if (all->frozen)
		log_info(b->config.log, "left alone: %s of %s%s",
			 count_of(all->frozen, "frozen batch", "frozen batches").text,
			 dir_of(b, r->parts->model), r->n_parts > 1 ? " and others" : "");
	close_over_skipped(b, all);
	return 0;
}
