/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is built next of a model. What was put back comes first: it has had its turn. Then the
 * open requests take turns, so that today's batch is not behind three years of history.
 */
#include "backend/ledger/private.h"

static bool claimable(const struct cell *c)
{
	return c && c->queued && !c->claimed && !c->running;
}

bool ledger_waits(const struct ledger *l, slot model, ordinal batch, int64_t *request, int64_t *wanted)
{
	const struct model_state *m = model_state_of(l, model);
	const struct cell *c = cell_find(m, batch);
	*request = *wanted = 0;
	if (!claimable(c))
		return false;
	if (!request_wants(m, batch, request, wanted) && c->detail)
		*request = detail_find(l, model, batch)->request;
	return true;
}

bool ledger_leave(struct ledger *l, slot model, ordinal batch)
{
	struct cell *c = cell_find(model_state_of(l, model), batch);
	if (!c || c->leaving)
		return false;
	c->leaving = 1;
	return true;
}

void ledger_left(struct ledger *l, slot model, ordinal batch)
{
	struct cell *c = cell_find(model_state_of(l, model), batch);
	if (c)
		c->leaving = 0;
}

static bool foreign(const struct ledger *l, int64_t request)
{
	const struct known_request *k = known_find(l, request);
	return k && k->foreign;
}

bool ledger_waits_for_other_code(const struct ledger *l, slot model, ordinal batch, int64_t *at)
{
	int64_t request, wanted;
	if (!ledger_waits(l, model, batch, &request, &wanted) || !foreign(l, request))
		return false;
	*at = ledger_asked_at(l, request);
	return true;
}

int64_t ledger_asked_at(const struct ledger *l, int64_t request)
{
	const struct known_request *k = known_find(l, request);
	return k ? k->at : 0;
}

void ledger_newest_wish(const struct ledger *l, slot model, ordinal batch, int64_t *wanted)
{
	*wanted = 0;
	request_wants(model_state_of(l, model), batch, NULL, wanted);
}

/* Lengthens the run by its neighbours that are asked for by the same request and ready too. */
static void extend(const struct ledger *l, slot model, struct ledger_run *run, uint32_t most,
		   ledger_ready_fn *ready, const void *ctx)
{
	for (run->count = 1; run->count < most; run->count++) {
		int64_t request, wanted;
		ordinal next = run->first + run->count;
		if (!ledger_waits(l, model, next, &request, &wanted) || request != run->request ||
		    wanted != run->wanted || !ready(ctx, model, next))
			return;
	}
}

static bool start_at(const struct ledger *l, slot model, ordinal batch, struct ledger_run *run,
		     ledger_ready_fn *ready, const void *ctx)
{
	if (!ledger_waits(l, model, batch, &run->request, &run->wanted) || foreign(l, run->request) ||
	    !ready(ctx, model, batch))
		return false;
	run->first = batch;
	return true;
}

static bool next_requeued(struct ledger *l, slot model, struct ledger_run *run, ledger_ready_fn *ready,
			  const void *ctx)
{
	struct model_state *m = model_state_of(l, model);
	struct ordinal_range known = ledger_known(l, model);
	ordinal b = m->requeued_hint < known.first ? known.first : m->requeued_hint;
	bool first = true;
	for (size_t seen = 0; seen < m->requeued && b < known.end; b++) {
		const struct cell *c = cell_find(m, b);
		if (!c || !c->requeued)
			continue;
		if (first)
			m->requeued_hint = b;
		first = false;
		seen++;
		if (start_at(l, model, b, run, ready, ctx))
			return true;
	}
	return false;
}

static bool next_of_request(struct ledger *l, slot model, struct open_request *r, struct ledger_run *run,
			    ledger_ready_fn *ready, const void *ctx)
{
	size_t n = r->batches.end - r->batches.first;
	while (r->hint < n && !request_has(r, r->batches.first + (ordinal)r->hint))
		r->hint++;
	for (ordinal b = r->batches.first + (ordinal)r->hint; b < r->batches.end; b++)
		if (request_has(r, b) && start_at(l, model, b, run, ready, ctx))
			return true;
	return false;
}

struct ledger_run ledger_next_run(struct ledger *l, slot model, uint32_t most, ledger_ready_fn *ready,
				  const void *ctx)
{
	struct model_state *m = model_state_of(l, model);
	struct ledger_run run = {0};
	if (m->queued == 0 || most == 0)
		return run;
	bool found = next_requeued(l, model, &run, ready, ctx);
	struct open_request *r;
	for (int round = 0; !found && round < 2; round++)
		TAILQ_FOREACH(r, &m->requests, link)
		{
			/* First those after the one that had the last turn, then the others. What one of
			 * other code wants is another mount's, or a newer request's. */
			if (!r->known->foreign && (r->seq > m->turn) == (round == 0) &&
			    next_of_request(l, model, r, &run, ready, ctx)) {
				m->turn = r->seq;
				found = true;
				break;
			}
		}
	if (found)
		extend(l, model, &run, most, ready, ctx);
	return run;
}

int ledger_skipped(struct ledger *l, const struct store_outcome *o)
{
	struct batch_info was;
	ledger_info(l, o->model, o->batch, &was);
	struct store_state s = {.model = o->model,
				.batch = o->batch,
				.outcome = OUTCOME_SKIPPED,
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
	return ledger_put_state(l, &s);
}

void ledger_cancelled(struct ledger *l, const struct store_outcome *o)
{
	struct model_state *m = model_state_of(l, o->model);
	struct cell *c = cell_find(m, o->batch);
	if (!c)
		return;
	request_serve(l, m, o->batch, o->wanted > o->before ? o->wanted : o->before);
	cell_requeue(m, c, o->batch, false);
	if (o->attempt)
		c->attempt = o->attempt > UINT16_MAX ? UINT16_MAX : (uint16_t)o->attempt;
	ledger_released(l, o->model, o->batch);
}
