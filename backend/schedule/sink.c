/* SPDX-License-Identifier: Apache-2.0 */
/* What others report goes into the ledger here; the listener is told after the lock is gone. */
#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/kinds.h"
#include "backend/ledger.h"
#include "backend/schedule/cancel.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refresh_put.h"
#include "backend/schedule/restart.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/validation_wait.h"
#include "backend/schedule/sink.h"
#include "backend/schedule/skip.h"

static void sink_request(void *ctx, const struct store_request_row *r)
{
	struct backend *b = ctx;
	clock_follow(b->config.clock, r->at);
	if (request_traits(r->kind)->stops) {
		if (b->listener.others_cancel)
			b->listener.others_cancel(b->listener.ctx, r->model, r->batches);
		cancel_apply(b, r->model, r->batches, r->seq);
		return;
	}
	{
		LOCKED(&b->lock);
		if (ledger_put_request(b->ledger, r) < 0)
			log_error(b->config.log, "no memory for a request of %s", dir_of(b, r->model));
		/* While all is loaded the states come after the requests. */
		if (r->open && b->threads && !b->config.read_only)
			skip_late(b, r->model, r->at);
		touch_model(b, r->model);
	}
	if (r->open)
		changed(b, r->model, r->batches);
}

static void sink_known(void *ctx, slot model, struct store_known now)
{
	struct backend *b = ctx;
	LOCKED(&b->lock);
	struct store_known *known = &b->runtime[model].known;
	if (now.id > known->id)
		known->id = now.id;
	if (now.seq > known->seq)
		known->seq = now.seq;
	/* What was recorded here is in the ledger before others are heard of. */
	if (now.seq > known->own)
		known->own = now.seq;
}

/* With the lock. It failed elsewhere, or the one that recorded it died before it had skipped its readers. */
static void failed_elsewhere(struct backend *b, const struct store_state *s)
{
	struct store_outcome o = {.kind = s->outcome == OUTCOME_SKIPPED ? SETTLE_SKIPPED : SETTLE_FAILED,
				  .model = s->model,
				  .batch = s->batch,
				  .finished = s->finished};
	if (!b->config.read_only && s->finished)
		skip_readers(b, &o, s->finished, 0);
}

/* With the lock. Whether this mount runs the batch, or knows a newer attempt than who looked has read. */
static bool is_older(const struct backend *b, const struct store_state *s)
{
	uint32_t attempt;
	int64_t built;
	size_t text;
	if (s->batch < ledger_recorded(b->ledger, s->model).first)
		return false;
	ledger_glance(b->ledger, s->model, s->batch, &attempt, &built, &text);
	return attempt > s->attempt || restart_runs_here(b, s->model, s->batch);
}

static void take_state(struct backend *b, const struct store_state *s, bool seen)
{
	bool built = s->run == ROW_IDLE && s->outcome == OUTCOME_DONE, threads;
	/* What reads it begins after its end, whatever the clock of the mount that built it. */
	clock_follow(b->config.clock, s->finished);
	{
		LOCKED(&b->lock);
		threads = b->threads;
		if (seen && is_older(b, s))
			return;
		if (ledger_put_state(b->ledger, s) < 0)
			log_error(b->config.log, "no memory for a batch of %s", dir_of(b, s->model));
		if (s->run == ROW_IDLE && (s->outcome == OUTCOME_FAILED || s->outcome == OUTCOME_SKIPPED))
			failed_elsewhere(b, s);
		touch_model(b, s->model);
		/* By another mount, which has made the table if there was none. */
		if (built && threads && !b->runtime[s->model].exists) {
			b->runtime[s->model].exists = true;
			lane_wake(&b->lanes[LANE_LOOK]);
		}
	}
	struct ordinal_range batches = {s->batch, s->batch + 1};
	if (s->cancelled && b->listener.cancelled)
		b->listener.cancelled(b->listener.ctx, s->model, batches, true);
	changed(b, s->model, batches);
	if (built && threads)
		changed_readers(b, s->model, batches);
}

static void sink_state(void *ctx, const struct store_state *s)
{
	take_state(ctx, s, false);
}

void sink_seen(struct backend *b, const struct store_state *s)
{
	take_state(b, s, true);
}

