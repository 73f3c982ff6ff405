/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancelling. What this mount builds is ended at once, by a thread of its own, because an interrupt waits for
 * the warehouse. Then the cancel is recorded, in its place among the requests (store.h): that decides what
 * it ends, on every mount, and what it spares. Who records it and who reads of it takes what waits out of the
 * queue; several may, and one succeeds. A batch that has taken the place of the one that was meant loses an
 * attempt and is built again.
 */
#include <stdlib.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/plan.h"
#include "backend/schedule/ask.h"
#include "backend/schedule/cancel.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/job.h"
#include "backend/schedule/meant.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/refresh_beside.h"
#include "backend/schedule/refresh_clear.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/spare.h"
#include "backend/schedule/steps.h"
#include "backend/schedule/take_back.h"

void cancel_too_late(struct backend *b, slot model, ordinal batch, int64_t at, int64_t answered)
{
	struct store_outcome out = {
		.kind = SETTLE_CANCELLED, .model = model, .batch = batch, .started = at, .finished = at};
	if (ledger_waits(b->ledger, model, batch, &out.request, &out.wanted) && out.wanted <= answered)
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
	if (!run_marked(&w->cancelled, i) || w->answered[i] < answered)
		w->answered[i] = answered;
	run_mark(&w->cancelled, i);
	if (take_back(w, batch))
		return;
	w->interrupt |= run_marked(&w->under_way, i);
	pthread_cond_signal(&w->b->cancel_wake);
}

/* With the lock. Whoever asks for it from now on, or after the cancel (seq), gets it built; seq 0: it is not
 * recorded yet. */
static void end_running(struct backend *b, slot model, struct ordinal_range batches, int64_t seq)
{
	for (int i = 0; i < b->config.jobs; i++) {
		struct job_worker *w = &b->workers[i];
		for (uint32_t k = 0; w->kind == JOB_BUILD && w->run.model == model && k < w->run.count; k++) {
			ordinal batch = w->run.first + k;
			if (batch < batches.first || batch >= batches.end || !w->run.attempt[k] ||
			    run_marked(&w->ended, k) || (seq && w->served >= seq))
				continue;
			end_attempt(w, batch, seq ? seq : ledger_newest_wanting(b->ledger, model, batch));
		}
	}
}

/* With the lock. What waits in the range and was asked for before the cancel goes out of the queue at once,
 * and is still to be recorded. */
static void withdraw(struct backend *b, slot model, struct ordinal_range batches, int64_t seq,
		     struct outcome_queue *to)
{
	struct store_outcome out = {.kind = SETTLE_CANCELLED, .model = model};
	struct ordinal_range rest = batches;
	struct outcome *last = NULL;
	const struct requester *by = NULL;
	out.started = out.finished = clock_now_us(b->config.clock);
	while (rest.first < rest.end) {
		struct ledger_waiting w = ledger_next_waiting(b->ledger, model, rest, false);
		rest.first = w.batches.end;
		if (w.batches.first >= w.batches.end || w.wanted >= seq || outcome_join(last, by, &w))
			continue;
		out.batch = w.batches.first;
		out.count = w.batches.end - w.batches.first;
		out.request = w.request;
		out.wanted = out.lowest = w.wanted;
		out.last = w.attempt;
		last = outcome_new(b, &out, NULL);
		by = w.by;
		if (!last)
			continue;
		last->shown = true;
		last->put_back = w.put_back;
		STAILQ_INSERT_TAIL(to, last, link);
	}
	ledger_withdraw(b->ledger, model, batches, seq);
	touch_model(b, model);
}

/* Without the lock. */
static void tell_waiters(struct backend *b, const struct outcome_queue *withdrawn)
{
	const struct outcome *o;
	STAILQ_FOREACH(o, withdrawn, link)
	{
		struct ordinal_range batches = {o->out.batch, o->out.batch + o->out.count};
		if (b->listener.cancelled)
			b->listener.cancelled(b->listener.ctx, o->out.model, batches, false);
		changed(b, o->out.model, batches);
	}
}

