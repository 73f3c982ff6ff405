/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is recorded was lost, at least in part. Everything known is marked as unsure, and loses that mark as
 * it is reported again; so no batch is shown as pending, and nobody who waits for one is answered, only
 * because its row comes late.
 */
#include "backend/ledger/cells.h"
#include "backend/ledger/details.h"
#include "backend/ledger/flags.h"
#include "backend/ledger/origins.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/refresh.h"
#include "backend/ledger/requests.h"
#include "backend/ledger/state.h"

void ledger_restart(struct ledger *l)
{
	struct recorded_request *k;
	for (k = l->recorded; k; k = k->hh.next)
		k->unsure = true;
	for (slot i = 0; i < l->end; i++) {
		struct model_state *m = model_state_of(l, i);
		for (size_t j = 0; j < m->n_chunks; j++)
			m->flags[j].unsure = UINT32_MAX;
		m->turn = 0;
		m->refresh_unsure = true;
	}
	/* What is retired by its id may be another's by now; what is finished is found out again. */
	l->finished.n = 0;
}

static void forget_batch(struct ledger *l, slot model, ordinal batch)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_find(m, batch);
	flags_requeue(m, batch, false);
	flags_set(m, batch, request_newest(l, model, batch), false, false);
	if (!c)
		return;
	if (c->detail)
		detail_drop(l, detail_find(l, model, batch), c);
	cell_drop_origin(l, c);
	cell_set_outcome(m, c, batch, OUTCOME_NONE);
	*c = (struct cell){0};
}

static void forget_requests(struct ledger *l)
{
	struct recorded_request *k, *next_k;
	struct detail *d, *next_d;
	for (k = l->recorded; k; k = k->hh.next)
		if (k->unsure)
			request_void(l, k);
	/* Of what runs here. */
	HASH_ITER(hh, l->details, d, next_d)
	{
		if (d->request && d->request->unsure)
			detail_claim(l, d, d->attempt, d->by, NULL);
	}
	HASH_ITER(hh, l->recorded, k, next_k)
	{
		if (k->unsure)
			recorded_forget(l, k);
	}
}

void ledger_restarted(struct ledger *l, bool (*ours)(void *ctx, slot model, ordinal batch), void *ctx)
{
	forget_requests(l);
	for (slot i = 0; i < l->end; i++) {
		struct model_state *m = model_state_of(l, i);
		for (size_t j = 0; j < m->n_chunks; j++) {
			for (uint32_t left = m->flags[j].unsure; left; left &= left - 1) {
				ordinal batch = m->begin + (ordinal)(j * CELLS_A_CHUNK) +
						(ordinal)__builtin_ctz(left);
				/* What runs here tells its end by itself: the fence of its attempt finds that
				 * its row is gone. */
				if (!marked(m, MARK_ACTIVE, batch) || !ours(ctx, i, batch))
					forget_batch(l, i, batch);
			}
			m->flags[j].unsure = 0;
		}
		if (m->refresh_unsure)
			refresh_forget(l, m);
		m->refresh_unsure = false;
	}
	/* The former life's, by their ids of then. */
	l->unseen.n = 0;
}
