/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/engine.h"
#include "backend/kinds.h"
#include "backend/ledger.h"
#include "backend/plan.h"
#include "backend/schedule/ask.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/runtime.h"

static void fill_random(unsigned char *to, size_t size)
{
	ssize_t n = getrandom(to, size, 0);
	(void)n; /* 16 bytes come whole once the pool is up, which it is when a file system is mounted */
}

struct ask_group *group_new(void (*done)(void *ctx, int result), void *ctx)
{
	struct ask_group *g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	*g = (struct ask_group){.members = 1, .done = done, .ctx = ctx};
	fill_random(g->name, sizeof g->name);
	return g;
}

void group_leave(struct ask_group *g, int result)
{
	int none = 0;
	if (result < 0)
		__atomic_compare_exchange_n(&g->result, &none, result, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE);
	if (__atomic_sub_fetch(&g->members, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (g->done)
		g->done(g->ctx, g->result);
	free(g);
}

void ask_end(struct backend *b, struct ask *a, int result)
{
	struct ask *next;
	while ((next = STAILQ_FIRST(&a->then))) {
		STAILQ_REMOVE_HEAD(&a->then, link);
		if (result < 0)
			ask_end(b, next, result);
		else
			ask_send(b, next);
	}
	if (request_traits(a->request.kind)->stops) {
		LOCKED(&b->lock);
		b->runtime[a->request.model].cancels--;
	}
	group_leave(a->group, result);
	struct outcome *o;
	while ((o = STAILQ_FIRST(&a->cancelled))) {
		STAILQ_REMOVE_HEAD(&a->cancelled, link);
		free(o);
	}
	free(a->reason);
	free(a);
}

struct ticket *ticket_slot(struct backend *b, uint64_t number)
{
	return &b->tickets[number % TICKETS_KEPT];
}

struct ask *ask_new(const struct backend *b, struct ask_group *g, slot model, const char *reason)
{
	struct ask *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->reason = reason ? strdup(reason) : NULL;
	if (reason && !a->reason) {
		free(a);
		return NULL;
	}
	a->group = g;
	STAILQ_INIT(&a->then);
	STAILQ_INIT(&a->cancelled);
	__atomic_add_fetch(&g->members, 1, __ATOMIC_RELAXED);
	a->request.reason = a->reason;
	a->request.model = model;
	a->request.expected = -1;
	a->request.at = clock_now_us(b->config.clock);
	return a;
}

void ask_name(struct ask *a)
{
	fill_random(a->request.uuid, sizeof a->request.uuid);
	memcpy(a->request.uuid, a->group->name, sizeof a->group->name);
}

int ask_queue(struct backend *b, struct ask *a)
{
	/* Nobody will come for it. What runs may be cancelled in the drain, too. */
	const struct request_traits *traits = request_traits(a->request.kind);
	if ((b->stopping && !traits->stops) || !b->threads)
		return -ECANCELED;
	if (traits->builds) {
		*ticket_slot(b, a->ticket) =
			(struct ticket){.number = a->ticket, .of = a->ticket_of, .model = a->request.model};
		memcpy(ticket_slot(b, a->ticket)->uuid, a->request.uuid, sizeof a->request.uuid);
		if (a->request.expected >= 0) {
			int64_t built;
			size_t text;
			enum batch_state now =
				ledger_glance(b->ledger, a->request.model, a->request.batches.first,
					      &a->request.expected_attempt, &built, &text);
			if (now == BATCH_DONE)
				now = plan_state(b->ledger, b->models, a->request.model,
						 a->request.batches.first);
			if ((int)now != a->request.expected)
				return -ENOENT;
			/* No warehouse knows that state: its rows may be of another table. */
			if (now == BATCH_UNKNOWN)
				a->request.expected = -1;
		}
	}
	b->runtime[a->request.model].cancels += traits->stops;
	STAILQ_INSERT_TAIL(&b->asks, a, link);
	b->woken = true;
	control_wake(b);
	return 0;
}

void ask_send_all(struct backend *b, struct ask_queue *asks)
{
	struct ask_queue refused = STAILQ_HEAD_INITIALIZER(refused);
	struct ask *a;
	{
		LOCKED(&b->lock);
		while ((a = STAILQ_FIRST(asks))) {
			STAILQ_REMOVE_HEAD(asks, link);
			a->result = ask_queue(b, a);
			if (a->result < 0)
				STAILQ_INSERT_TAIL(&refused, a, link);
		}
	}
	while ((a = STAILQ_FIRST(&refused))) {
		STAILQ_REMOVE_HEAD(&refused, link);
		ask_end(b, a, a->result);
	}
}

void ask_send(struct backend *b, struct ask *a)
{
	struct ask_queue one = STAILQ_HEAD_INITIALIZER(one);
	STAILQ_INSERT_TAIL(&one, a, link);
	ask_send_all(b, &one);
}

static void give_reason(struct backend *b, struct ask_group *g, uint64_t first, unsigned n,
			const char *reason)
{
	for (uint64_t t = first; t < first + n; t++) {
		struct ticket known;
		{
			LOCKED(&b->lock);
			known = *ticket_slot(b, t);
		}
		struct ask *a = known.number == t ? ask_new(b, g, known.model, reason) : NULL;
		if (!a)
			continue;
		a->request.kind = REQUEST_REASON;
		a->ticket = t;
		memcpy(a->request.uuid, known.uuid, sizeof known.uuid);
		ask_send(b, a);
	}
}

/* Every request that came of the ticket's gets the text. */
void backend_reason(struct backend *b, uint64_t ticket, const char *reason,
		    void (*done)(void *ctx, int result), void *ctx)
{
	struct ticket known;
	{
		LOCKED(&b->lock);
		known = *ticket_slot(b, ticket);
	}
	struct ask_group *g = known.number == ticket ? group_new(done, ctx) : NULL;
	if (!g) {
		done(ctx, known.number == ticket ? -ENOMEM : -ESTALE);
		return;
	}
	for (uint64_t first = ticket, next; first; first = next) {
		{
			LOCKED(&b->lock);
			known = *ticket_slot(b, first);
		}
		next = known.number == first ? known.next : 0;
		give_reason(b, g, first, known.number == first ? known.of : 0, reason);
	}
	group_leave(g, 0);
}
