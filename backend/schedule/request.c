/* SPDX-License-Identifier: Apache-2.0 */
/* A request to build: refused at once, held until it is known what its tables hold, or sent to the store. */
#include "backend/schedule/request.h"

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
#include "backend/schedule/refresh_ask.h"
#include "backend/schedule/refuse.h"
#include "backend/schedule/runtime.h"

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

static bool full_makes_anew(const struct backend *b, const struct backend_request *r, slot model)
{
	if (!r->full)
		return false;
	LOCKED(lock_of(b));
	return engine_builder(b->config.engine, facts_of(b, model))->refresh_anew;
}

static struct ask *ask_of(const struct backend *b, struct ask_group *g, const struct backend_request *r,
			  const struct stretch *s, int expected, bool named, uint64_t ticket, unsigned of)
{
	struct ask *a = ask_new(b, g, s->model, r->reason);
	if (!a)
		return NULL;
	a->request.kind = r->full ? REQUEST_FULL : REQUEST_BUILD;
	a->request.anew = full_makes_anew(b, r, s->model);
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

int request_send(struct backend *b, struct ask_group *g, const struct backend_request *r,
		 const struct stretches *all, uint64_t *ticket)
{
	struct ask_queue asks = STAILQ_HEAD_INITIALIZER(asks);
	struct ask *first = NULL;
	bool broken = false;
	uint64_t last = __atomic_add_fetch(&b->last_ticket, all->n, __ATOMIC_RELAXED);
	*ticket = all->n ? last - all->n + 1 : 0;
	for (size_t i = 0; i < all->n && !broken; i++) {
		struct ask *a = ask_of(b, g, r, &all->list[i], i ? -1 : r->expected,
				       i == 0 && expand_is_single(r), *ticket + i, i ? 1 : (unsigned)all->n);
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

/* A request a model, all recorded or none. What is frozen is not gone around. */
static void request_full(struct backend *b, const struct backend_request *r, uint64_t *ticket)
{
	auto_free struct stretch *list = calloc(r->n_parts + 1, sizeof *list);
	const struct stretches all = {.list = list, .n = r->n_parts};
	int err = list ? refresh_refused(b, r) : -ENOMEM;
	struct ask_group *g = err < 0 ? NULL : group_new(r->done, r->ctx);
	for (size_t i = 0; g && i < r->n_parts; i++)
		list[i] = (struct stretch){r->parts[i].model, r->parts[i].batches};
	if (g)
		group_leave(g, request_send(b, g, r, &all, ticket));
	else
		r->done(r->ctx, err < 0 ? err : -ENOMEM);
}

void backend_request(struct backend *b, const struct backend_request *r, uint64_t *ticket)
{
	if (r->full) {
		*ticket = 0;
		request_full(b, r, ticket);
		return;
	}
	struct stretches all = {0};
	struct error why = {0};
	int err = 0;
	*ticket = 0;
	for (size_t i = 0; i < r->n_parts && err == 0; i++)
		err = refused(b, r, &r->parts[i]);
	if (err == 0 && held_must_wait(r)) {
		held_add(b, r, ticket);
		return;
	}
	if (err == 0) {
		LOCKED(&b->lock);
		err = expand(b, r, NULL, &all, &why);
	}
	if (why.err)
		refuse_part(b, r->file, r->parts, r->uid, &why);
	struct ask_group *g = err < 0 ? NULL : group_new(r->done, r->ctx);
	if (g)
		group_leave(g, all.broken ? -ENOMEM : request_send(b, g, r, &all, ticket));
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
			n += !p->states || plan_is_in_set(b->ledger, b->models, p->model, o, p->states);
	}
	return n;
}
