/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancelling. What this mount builds is ended at once, by a thread of its own, because an interrupt waits for
 * the warehouse. Then the cancel is recorded, in its place among the requests (store.h): that decides what
 * it ends, on every mount. Who records it and who reads of it takes what waits out of the queue; several may,
 * and one succeeds. A batch that has taken the place of the one that was meant loses an attempt and is built
 * again.
 */
#include "backend/schedule/private.h"

/* With the lock. The worker whose run holds the batch. */
static struct job_worker *worker_of(struct backend *b, slot model, ordinal batch)
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

bool cancel_meant(struct backend *b, slot model, ordinal batch, int64_t *wanted)
{
	const struct job_worker *w = worker_of(b, model, batch);
	if (!w || !(w->cancelled >> (batch - w->run.first) & 1))
		return false;
	*wanted = w->answered[batch - w->run.first];
	return true;
}

void cancel_over(struct backend *b, slot model, ordinal batch)
{
	struct job_worker *w = worker_of(b, model, batch);
	if (w)
		w->ended |= UINT32_C(1) << (batch - w->run.first);
}

void cancel_too_late(struct backend *b, slot model, ordinal batch, int64_t at)
{
	struct store_outcome out = {
		.kind = SETTLE_CANCELLED, .model = model, .batch = batch, .started = at, .finished = at};
	int64_t answered;
	if (cancel_meant(b, model, batch, &answered) &&
	    ledger_waits(b->ledger, model, batch, &out.request, &out.wanted) && out.wanted <= answered)
		outcome_queue(b, &out, NULL);
}

bool cancel_asked(const struct backend *b, slot model, ordinal batch)
{
	const struct ask *a;
	if (!b->runtime[model].cancels)
		return false;
	STAILQ_FOREACH(a, &b->asks, link)
	{
		const struct store_request *r = &a->request;
		if (r->kind == REQUEST_CANCEL && r->model == model && batch >= r->batches.first &&
		    batch < r->batches.end)
			return true;
	}
	return false;
}

/* With the lock. Requests up to `answered` are answered by the end of the attempt. */
static void end_attempt(struct job_worker *w, ordinal batch, int64_t answered)
{
	uint32_t i = batch - w->run.first;
	if (!(w->cancelled >> i & 1) || w->answered[i] < answered)
		w->answered[i] = answered;
	w->cancelled |= UINT32_C(1) << i;
	if (take_back(w, batch))
		return;
	w->interrupt |= w->building == batch;
	pthread_cond_signal(&w->b->cancel_wake);
}

/* With the lock. */
static void apply_one(struct backend *b, slot model, ordinal batch, int64_t seq, int64_t now)
{
	struct job_worker *w = worker_of(b, model, batch);
	struct store_outcome out = {.kind = SETTLE_CANCELLED,
				    .model = model,
				    .batch = batch,
				    .before = seq == INT64_MAX ? 0 : seq,
				    .started = now,
				    .finished = now};
	if (w && seq != INT64_MAX && w->served < seq)
		end_attempt(w, batch, seq);
	if (!w && ledger_waits(b->ledger, model, batch, &out.request, &out.wanted) && out.wanted < seq)
		outcome_queue(b, &out, NULL);
}

void cancel_apply(struct backend *b, slot model, struct ordinal_range batches, int64_t seq)
{
	int64_t now = clock_now_us(b->config.clock);
	if (b->config.read_only)
		return;
	LOCKED(&b->lock);
	struct ordinal_range known = ledger_known(b->ledger, model);
	ordinal end = batches.end < known.end ? batches.end : known.end;
	for (ordinal o = batches.first < known.first ? known.first : batches.first; o < end; o++)
		apply_one(b, model, o, seq, now);
}

struct canceller {
	struct backend *b;
	struct ask_group *group;
	uid_t uid;
	pid_t pid;
	bool any;
	int err;
};

/* With the lock. What is recorded is the stretch; what runs here ends now. */
static void send_stretch(struct canceller *c, slot model, struct ordinal_range batches)
{
	struct ask *a = ask_new(c->b, c->group, model, NULL);
	if (!a) {
		c->err = -ENOMEM;
		return;
	}
	a->request.kind = REQUEST_CANCEL;
	a->request.batches = batches;
	a->request.uid = c->uid;
	a->pid = c->pid;
	ask_name(a);
	int r = ask_queue(c->b, a);
	if (r < 0) {
		c->err = r;
		group_leave(c->group, r);
		free(a);
		return;
	}
	c->any = true;
	for (ordinal o = batches.first; o < batches.end; o++) {
		struct job_worker *w = worker_of(c->b, model, o);
		/* Who asks for it from now on gets it built. */
		if (w)
			end_attempt(w, o, ledger_newest_wanting(c->b->ledger, model, o));
	}
}

/* With the lock. */
static void cancel_part(struct canceller *c, const struct backend_part *p)
{
	struct ordinal_range stretch = {p->batches.first, p->batches.first};
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		enum batch_state s = ledger_state(c->b->ledger, p->model, o);
		bool meant = !p->states || (p->states >> s & 1) != 0;
		if (meant && batch_state_traits(s)->unsettled) {
			stretch.end = o + 1;
			continue;
		}
		if (stretch.first < stretch.end)
			send_stretch(c, p->model, stretch);
		stretch.first = stretch.end = o + 1;
	}
	if (stretch.first < stretch.end)
		send_stretch(c, p->model, stretch);
}

int backend_cancel(struct backend *b, const struct backend_part *parts, size_t n_parts, uid_t uid, pid_t pid)
{
	struct canceller c = {.b = b, .uid = uid, .pid = pid};
	if (b->config.read_only)
		return -EROFS;
	c.group = group_new(NULL, NULL);
	if (!c.group)
		return -ENOMEM;
	{
		LOCKED(&b->lock);
		for (size_t i = 0; i < n_parts; i++)
			cancel_part(&c, &parts[i]);
	}
	group_leave(c.group, 0);
	return c.err ? c.err : c.any ? 0 : -EPERM;
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
			/* The one that was meant may have ended by itself. */
			bool runs = w->building - w->run.first < w->run.count;
			if (w->kind == JOB_NONE || !runs ||
			    !(w->cancelled >> (w->building - w->run.first) & 1))
				continue;
			w->interrupting = true;
		}
		builder_interrupt(w->worker);
		LOCKED(&b->lock);
		w->interrupting = false;
		pthread_cond_signal(&w->wake);
	}
}