static void sink_answer(void *ctx, const struct store_answer *a)
{
	struct backend *b = ctx;
	bool shown = a->outcome != OUTCOME_NONE;
	struct store_outcome o = {.kind = a->outcome == OUTCOME_SKIPPED	 ? SETTLE_SKIPPED
					  : a->outcome == OUTCOME_FAILED ? SETTLE_UNBUILDABLE
									 : SETTLE_CANCELLED,
				  .model = a->model,
				  .batch = a->batches.first,
				  .count = a->batches.end - a->batches.first,
				  .finished = a->at};
	clock_follow(b->config.clock, a->at);
	{
		LOCKED(&b->lock);
		if (ledger_put_answer(b->ledger, a) < 0)
			log_error(b->config.log, "no memory for batches of %s", dir_of(b, a->model));
		if (shown && !b->config.read_only)
			skip_readers(b, &o, a->at, 0);
		touch_model(b, a->model);
	}
	if (!shown && b->listener.cancelled)
		b->listener.cancelled(b->listener.ctx, a->model, a->batches, false);
	changed(b, a->model, a->batches);
}

static void sink_answered(void *ctx, slot model, ordinal batch, uint32_t attempt, int64_t served)
{
	struct backend *b = ctx;
	{
		LOCKED(&b->lock);
		ledger_answered(b->ledger, model, batch, attempt, served);
		touch_model(b, model);
	}
	changed(b, model, (struct ordinal_range){batch, batch + 1});
}

static void sink_forget(void *ctx, slot model)
{
	struct backend *b = ctx;
	{
		LOCKED(&b->lock);
		struct model_runtime *m = &b->runtime[model];
		if (!m->telling)
			m->told_looked = ledger_looked(b->ledger, model);
		m->telling = true;
		ledger_forget(b->ledger, model);
		ledger_set_looked(b->ledger, model, false);
		touch_model(b, model);
	}
	changed(b, model, backend_existing(b, model));
}

static void sink_all_told(void *ctx, slot model)
{
	struct backend *b = ctx;
	{
		LOCKED(&b->lock);
		struct model_runtime *m = &b->runtime[model];
		if (m->telling && m->told_looked)
			ledger_set_looked(b->ledger, model, true);
		m->telling = false;
		b->held_due = b->woken = true;
		control_wake(b);
		lane_wake(&b->lanes[LANE_LOOK]);
		touch_model(b, model);
	}
	changed(b, model, backend_existing(b, model));
}

static bool is_unsettled(const struct backend *b, slot model, struct ordinal_range batches)
{
	LOCKED(lock_of(b));
	return ledger_next_unsettled(b->ledger, model, batches) < batches.end;
}

static void sink_freezes(void *ctx, slot model, const struct store_freeze *list, size_t n)
{
	struct backend *b = ctx;
	for (size_t i = 0; b->listener.others_cancel && i < n; i++)
		if (is_unsettled(b, model, list[i].batches))
			b->listener.others_cancel(b->listener.ctx, model, list[i].batches);
	{
		LOCKED(&b->lock);
		if (ledger_put_freezes(b->ledger, model, list, n) < 0)
			log_error(b->config.log, "no memory for the freezes of %s", dir_of(b, model));
		touch_model(b, model);
	}
	/* Whether it may be built shows in the mode of a batch. */
	changed(b, model, backend_existing(b, model));
}

static void sink_validation(void *ctx, const struct store_validation *v)
{
	struct backend *b = ctx;
	clock_follow(b->config.clock, v->at);
	validation_told(b, v);
}

const struct store_sink *backend_sink(struct backend *b, struct store_sink *sink)
{
	*sink = (struct store_sink){.ctx = b,
				    .request = sink_request,
				    .known = sink_known,
				    .state = sink_state,
				    .answer = sink_answer,
				    .answered = sink_answered,
				    .forget = sink_forget,
				    .told = sink_all_told,
				    .freezes = sink_freezes,
				    .refresh = sink_refresh,
				    .validation = sink_validation,
				    .restart = restart_begin,
				    .restarted = restart_end,
				    .runs = restart_runs,
				    .target = restart_target};
	return sink;
}
