/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread's hand: plans, claims, gives to idle workers. */
#include "backend/schedule/private.h"

static struct job_worker *idle_worker(struct backend *b)
{
	for (int i = 0; i < b->config.jobs; i++)
		if (b->workers[i].kind == JOB_NONE)
			return &b->workers[i];
	return NULL;
}

static void gates(const struct backend *b, struct plan_gate *out)
{
	int64_t now = clock_monotonic_us();
	for (size_t i = 0; i < b->catalog->n_models; i++) {
		const struct model_runtime *m = &b->models[i];
		out[i].open = !m->adopting && !m->preparing && !m->cancels && m->not_before <= now &&
			      model_runs(b, (int)i);
		out[i].unprepared = !m->prepared;
		out[i].missing = !m->exists;
		out[i].busy = false;
	}
	for (int i = 0; i < b->config.jobs; i++)
		if (b->workers[i].kind != JOB_NONE)
			out[b->workers[i].run.model].busy = true;
}

static void start(struct job_worker *w, enum job_kind kind, const struct build_run *run)
{
	w->run = *run;
	w->building = UINT32_MAX;
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
	outcome_queue(b, &out, NULL);
	return true;
}

/* Puts what was granted into the ledger and down for the worker; what was not is another mount's. */
static void grant(struct backend *b, struct job_worker *w, const struct store_claim *c)
{
	struct build_run run = {.model = c->model,
				.first = c->first,
				.count = c->count,
				.request = c->request,
				.wanted = cancel_wanted,
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
		if (granted)
			start(w, JOB_BUILD, &run);
		else
			b->models[c->model].not_before = clock_monotonic_us() + 20000;
		touch_model(b, c->model);
	}
	changed(b, c->model, (struct ordinal_range){c->first, c->first + c->count});
}

/* The next piece of work and a worker for it; false: there is none, or it was only a prepare. */
static bool next_claim(struct backend *b, struct plan_gate *gate, struct store_claim *claim,
		       struct job_worker **w)
{
	LOCKED(&b->lock);
	for (;;) {
		/* What has ended or is cancelled decides what comes next: it is settled first. */
		*w = b->stopping || !STAILQ_EMPTY(&b->outcomes) ? NULL : idle_worker(b);
		if (!*w)
			return false;
		gates(b, gate);
		struct plan_next next =
			plan_next(b->ledger, b->catalog, gate, (unsigned)b->config.jobs, &b->turn);
		if (next.model < 0)
			return false;
		if (!next.prepare) {
			*claim = (struct store_claim){.model = next.model,
						      .first = next.run.first,
						      .count = next.run.count,
						      .request = next.run.request,
						      .wanted = next.run.wanted,
						      .started = clock_now_us(b->config.clock)};
			return true;
		}
		b->models[next.model].preparing = true;
		start(*w, JOB_PREPARE, &(struct build_run){.model = next.model});
	}
}

int work_hand_out(struct backend *b, struct error *err)
{
	auto_free struct plan_gate *gate = calloc(b->catalog->n_models + 1, sizeof *gate);
	if (!gate)
		return error_set(err, ENOMEM, "no memory to plan");
	struct store_claim claim;
	struct job_worker *w;
	while (next_claim(b, gate, &claim, &w)) {
		int r = store_claim(b->store, &claim, 1, err);
		if (r < 0)
			return r;
		grant(b, w, &claim);
	}
	return 0;
}
