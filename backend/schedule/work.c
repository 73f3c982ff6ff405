/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread's hand: plans, claims, gives to idle workers. */
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/plan.h"
#include "backend/schedule/cancel.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/job.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/take_back.h"
#include "backend/schedule/work.h"

static struct job_worker *idle_worker(struct backend *b)
{
	for (int i = 0; i < b->config.jobs; i++)
		if (b->workers[i].kind == JOB_NONE)
			return &b->workers[i];
	return NULL;
}

static struct plan_gate *gates(const struct backend *b)
{
	struct plan_gate *out = calloc((size_t)b->runtime_end + 1, sizeof *out);
	if (!out)
		return NULL;
	int64_t now = clock_monotonic_us();
	for (slot i = 0; i < models_end(b->models); i++) {
		const struct model_runtime *m = &b->runtime[i];
		/* What is refused is claimed to fail. */
		bool refused = refusal_stands(b, i), runs = ledger_looked(b->ledger, i) && model_runs(b, i);
		out[i].open = (refused || runs) && !m->preparing && !m->cancels && m->not_before <= now;
		out[i].unprepared = !refused && model_unprepared(m);
		out[i].missing = !m->exists;
		const struct builder_traits *by = engine_builder(b->config.engine, facts_of(b, i));
		/* On another mount, too, as far as this one has heard of it. */
		out[i].open &= !by->model_alone || ledger_running(b->ledger, i) == 0;
		out[i].run_us = by->run_us;
		out[i].run_most = by == &b->config.engine->native ? 0 : (uint32_t)b->config.chunk;
	}
	for (int i = 0; i < b->config.jobs; i++)
		if (b->workers[i].kind != JOB_NONE) {
			slot runs = b->workers[i].run.model;
			out[runs].busy = true;
			out[runs].open &= !engine_builder(b->config.engine, facts_of(b, runs))->model_alone;
		}
	return out;
}

static void start(struct job_worker *w, enum job_kind kind, const struct build_run *run)
{
	w->run = *run;
	w->held = models_hold(w->b->models, run->model);
	w->facts = w->run.facts = facts_of(w->b, run->model);
	w->under_way = w->begun = w->taken = w->cancelled = w->ended = (struct run_marks){0};
	w->since = clock_monotonic_us();
	w->kind = kind;
	pthread_cond_signal(&w->wake);
}

/* Cancelled while its claim was on the way: this attempt never begins. With the lock. */
static bool cancelled_meanwhile(struct backend *b, const struct store_claim *c, uint32_t i)
{
	if (!cancel_asked(b, c->model, c->first + i))
		return false;
	struct store_outcome out = {.kind = SETTLE_CANCELLED,
				    .model = c->model,
				    .batch = c->first + i,
				    .attempt = c->attempt[i],
				    .wanted = c->wanted,
				    .started = c->started,
				    .finished = c->started};
	struct outcome *o = outcome_queue(b, &out, NULL);
	if (o)
		o->spared = SETTLE_UNSTARTED;
	return true;
}

/* With the lock. Whether the table is made anew with what was granted. */
static bool refresh_makes_anew(struct backend *b, const struct store_claim *c)
{
	const struct ledger_refresh *f = ledger_refresh(b->ledger, c->model);
	if (f->phase != REFRESH_FIRST || c->count > 1 ||
	    c->first != ledger_refresh_first(b->ledger, c->model))
		return false;
	b->runtime[c->model].refresh.begun = f->id;
	return true;
}

