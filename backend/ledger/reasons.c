/* SPDX-License-Identifier: Apache-2.0 */
/* What comes to a request after it was made: its reason, how its batches fail. */
#include <stdio.h>

#include "backend/ledger/private.h"

/* A tiny batch can be done before the text of its request has arrived. */
static void reason_of_built(struct ledger *l, const struct known_request *k, const struct requester *before)
{
	struct model_state *m = model_state_of(l, k->model);
	for (ordinal b = k->batches.first; b < k->batches.end; b++) {
		struct cell *c = cell_find(m, b);
		if (!c || c->queued || c->claimed || c->running || !m->n_origins)
			continue;
		const struct origin *o = &m->origins[c->origin];
		if (o->by == before)
			c->origin = origin_intern(l, m, k->by, o->code);
	}
}

void ledger_set_reason(struct ledger *l, int64_t request, const char *reason)
{
	struct known_request *k = known_find(l, request);
	if (!k || !k->by)
		return;
	const struct requester *before = k->by;
	const struct requester *after = requester_intern(l, before->uid, before->command, reason);
	if (!after)
		return;
	k->by = after;
	struct detail *d, *next;
	HASH_ITER(hh, l->details, d, next)
	{
		bool meant = (int)d->key.model == k->model && d->key.batch >= k->batches.first &&
			     d->key.batch < k->batches.end;
		if (meant && d->by == before)
			d->by = after;
	}
	reason_of_built(l, k, before);
}

static struct open_request *open_of(const struct ledger *l, int64_t request)
{
	const struct known_request *k = known_find(l, request);
	struct open_request *r;
	if (!k || !k->open)
		return NULL;
	TAILQ_FOREACH(r, &model_state_of(l, k->model)->requests, link)
	{
		if (r->known == k)
			return r;
	}
	return NULL;
}

/* Counted beyond the time it is open: what was claimed and put back has been taken off its list. */
unsigned ledger_equal_failures(struct ledger *l, int64_t request, const char *sqlstate)
{
	struct known_request *k = known_find(l, request);
	if (!k)
		return 0;
	if (!sqlstate) {
		k->equal_failures = 0;
	} else if (k->equal_failures && strcmp(k->last_failure, sqlstate) == 0) {
		k->equal_failures++;
	} else {
		k->equal_failures = 1;
		snprintf(k->last_failure, sizeof k->last_failure, "%s", sqlstate);
	}
	return k->equal_failures;
}

unsigned ledger_failures(const struct ledger *l, int64_t request)
{
	const struct known_request *k = known_find(l, request);
	return k ? k->equal_failures : 0;
}

void ledger_remaining(const struct ledger *l, int64_t request,
		      void (*fn)(void *ctx, slot model, ordinal batch), void *ctx)
{
	const struct open_request *r = open_of(l, request);
	for (ordinal b = r ? r->batches.first : 0; r && b < r->batches.end; b++)
		if (request_has(r, b))
			fn(ctx, r->known->model, b);
	const struct detail *d, *next;
	HASH_ITER(hh, l->details, d, next)
	{
		slot model = (int)d->key.model;
		const struct cell *c = cell_find(model_state_of(l, model), d->key.batch);
		bool listed = r && r->known->model == model && request_has(r, d->key.batch);
		if (request && d->request == request && c && c->requeued && !listed)
			fn(ctx, model, d->key.batch);
	}
}