void cancel_recorded(struct backend *b, struct ask *a, const struct store_request *r, bool recorded)
{
	struct outcome_queue more = STAILQ_HEAD_INITIALIZER(more);
	/* Who waited here for what is queued is answered, also where that is spared. */
	tell_waiters(b, &a->cancelled);
	{
		LOCKED(&b->lock);
		if (recorded)
			spare(b, r, &a->cancelled);
		else
			withdraw(b, r->model, r->batches, INT64_MAX, &more);
		for (size_t i = 0; recorded && i < r->n_pieces; i++) {
			withdraw(b, r->model, r->pieces[i], r->seq, &more);
			end_running(b, r->model, r->pieces[i], r->seq);
		}
	}
	tell_waiters(b, &more);
	LOCKED(&b->lock);
	STAILQ_CONCAT(&a->cancelled, &more);
	struct outcome *o;
	STAILQ_FOREACH(o, &a->cancelled, link)
	{
		o->out.before = recorded ? r->seq : 0;
	}
	STAILQ_CONCAT(&b->outcomes, &a->cancelled);
}

void cancel_apply(struct backend *b, slot model, struct ordinal_range batches, int64_t seq)
{
	struct outcome_queue withdrawn = STAILQ_HEAD_INITIALIZER(withdrawn);
	{
		LOCKED(&b->lock);
		withdraw(b, model, batches, seq, &withdrawn);
		if (!b->config.read_only)
			end_running(b, model, batches, seq);
	}
	tell_waiters(b, &withdrawn);
	struct outcome *o;
	LOCKED(&b->lock);
	while ((o = STAILQ_FIRST(&withdrawn))) {
		STAILQ_REMOVE_HEAD(&withdrawn, link);
		o->out.before = seq;
		if (b->config.read_only)
			free(o);
		else
			STAILQ_INSERT_TAIL(&b->outcomes, o, link);
	}
}

struct canceller {
	struct backend *b;
	struct ask_group *group;
	uid_t uid;
	pid_t pid;
	int64_t of_request; /* as of store_request */
	bool any;
	int err;
};

/* With the lock. What is recorded is the stretch; what waits goes now, and what runs here ends. */
static void send_stretch(struct canceller *c, slot model, struct ordinal_range batches)
{
	struct ask *a = ask_new(c->b, c->group, model, NULL);
	if (!a) {
		c->err = -ENOMEM;
		return;
	}
	a->request.kind = REQUEST_CANCEL;
	a->request.batches = batches;
	a->request.known = c->b->runtime[model].known;
	a->request.of_request = c->of_request;
	/* Of our own all that is on its way before an rm of batches. */
	if (!c->of_request)
		a->request.known.own = INT64_MAX;
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
	end_running(c->b, model, batches, 0);
	withdraw(c->b, model, batches, INT64_MAX, &a->cancelled);
}

/*
 * With the lock. What has settled between two that are meant parts them only where nothing but what runs is
 * meant: another mount may just have queued it. Of a set with what is queued that would be meant, too, and a
 * request for each of a queue with gaps would be too many.
 */
static void cancel_part(struct canceller *c, const struct backend_part *p)
{
	struct ordinal_range stretch = {p->batches.first, p->batches.first}, rest = p->batches;
	bool spans = !p->states || p->states >> BATCH_QUEUED & 1;
	while ((rest.first = ledger_next_unsettled(c->b->ledger, p->model, rest)) < rest.end) {
		enum batch_state s = ledger_state(c->b->ledger, p->model, rest.first);
		bool meant = plan_in_set(c->b->ledger, p->model, rest.first, s, p->states);
		bool parts = !meant || (!spans && rest.first > stretch.end);
		if (parts && stretch.first < stretch.end)
			send_stretch(c, p->model, stretch);
		if (parts)
			stretch.first = stretch.end = rest.first;
		if (meant && stretch.first == stretch.end)
			stretch.first = rest.first;
		if (meant)
			stretch.end = rest.first + 1;
		rest.first++;
	}
	if (stretch.first < stretch.end)
		send_stretch(c, p->model, stretch);
}

static int begin(struct canceller *c, struct backend *b, uid_t uid, pid_t pid)
{
	*c = (struct canceller){.b = b, .uid = uid, .pid = pid};
	if (b->config.read_only)
		return -EROFS;
	c->group = group_new(NULL, NULL);
	return c->group ? 0 : -ENOMEM;
}

/* 0: handed over; -EPERM: there was nothing to cancel. */
static int end(struct canceller *c)
{
	group_leave(c->group, 0);
	return c->err ? c->err : c->any ? 0 : -EPERM;
}