/* Puts what was granted into the ledger and down for the worker; what was not is another mount's. */
void work_grant(struct backend *b, struct job_worker *w, const struct store_claim *c)
{
	struct build_run run = {.model = c->model,
				.first = c->first,
				.count = c->count,
				.request = c->request,
				.wanted = still_wanted,
				.wanted_ctx = w};
	uint32_t granted = 0;
	{
		LOCKED(&b->lock);
		for (uint32_t i = 0; i < c->count; i++) {
			if (!c->attempt[i])
				continue;
			ledger_claimed(b->ledger, c->model, c->first + i, c->attempt[i], c->served,
				       c->request);
			if (cancelled_meanwhile(b, c, i))
				continue;
			run.attempt[i] = c->attempt[i];
			granted++;
		}
		w->served = c->served;
		run.anew = refresh_makes_anew(b, c);
		if (granted)
			start(w, JOB_BUILD, &run);
		else
			b->runtime[c->model].not_before = clock_monotonic_us() + 20000;
		touch_model(b, c->model);
	}
	changed(b, c->model, (struct ordinal_range){c->first, c->first + c->count});
}

/* With the lock. */
static bool shows_answer(const struct backend *b, slot model, const struct ledger_run *run)
{
	for (uint32_t i = 0; i < run->count; i++)
		if (ledger_in_answer(b->ledger, model, run->first + i))
			return true;
	return false;
}

/* The next piece of work and a worker for it: 1; 0: there is none, or it was only a prepare; -ENOMEM. */
static int next_claim(struct backend *b, struct store_claim *claim, struct job_worker **w)
{
	LOCKED(&b->lock);
	for (;;) {
		/* What has ended or is cancelled decides what comes next: it is settled first. */
		*w = b->stopping || !STAILQ_EMPTY(&b->outcomes) ? NULL : idle_worker(b);
		if (!*w)
			return 0;
		auto_free struct plan_gate *gate = gates(b);
		if (!gate)
			return -ENOMEM;
		struct plan_next next =
			plan_next(b->ledger, b->models, gate, (unsigned)b->config.jobs, &b->turn);
		if (next.model < 0)
			return 0;
		if (!next.prepare) {
			*claim = (struct store_claim){.model = next.model,
						      .first = next.run.first,
						      .count = next.run.count,
						      .request = next.run.request,
						      .wanted = next.run.wanted,
						      .skipped = shows_answer(b, next.model, &next.run),
						      .started = clock_now_us(b->config.clock)};
			return 1;
		}
		b->runtime[next.model].preparing = true;
		start(*w, JOB_PREPARE, &(struct build_run){.model = next.model});
	}
}

struct job_worker *work_ahead(struct backend *b, const struct store_request *r, struct store_claim *claim)
{
	LOCKED(&b->lock);
	slot model = r->model;
	ordinal batch = r->batches.first;
	struct job_worker *w = b->stopping || !STAILQ_EMPTY(&b->outcomes) ? NULL : idle_worker(b);
	auto_free struct plan_gate *gate = w ? gates(b) : NULL;
	if (!gate || r->kind != REQUEST_BUILD || r->batches.end != batch + 1 || b->config.read_only)
		return NULL;
	for (slot i = 0; i < models_end(b->models); i++)
		if (ledger_queued(b->ledger, i) > 0 || (gate[i].missing && ledger_running(b->ledger, i) > 0))
			return NULL;
	bool alone = plan_serial(models_at(b->models, model)) && ledger_running(b->ledger, model) > 0;
	if (!gate[model].open || gate[model].unprepared || !model_runs(b, model) || alone ||
	    ledger_state(b->ledger, model, batch) == BATCH_RUNNING ||
	    !plan_ready(b->ledger, b->models, model, batch))
		return NULL;
	*claim = (struct store_claim){.model = model,
				      .first = batch,
				      .count = 1,
				      .skipped = ledger_in_answer(b->ledger, model, batch),
				      .started = clock_now_us(b->config.clock)};
	return w;
}

int work_hand_out(struct backend *b, struct error *err)
{
	struct store_claim claim;
	struct job_worker *w;
	int found;
	while ((found = next_claim(b, &claim, &w)) > 0) {
		int r = store_claim(b->store, &claim, 1, err);
		if (r < 0)
			return r;
		work_grant(b, w, &claim);
	}
	return found < 0 ? error_set(err, -found, "no memory to plan") : 0;
}
