/* SPDX-License-Identifier: Apache-2.0 */
/* What comes to a request after it was made: its reason, how its batches fail. */
#include <stdio.h>
#include <string.h>

#include "backend/ledger/cells.h"
#include "backend/ledger/details.h"
#include "backend/ledger/flags.h"
#include "backend/ledger/open_request.h"
#include "backend/ledger/origins.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/refresh.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/requests.h"
#include "backend/ledger/state.h"

/* A tiny batch can be done before the text of its request has arrived. */
static void reason_of_built(struct ledger *l, const struct recorded_request *k,
			    const struct requester *before)
{
	struct model_state *m = model_state_of(l, k->model);
	ordinal b = k->batches.first;
	while ((b = mark_gap(l, m, MARK_UNSETTLED, b, k->batches.end)) < k->batches.end) {
		struct cell *c = cell_find(m, b);
		const struct origin_key *o = origin_of(l, c);
		if (c && before && o->by == before)
			cell_set_origin(l, c, k->by, o->code->code, o->answer);
		b++;
	}
}

static void reason_of_running(struct ledger *l, const struct recorded_request *k,
			      const struct requester *before)
{
	struct model_state *m = model_state_of(l, k->model);
	ordinal b = k->batches.first;
	while ((b = mark_next(l, m, MARK_ACTIVE, b, k->batches.end)) < k->batches.end) {
		const struct cell *c = cell_find(m, b);
		struct detail *d = c && c->detail ? detail_find(l, k->model, b) : NULL;
		if (d && d->by == before)
			requester_set(l, &d->by, requester_ref(k->by));
		b++;
	}
}

void ledger_set_reason(struct ledger *l, int64_t request, const char *reason)
{
	struct recorded_request *k = recorded_find(l, request);
	refresh_set_reason(l, request, reason);
	if (!k || !k->by)
		return;
	const struct requester *before = k->by;
	const struct requester *after = requester_intern(l, before->uid, before->command, reason);
	if (!after)
		return;
	k->by = after;
	reason_of_running(l, k, before);
	reason_of_built(l, k, before);
	requester_unref(l, before);
}

/* Counted beyond the time it is open: what was claimed and put back has been taken off its list. */
unsigned ledger_equal_failures(struct ledger *l, int64_t request, const char *key, unsigned weight)
{
	struct recorded_request *k = recorded_find(l, request);
	if (!k)
		return 0;
	if (!key) {
		k->equal_failures = 0;
	} else if (k->equal_failures && strcmp(k->last_failure, key) == 0) {
		k->equal_failures += weight;
	} else {
		k->equal_failures = weight;
		snprintf(k->last_failure, sizeof k->last_failure, "%s", key);
	}
	return k->equal_failures;
}

unsigned ledger_failures(const struct ledger *l, int64_t request)
{
	const struct recorded_request *k = recorded_find(l, request);
	return k ? k->equal_failures : 0;
}

void ledger_remaining(const struct ledger *l, int64_t request,
		      void (*fn)(void *ctx, slot model, struct ordinal_range batches), void *ctx)
{
	const struct recorded_request *k = recorded_find(l, request);
	if (!k)
		return;
	const struct model_state *m = model_state_of(l, k->model);
	const struct open_request *r = k->open;
	ordinal end = k->batches.end;
	struct ordinal_range some = {k->batches.first, k->batches.first};
	while (r && (some.first = request_next(r, some.end)) < r->batches.end) {
		some.end = request_gap(r, some.first);
		fn(ctx, k->model, some);
	}
	/* What was claimed and put back has been taken off its list. */
	for (ordinal b = mark_next(l, m, MARK_REQUEUED, k->batches.first, end); b < end;
	     b = mark_next(l, m, MARK_REQUEUED, b + 1, end)) {
		const struct cell *c = cell_find(m, b);
		const struct detail *d = c && c->detail ? detail_find(l, k->model, b) : NULL;
		if (d && d->request == k && !(k->open && request_has(k->open, b)))
			fn(ctx, k->model, (struct ordinal_range){b, b + 1});
	}
}
