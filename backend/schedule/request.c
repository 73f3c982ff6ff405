/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call asks for becomes requests: one for each stretch of neighbouring batches. To ask for
 * a failed batch is to ask for what was skipped because of it, too. What is frozen is left out, unless
 * nothing else was asked for by its name.
 */
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

struct stretch {
	slot model;
	struct ordinal_range batches;
};

struct stretches {
	struct stretch *list;
	size_t n, size;
	size_t frozen; /* batches that were left out for that */
	bool broken;   /* no memory */
};

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
static void expand(struct backend *b, const struct backend_part *p, bool run, struct stretches *out)
{
	const struct model *m = facts_of(b, p->model);
	ordinal newest = plan_existing(m, clock_now_us(b->config.clock)).end - 1;
	if (!run && !p->states) {
		add_thawed(b, p->model, p->batches, out);
		return;
	}
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		enum batch_state s = plan_state(b->ledger, b->models, p->model, o);
		bool meant = run ? plan_run_reason(m, s, o, newest) != NULL : (p->states >> s & 1) != 0;
		if (meant && ledger_frozen(b->ledger, p->model, o, NULL))
			out->frozen++;
		else if (meant)
			add_batch(out, p->model, o);
	}
}

static bool is_single(const struct backend_request *r)
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
	if (is_single(r) && by) {
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

/* With the lock. What is to be asked for; -EPERM: nothing, because it is frozen. */
static int find_all(struct backend *b, const struct backend_request *r, struct stretches *all,
		    struct error *why)
{
	bool by_name = false;
	for (size_t i = 0; i < r->n_parts; i++) {
		expand(b, &r->parts[i], r->run, all);
		by_name |= !r->run && !r->parts[i].states;
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

static int refused(struct backend *b, const struct backend_request *r, const struct backend_part *p)
{
	struct error why = {0};
	if (b->config.read_only) {
		error_set(&why, EROFS, "this mount is read only (-o ro)");
	} else {
		LOCKED(&b->lock);
		const char *why_not = model_why_not(b, p->model);
		if (why_not)
			error_set(&why, EOPNOTSUPP, "%s", why_not);
	}
	struct ordinal_range existing = backend_existing(b, p->model);
	bool inside = p->batches.first >= existing.first && p->batches.end <= existing.end;
	if (!why.err && (!inside || (p->batches.first >= p->batches.end && !p->states)))
		error_set(&why, ENOENT, "%s has no such batch now", dir_of(b, p->model));
	return why.err ? refuse_part(b, r->file, p, r->uid, &why) : 0;
}

static struct ask *ask_of(const struct backend *b, struct ask_group *g, const struct backend_request *r,
			  const struct stretch *s, int expected, bool named, uint64_t ticket, unsigned of)
{
	struct ask *a = ask_new(b, g, s->model, r->reason);
	if (!a)
		return NULL;
	a->request.kind = REQUEST_BUILD;
	a->request.batches = s->batches;
	a->request.expected = expected;
	a->request.named = named;
	a->request.uid = r->uid;
	a->pid = r->pid;
	a->ticket = ticket;
	a->ticket_of = of;
	ask_name(a);
	return a;
}

static int send_all(struct backend *b, struct ask_group *g, const struct backend_request *r,
		    const struct stretches *all, uint64_t *ticket)
{
	struct ask_queue asks = STAILQ_HEAD_INITIALIZER(asks);
	struct ask *first = NULL;
	bool broken = false;
	uint64_t last = __atomic_add_fetch(&b->last_ticket, all->n, __ATOMIC_RELAXED);
	*ticket = all->n ? last - all->n + 1 : 0;
	for (size_t i = 0; i < all->n && !broken; i++) {
		struct ask *a = ask_of(b, g, r, &all->list[i], i ? -1 : r->expected, i == 0 && is_single(r),
				       *ticket + i, i ? 1 : (unsigned)all->n);
		broken = !a;
		/* The compare-and-swap is on what was named: what was skipped because of it follows only if
		 * that has won. */
		if (a && r->expected >= 0 && !first)
			first = a;
		else if (a && first)
			STAILQ_INSERT_TAIL(&first->then, a, link);
		else if (a)
			STAILQ_INSERT_TAIL(&asks, a, link);
	}
	if (first)
		STAILQ_INSERT_TAIL(&asks, first, link);
	ask_send_all(b, &asks);
	return broken ? -ENOMEM : 0;
}

void backend_request(struct backend *b, const struct backend_request *r, uint64_t *ticket)
{
	struct stretches all = {0};
	struct error why = {0};
	int err = 0;
	*ticket = 0;
	for (size_t i = 0; i < r->n_parts && err == 0; i++)
		err = refused(b, r, &r->parts[i]);
	if (err == 0) {
		LOCKED(&b->lock);
		err = find_all(b, r, &all, &why);
	}
	if (why.err)
		refuse_part(b, r->file, r->parts, r->uid, &why);
	struct ask_group *g = err < 0 ? NULL : group_new(r->done, r->ctx);
	if (g)
		group_leave(g, all.broken ? -ENOMEM : send_all(b, g, r, &all, ticket));
	else
		r->done(r->ctx, err < 0 ? err : -ENOMEM);
	free(all.list);
}

size_t backend_count(const struct backend *b, const struct backend_part *parts, size_t n_parts)
{
	size_t n = 0;
	LOCKED(lock_of(b));
	for (size_t i = 0; i < n_parts; i++) {
		const struct backend_part *p = &parts[i];
		for (ordinal o = p->batches.first; o < p->batches.end; o++)
			n += !p->states ||
			     (p->states >> plan_state(b->ledger, b->models, p->model, o) & 1) != 0;
	}
	return n;
}