int backend_cancel(struct backend *b, const struct backend_part *parts, size_t n_parts, uid_t uid, pid_t pid)
{
	struct canceller c;
	int r = begin(&c, b, uid, pid);
	if (r < 0)
		return r;
	{
		LOCKED(&b->lock);
		for (size_t i = 0; i < n_parts; i++)
			cancel_part(&c, &parts[i]);
	}
	return end(&c);
}

/* With the lock. What is queued or running for the refresh, and for nobody else. */
static void cancel_refresh(struct canceller *c, slot model, const struct ledger_refresh *f)
{
	struct ordinal_range stretch = {0, 0}, rest = f->batches;
	while ((rest.first = ledger_next_unsettled(c->b->ledger, model, rest)) < rest.end) {
		bool meant = ledger_refresh_alone(c->b->ledger, model, rest.first);
		if (meant && stretch.end != rest.first && stretch.first < stretch.end)
			send_stretch(c, model, stretch);
		if (meant && stretch.end != rest.first)
			stretch.first = rest.first;
		stretch.end = meant ? rest.first + 1 : stretch.end;
		rest.first++;
	}
	if (stretch.first < stretch.end)
		send_stretch(c, model, stretch);
}

int backend_refresh_cancel(struct backend *b, const slot *models, size_t n, uid_t uid, pid_t pid)
{
	struct canceller c;
	int r = begin(&c, b, uid, pid);
	if (r < 0)
		return r;
	{
		LOCKED(&b->lock);
		for (size_t i = 0; i < n; i++) {
			const struct ledger_refresh *f = ledger_refresh(b->ledger, models[i]);
			if (f->phase == REFRESH_OVER)
				continue;
			c.any = true;
			b->runtime[models[i]].refresh.cancelled = f->id;
			step_interrupt(&b->lanes[LANE_CLEAR], models[i]);
			step_interrupt(&b->lanes[LANE_BESIDE], models[i]);
			c.of_request = f->id;
			if (f->phase == REFRESH_BUILD || f->phase == REFRESH_FIRST)
				cancel_refresh(&c, models[i], f);
		}
		b->woken = true;
		control_wake(b);
	}
	return end(&c);
}

/* With the lock: waits for it. False: the end. *w NULL: steps of lanes. */
static bool next_interrupt(struct backend *b, struct job_worker **w)
{
	*w = NULL;
	for (;;) {
		for (int i = 0; i < b->config.jobs; i++)
			if (b->workers[i].interrupt && b->workers[i].worker) {
				*w = &b->workers[i];
				return true;
			}
		if (b->control_done || steps_to_end(b))
			return !b->control_done;
		pthread_cond_wait(&b->cancel_wake, &b->lock);
	}
}

/* With the lock. False: the one that was meant has ended by itself. */
static bool take_interrupt(struct job_worker *w)
{
	w->interrupt = w->interrupting = false;
	for (uint32_t i = 0; w->kind != JOB_NONE && i < w->run.count; i++)
		w->interrupting |= run_marked(&w->under_way, i) && !run_marked(&w->ended, i) &&
				   (run_marked(&w->cancelled, i) || w->unfenced);
	return w->interrupting;
}

void cancel_unfenced(struct backend *b)
{
	LOCKED(&b->lock);
	for (int i = 0; i < b->config.jobs; i++) {
		struct job_worker *w = &b->workers[i];
		if (w->kind != JOB_BUILD || w->unfenced ||
		    !engine_builder(b->config.engine, w->facts)->settles_done)
			continue;
		log_info(b->config.log, "the run of %s is ended: another mount may take it over",
			 dir_of(b, w->run.model));
		w->unfenced = w->interrupt = true;
		pthread_cond_signal(&b->cancel_wake);
	}
}

void *cancel_main(void *arg)
{
	struct backend *b = arg;
	for (;;) {
		struct job_worker *w;
		{
			LOCKED(&b->lock);
			if (!next_interrupt(b, &w))
				return NULL;
			if (w && !take_interrupt(w))
				continue;
		}
		if (!w) {
			steps_end(b);
			continue;
		}
		builder_interrupt(w->worker);
		LOCKED(&b->lock);
		w->interrupting = false;
		pthread_cond_signal(&w->wake);
	}
}
