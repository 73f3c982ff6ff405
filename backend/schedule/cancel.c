/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancelling. What waits is taken out of the queue by the control thread; what this mount builds is
 * interrupted by a thread of its own, because an interrupt waits for the warehouse. A batch that has
 * taken the place of the one that was meant loses an attempt and is built again.
 */
#include "backend/schedule/private.h"

/* With the lock. The worker whose run holds the batch. */
static struct job_worker *worker_of(struct backend *b, int model, ordinal batch)
{
	for (int i = 0; i < b->config.jobs; i++) {
		struct job_worker *w = &b->workers[i];
		bool inside = batch >= w->run.first && batch < w->run.first + w->run.count;
		if (w->kind == JOB_BUILD && w->run.model == model && inside &&
		    w->run.attempt[batch - w->run.first] && !(w->ended >> (batch - w->run.first) & 1))
			return w;
	}
	return NULL;
}

bool cancel_meant(struct backend *b, int model, ordinal batch, int64_t *wanted)
{
	const struct job_worker *w = worker_of(b, model, batch);
	if (!w || !(w->cancelled >> (batch - w->run.first) & 1))
		return false;
	*wanted = w->wish[batch - w->run.first];
	return true;
}

void cancel_over(struct backend *b, int model, ordinal batch)
{
	struct job_worker *w = worker_of(b, model, batch);
	if (w)
		w->ended |= UINT32_C(1) << (batch - w->run.first);
}

static bool cancel_one(struct backend *b, int model, ordinal batch, int64_t now)
{
	enum batch_state state = ledger_state(b->ledger, model, batch);
	struct job_worker *w = worker_of(b, model, batch);
	struct store_outcome out = {
		.kind = SETTLE_CANCELLED, .model = model, .batch = batch, .started = now, .finished = now};
	if (w) {
		w->cancelled |= UINT32_C(1) << (batch - w->run.first);
		/* Who asks for it from now on gets it built. */
		ledger_newest_wish(b->ledger, model, batch, &w->wish[batch - w->run.first]);
		w->interrupt |= w->building == batch;
		pthread_cond_signal(&b->cancel_wake);
		return true;
	}
	if (state != BATCH_QUEUED || !ledger_waits(b->ledger, model, batch, &out.request, &out.wanted))
		return false;
	outcome_queue(b, &out, NULL);
	return true;
}

int backend_cancel(struct backend *b, const struct backend_part *parts, size_t n_parts, uid_t uid, pid_t pid)
{
	(void)uid;
	(void)pid;
	int64_t now = clock_now_us(b->config.clock);
	bool any = false;
	if (b->config.read_only)
		return -EROFS;
	LOCKED(&b->lock);
	for (size_t i = 0; i < n_parts; i++) {
		const struct backend_part *p = &parts[i];
		for (ordinal o = p->batches.first; o < p->batches.end; o++) {
			enum batch_state s = ledger_state(b->ledger, p->model, o);
			if (!p->states || (p->states >> s & 1) != 0)
				any |= cancel_one(b, p->model, o, now);
		}
	}
	return any ? 0 : -EPERM;
}

/* With the lock: waits for it. NULL: the end. */
static struct job_worker *next_interrupt(struct backend *b)
{
	for (;;) {
		for (int i = 0; i < b->config.jobs; i++)
			if (b->workers[i].interrupt && b->workers[i].worker)
				return &b->workers[i];
		if (b->control_done)
			return NULL;
		pthread_cond_wait(&b->cancel_wake, &b->lock);
	}
}

void *cancel_main(void *arg)
{
	struct backend *b = arg;
	for (;;) {
		struct job_worker *w;
		{
			LOCKED(&b->lock);
			w = next_interrupt(b);
			if (!w)
				return NULL;
			w->interrupt = false;
			if (w->kind == JOB_NONE)
				continue;
			w->interrupting = true;
		}
		b->config.engine->builder->interrupt(w->worker);
		LOCKED(&b->lock);
		w->interrupting = false;
		pthread_cond_signal(&w->wake);
	}
}
