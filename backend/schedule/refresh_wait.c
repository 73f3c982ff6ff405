/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for full refreshes to be over, and what sync answers of those that are. */
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/ledger.h"
#include "backend/schedule/refresh_wait.h"
#include "backend/schedule/runtime.h"

struct refresh_member {
	slot model;
	int64_t id; /* of the refresh that is waited for; 0: of none, the last one is asked about */
};

struct refresh_wait {
	struct waiter waiter;
	size_t n;
	struct refresh_member of[];
};

/* With the lock. Of a refresh that is over; what a later touch has completed is well. */
static int verdict(const struct backend *b, slot model)
{
	struct refresh_count n;
	switch (ledger_refresh(b->ledger, model)->result) {
	case REFRESH_NEVER:
		return -ENODATA;
	case REFRESH_DONE:
		return 0;
	case REFRESH_CANCELLED:
		return -ECANCELED;
	case REFRESH_FAILED:
		break;
	}
	n = ledger_refresh_count(b->ledger, model);
	return n.batches && n.done == n.batches ? 0 : -EIO;
}

/* Of several models the first of these. */
static int worse(int a, int b)
{
	static const int order[] = {-EIO, -ECANCELED, -ENODATA};
	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return 0;
}

/* With the lock. Whether all are over; then its result is known. */
static bool is_over(const struct backend *b, struct waiter *waiter)
{
	struct refresh_wait *w = (struct refresh_wait *)waiter;
	w->waiter.result = 0;
	for (size_t i = 0; i < w->n; i++) {
		const struct ledger_refresh *f = ledger_refresh(b->ledger, w->of[i].model);
		if (f->phase != REFRESH_OVER && f->id == w->of[i].id)
			return false;
		w->waiter.result = worse(w->waiter.result, verdict(b, w->of[i].model));
	}
	return true;
}

void refresh_answer(struct backend *b, int err)
{
	waiters_answer(b, &b->refresh_waits, err, is_over, waiter_answer);
}

void backend_refresh_wait(struct backend *b, const slot *models, size_t n,
			  void (*done)(void *ctx, int result), void *ctx)
{
	struct refresh_wait *w = calloc(1, sizeof *w + n * sizeof w->of[0]);
	bool waits;
	if (!w) {
		done(ctx, -ENOMEM);
		return;
	}
	*w = (struct refresh_wait){.waiter = {.done = done, .ctx = ctx}, .n = n};
	{
		LOCKED(&b->lock);
		for (size_t i = 0; i < n; i++) {
			const struct ledger_refresh *f = ledger_refresh(b->ledger, models[i]);
			w->of[i] = (struct refresh_member){models[i], f->phase == REFRESH_OVER ? 0 : f->id};
		}
		waits = !is_over(b, &w->waiter);
		if (waits && b->threads && !b->stopping) {
			STAILQ_INSERT_TAIL(&b->refresh_waits, &w->waiter, link);
			return;
		}
	}
	done(ctx, waits ? -ECANCELED : w->waiter.result);
	free(w);
}

void backend_refresh_count(const struct backend *b, const slot *models, size_t n,
			   struct backend_refreshed *out)
{
	*out = (struct backend_refreshed){.result = 0};
	for (size_t i = 0; i < n; i++) {
		LOCKED(lock_of(b));
		const struct ledger_refresh *f = ledger_refresh(b->ledger, models[i]);
		struct refresh_count one = ledger_refresh_count(b->ledger, models[i]);
		if (!f->id)
			continue;
		out->batches += one.batches;
		out->done += one.done;
		out->failed += one.failed;
		out->clearing += f->phase == REFRESH_CLEAR;
		out->under_way += f->phase != REFRESH_OVER;
		out->rows += (uint64_t)(f->rows_outside + f->rows_without_event_time);
		out->result = worse(out->result, f->phase == REFRESH_OVER ? verdict(b, models[i]) : 0);
	}
}
