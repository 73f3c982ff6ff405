/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges that were answered without being built. Of what was skipped as a range all cells share one origin,
 * which knows the answer: 28 bytes a batch, one text for all.
 */
#include "backend/kinds.h"
#include "backend/ledger/cells.h"
#include "backend/ledger/details.h"
#include "backend/ledger/flags.h"
#include "backend/ledger/ids.h"
#include "backend/ledger/origins.h"
#include "backend/ledger/put.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/requests.h"
#include "backend/ledger/shown.h"
#include "backend/ledger/state.h"

/* Its last build stays what it was; how its last attempt ended is told by the history only. */
static void skip_cell(struct ledger *l, const struct store_answer *row, ordinal batch, struct answer *a,
		      const struct requester *by)
{
	struct model_state *m = model_state_of(l, row->model);
	struct cell *c = cell_find(m, batch);
	struct detail *d = c->detail ? detail_find(l, row->model, batch) : NULL;
	int64_t built = cell_built(c);
	if (d) {
		detail_message(l, d, "", "");
		d->rows_inserted = d->rows_deleted = -1;
		d->rows_outside = 0;
		detail_drop_empty(l, d, c);
	}
	cell_set_outcome(m, c, batch, row->outcome);
	c->adopted = c->partial = 0;
	c->duration_ms = 0;
	cell_set_finished(c, row->at);
	cell_set_built(m, c, batch, built);
	cell_set_origin(l, c, by, origin_of(l, c)->code->code, a);
	make_sure(m, batch);
}

static int skip(struct ledger *l, const struct store_answer *row)
{
	struct model_state *m = model_state_of(l, row->model);
	const struct recorded_request *k = recorded_find(l, row->request);
	for (ordinal b = row->batches.first; b < row->batches.end; b++)
		if (!cell_make(m, b))
			return -ENOMEM;
	struct answer *a = answer_find(l, row);
	bool before = a != NULL;
	if (!a) {
		texts_trim(l);
		a = answer_make(l, row);
	}
	if (!a)
		return -ENOMEM;
	for (ordinal b = row->batches.first; b < row->batches.end; b++) {
		/* What runs was claimed for a newer request. What shows it no more has gone on since. */
		if (marked(m, MARK_ACTIVE, b) || (before && !unsure(m, b)))
			continue;
		if (unsure(m, b))
			flags_requeue(m, b, false);
		make_sure(m, b);
		skip_cell(l, row, b, a, k ? k->by : NULL);
	}
	answer_unref(l, a);
	return 0;
}

int ledger_put_answer(struct ledger *l, const struct store_answer *row)
{
	struct model_state *m = model_state_of(l, row->model);
	struct store_answer r = *row;
	if (r.batches.first < m->begin)
		r.batches.first = m->begin;
	if (r.batches.first >= r.batches.end)
		return 0;
	int err = r.outcome != OUTCOME_NONE ? skip(l, &r) : 0;
	if (err == 0)
		request_serve_range(l, r.model, r.batches, r.served);
	return err;
}

size_t ledger_take_unseen(struct ledger *l, int64_t *ids, size_t n)
{
	return ids_take(&l->unseen, ids, n);
}

void ledger_untake_unseen(struct ledger *l, const int64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ids_add(&l->unseen, ids[i]);
}

int ledger_skipped(struct ledger *l, const struct store_outcome *o)
{
	enum row_outcome shows = settle_traits(o->kind)->shows;
	struct batch_info was;
	if (o->count > 1)
		return ledger_put_answer(l, &(struct store_answer){.outcome = shows,
								   .id = o->id,
								   .model = o->model,
								   .batches = {o->batch, o->batch + o->count},
								   .served = o->wanted,
								   .request = o->request,
								   .at = o->finished,
								   .message = o->message});
	ledger_info(l, o->model, o->batch, &was);
	struct store_state s = {.model = o->model,
				.batch = o->batch,
				.outcome = shows,
				.attempt = o->attempt ? o->attempt : was.attempt,
				.started = o->finished,
				.finished = o->finished,
				.built = was.built,
				.rows_deleted = -1,
				.rows_inserted = -1,
				.rows_outside = -1,
				.request = o->request,
				.served = o->wanted,
				.code = was.code,
				.sqlstate = "",
				.message = o->message};
	return state_put(l, &s);
}

void ledger_cancelled(struct ledger *l, const struct store_outcome *o)
{
	struct model_state *m = model_state_of(l, o->model);
	int64_t served = o->wanted > o->before ? o->wanted : o->before;
	if (o->count > 1) {
		request_serve_range(l, o->model, (struct ordinal_range){o->batch, o->batch + o->count},
				    served);
		return;
	}
	struct cell *c = cell_make(m, o->batch);
	if (!c)
		return;
	request_serve(l, o->model, o->batch, served);
	flags_requeue(m, o->batch, false);
	if (o->attempt)
		c->attempt = o->attempt;
	ledger_released(l, o->model, o->batch);
}

void ledger_withdraw(struct ledger *l, slot model, struct ordinal_range batches, int64_t seq)
{
	struct model_state *m = model_state_of(l, model);
	ordinal b = batches.first;
	request_serve_range(l, model, batches, seq - 1);
	/* What was put back was claimed before the cancel, unless something newer wants it. */
	while ((b = mark_next(l, m, MARK_REQUEUED, b, batches.end)) < batches.end) {
		if (ledger_newest_wanting(l, model, b) == 0) {
			flags_requeue(m, b, false);
			ledger_released(l, model, b);
		}
		b++;
	}
}

bool ledger_in_answer(const struct ledger *l, slot model, ordinal batch)
{
	const struct cell *c = cell_find(model_state_of(l, model), batch);
	return c && cell_shows_answer(l, c);
}
