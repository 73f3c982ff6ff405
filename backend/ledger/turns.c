/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is built next of a model. What was put back comes first: it has had its turn. Then the
 * open requests take turns, so that today's batch is not behind three years of history.
 */
#include "backend/ledger/cells.h"
#include "backend/ledger/details.h"
#include "backend/ledger/flags.h"
#include "backend/ledger/open_request.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/requests.h"
#include "backend/ledger/state.h"

static ordinal end_of(const struct model_state *m)
{
	return m->begin + (ordinal)(m->n_chunks * CELLS_A_CHUNK);
}

/* Of a batch that waits: the newest request that wants it, or the one that it was put back for; NULL: not
 * known. */
static const struct recorded_request *asked_for(const struct ledger *l, slot model, ordinal batch,
						int64_t *wanted)
{
	const struct open_request *newest = request_newest(l, model, batch);
	*wanted = newest ? newest->seq : 0;
	if (newest)
		return newest->recorded;
	const struct cell *c = cell_find(model_state_of(l, model), batch);
	const struct detail *d = c && c->detail ? detail_find(l, model, batch) : NULL;
	return d ? d->request : NULL;
}

bool ledger_waits(const struct ledger *l, slot model, ordinal batch, int64_t *request, int64_t *wanted)
{
	*request = *wanted = 0;
	if (!marked(model_state_of(l, model), MARK_WAITING, batch))
		return false;
	const struct recorded_request *k = asked_for(l, model, batch, wanted);
	*request = k ? k->id : 0;
	return true;
}

/* So many newer requests are asked where they begin; of more each batch is looked up. */
#define NEWER_MAX 64

/* How far from `from` on, up to `limit`, this is the newest request that wants a batch. */
static ordinal newest_until(const struct ledger *l, const struct open_request *r, ordinal from, ordinal limit)
{
	const struct open_request *newer = TAILQ_NEXT(r, link);
	ordinal gap = request_gap(r, from);
	if (gap < limit)
		limit = gap;
	for (int i = 0; newer && i < NEWER_MAX; i++, newer = TAILQ_NEXT(newer, link)) {
		ordinal other = request_next(newer, from);
		if (other < newer->batches.end && other < limit)
			limit = other;
	}
	if (!newer)
		return limit;
	ordinal end = from + 1;
	while (end < limit && request_newest(l, r->recorded->model, end) == r)
		end++;
	return end;
}

static uint32_t attempt_of(const struct model_state *m, ordinal batch)
{
	const struct cell *c = cell_find(m, batch);
	return c ? c->attempt : 0;
}

struct ledger_waiting ledger_next_waiting(const struct ledger *l, slot model, struct ordinal_range range,
					  bool hopeful)
{
	const struct model_state *m = model_state_of(l, model);
	enum mark mark = hopeful ? MARK_HOPEFUL : MARK_WAITING;
	struct ledger_waiting w = {.batches = {range.end, range.end}};
	ordinal first = mark_next(l, m, mark, range.first, range.end);
	if (first >= range.end)
		return w;
	const struct recorded_request *k = asked_for(l, model, first, &w.wanted);
	w.batches = (struct ordinal_range){first, first + 1};
	w.request = k ? k->id : 0;
	w.by = k ? k->by : NULL;
	w.attempt = attempt_of(m, first);
	w.put_back = marked(m, MARK_REQUEUED, first);
	if (w.put_back || !w.wanted)
		return w;
	ordinal end = mark_gap(l, m, mark, first, range.end);
	end = mark_next(l, m, MARK_REQUEUED, first, end);
	end = newest_until(l, k->open, first, end);
	while (w.batches.end < end && attempt_of(m, w.batches.end) == w.attempt)
		w.batches.end++;
	return w;
}

void ledger_mark_skipping(struct ledger *l, slot model, struct ordinal_range batches, bool on)
{
	struct model_state *m = model_state_of(l, model);
	struct chunk_range chunks = chunks_of(m, batches);
	for (size_t i = chunks.first; i < chunks.end; i++) {
		uint32_t mask = chunk_mask(m, i, batches);
		m->flags[i].skipping = on ? m->flags[i].skipping | mask : m->flags[i].skipping & ~mask;
	}
}

bool ledger_waits_for_other_code(const struct ledger *l, slot model, ordinal batch, int64_t *at)
{
	int64_t wanted;
	if (!marked(model_state_of(l, model), MARK_WAITING, batch))
		return false;
	const struct recorded_request *k = asked_for(l, model, batch, &wanted);
	if (!k || !k->foreign)
		return false;
	*at = k->at;
	return true;
}

bool ledger_may_wait_for_other_code(const struct ledger *l, slot model)
{
	const struct model_state *m = model_state_of(l, model);
	const struct open_request *r;
	TAILQ_FOREACH(r, &m->requests, link)
	{
		if (r->recorded->foreign)
			return true;
	}
	return m->requeued > 0;
}

int64_t ledger_asked_at(const struct ledger *l, int64_t request)
{
	const struct recorded_request *k = recorded_find(l, request);
	return k ? k->at : 0;
}

int64_t ledger_newest_wanting(const struct ledger *l, slot model, ordinal batch)
{
	const struct open_request *newest = request_newest(l, model, batch);
	return newest ? newest->seq : 0;
}

struct choice {
	const struct ledger *l;
	slot model;
	ledger_ready_fn *ready;
	const void *ctx;
};

/* Lengthens the run by its neighbours that are asked for by the same request and ready too. */
static void extend(const struct choice *c, struct ledger_run *run, uint32_t most)
{
	for (run->count = 1; run->count < most; run->count++) {
		int64_t request, wanted;
		ordinal next = run->first + run->count;
		if (!ledger_waits(c->l, c->model, next, &request, &wanted) || request != run->request ||
		    wanted != run->wanted || c->ready(c->ctx, c->model, next) != next)
			return;
	}
}

/* Whether any batch that waits may start: most often the answer is found without asking what wants them. */
static bool any_ready(const struct choice *c)
{
	const struct model_state *m = model_state_of(c->l, c->model);
	ordinal end = end_of(m), b = mark_next(c->l, m, MARK_WAITING, m->begin, end);
	while (b < end) {
		ordinal may = c->ready(c->ctx, c->model, b);
		if (may == b)
			return true;
		b = mark_next(c->l, m, MARK_WAITING, may, end);
	}
	return false;
}

static bool take(const struct recorded_request *k, int64_t wanted, ordinal batch, struct ledger_run *run)
{
	run->first = batch;
	run->request = k ? k->id : 0;
	run->wanted = wanted;
	return true;
}

static bool next_requeued(const struct choice *c, struct ledger_run *run)
{
	const struct model_state *m = model_state_of(c->l, c->model);
	ordinal end = m->requeued ? end_of(m) : m->begin,
		b = mark_next(c->l, m, MARK_REQUEUED, m->begin, end);
	while (b < end) {
		int64_t wanted;
		const struct recorded_request *k = asked_for(c->l, c->model, b, &wanted);
		ordinal may = c->ready(c->ctx, c->model, b);
		if (may == b && marked(m, MARK_WAITING, b) && !(k && k->foreign))
			return take(k, wanted, b, run);
		b = mark_next(c->l, m, MARK_REQUEUED, may > b ? may : b + 1, end);
	}
	return false;
}

static bool next_of_request(const struct choice *c, const struct open_request *r, struct ledger_run *run)
{
	const struct model_state *m = model_state_of(c->l, c->model);
	ordinal b = request_next(r, r->batches.first);
	while (b < r->batches.end) {
		ordinal waits = mark_next(c->l, m, MARK_WAITING, b, r->batches.end);
		ordinal may = waits == b ? c->ready(c->ctx, c->model, b) : waits;
		if (may > b) {
			b = request_next(r, may);
			continue;
		}
		/* What one of other code wants is another mount's, or a newer request's. */
		const struct open_request *newest = request_newest(c->l, c->model, b);
		if (newest && !newest->recorded->foreign)
			return take(newest->recorded, newest->seq, b, run);
		b = request_next(r, newest ? request_gap(newest, b) : b + 1);
	}
	return false;
}

struct ledger_run ledger_next_run(struct ledger *l, slot model, uint32_t most, ledger_ready_fn *ready,
				  const void *ctx)
{
	const struct choice c = {.l = l, .model = model, .ready = ready, .ctx = ctx};
	struct model_state *m = model_state_of(l, model);
	struct ledger_run run = {0};
	if (m->queued == 0 || most == 0 || !any_ready(&c))
		return run;
	bool found = next_requeued(&c, &run);
	struct open_request *r;
	for (int round = 0; !found && round < 2; round++)
		TAILQ_FOREACH(r, &m->requests, link)
		{
			/* First those after the one that had the last turn, then the others. */
			if (!r->recorded->foreign && (r->seq > m->turn) == (round == 0) &&
			    next_of_request(&c, r, &run)) {
				m->turn = r->seq;
				found = true;
				break;
			}
		}
	if (found)
		extend(&c, &run, most);
	return run;
}
