/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What workers report. A done batch is durable before it is reported, so it goes into the
 * ledger at once; any other outcome is shown only when the control thread has recorded it.
 */
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/engine.h"
#include "backend/kinds.h"
#include "backend/ledger.h"
#include "backend/schedule/cancel.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/history.h"
#include "backend/schedule/look.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/settle.h"
#include "backend/schedule/skip.h"

#define OUTCOMES_AT_ONCE 256

/* What is settled together says nothing twice of a batch. */
static bool is_second(const struct outcome *o, struct outcome *const *taken, size_t n)
{
	for (size_t i = 0; i < n && o->out.kind == SETTLE_RETRACTED; i++)
		if (taken[i]->out.model == o->out.model && taken[i]->out.batch == o->out.batch)
			return true;
	return false;
}

static size_t take(struct backend *b, struct outcome **taken)
{
	LOCKED(&b->lock);
	struct outcome_queue later = STAILQ_HEAD_INITIALIZER(later);
	struct outcome *o;
	size_t n = 0;
	while (n < OUTCOMES_AT_ONCE && (o = STAILQ_FIRST(&b->outcomes))) {
		STAILQ_REMOVE_HEAD(&b->outcomes, link);
		/* Its line in the history names who cancelled it, so the cancel is recorded first. */
		if ((o->out.kind == SETTLE_CANCELLED && cancel_asked(b, o->out.model, o->out.batch)) ||
		    is_second(o, taken, n))
			STAILQ_INSERT_TAIL(&later, o, link);
		else
			taken[n++] = o;
	}
	b->woken |= !STAILQ_EMPTY(&later);
	STAILQ_CONCAT(&later, &b->outcomes);
	STAILQ_CONCAT(&b->outcomes, &later);
	b->settling = n;
	return n;
}

static void put_back(struct backend *b, struct outcome **taken, size_t n)
{
	LOCKED(&b->lock);
	while (n > 0) {
		struct outcome *last = taken[--n];
		STAILQ_INSERT_HEAD(&b->outcomes, last, link);
	}
	b->settling = 0;
}

static void show_ended(struct backend *b, const struct outcome *taken, const struct store_outcome *o)
{
	bool done = o->kind == SETTLE_DONE;
	struct batch_info was;
	ledger_info(b->ledger, o->model, o->batch, &was);
	struct store_state s = {.model = o->model,
				.batch = o->batch,
				.run = ROW_IDLE,
				.outcome = done ? OUTCOME_DONE : OUTCOME_FAILED,
				.attempt = o->attempt,
				.started = o->started,
				.finished = o->finished,
				.built = done			       ? o->finished
					 : o->kind == SETTLE_RETRACTED ? 0
								       : was.built,
				.rows_deleted = done ? o->rows_deleted : -1,
				.rows_inserted = done ? o->rows_inserted : -1,
				.rows_outside = done ? o->rows_outside : -1,
				.code = o->code ? o->code : facts_of(b, o->model)->code,
				.sqlstate = done ? "" : o->sqlstate,
				.message = done ? "" : o->message};
	ledger_settled(b->ledger, &s);
	if (!done)
		return;
	b->runtime[o->model].passing = 0;
	ledger_equal_failures(b->ledger, o->request, NULL, 0);
	if (taken->too_late)
		cancel_too_late(b, o->model, o->batch, o->finished, taken->answered);
}

/* With the lock. An attempt that was to make the table anew goes back to the queue: nobody knows which one it
 * is now. */
static void doubt_table(struct backend *b, const struct store_outcome *o)
{
	const struct ledger_refresh *f = ledger_refresh(b->ledger, o->model);
	if (f->phase == REFRESH_FIRST && (o->kind == SETTLE_REQUEUED || o->kind == SETTLE_INTERRUPTED))
		look_begin_anew(b, o->model);
}

/* With the lock. The store has recorded it. */
static void show_recorded(struct backend *b, const struct outcome *taken, const struct store_outcome *o)
{
	const struct settle_traits *traits = settle_traits(o->kind);
	switch (o->kind) {
	case SETTLE_DONE:
	case SETTLE_FAILED:
	case SETTLE_RETRACTED:
		show_ended(b, taken, o);
		break;
	case SETTLE_SKIPPED:
	case SETTLE_UNBUILDABLE:
		ledger_skipped(b->ledger, o);
		break;
	case SETTLE_CANCELLED:
		ledger_cancelled(b->ledger, o);
		break;
	case SETTLE_REQUEUED:
	case SETTLE_INTERRUPTED:
	case SETTLE_UNSTARTED:
		ledger_requeued(b->ledger, o->model, o->batch);
		break;
	}
	if (traits->history)
		attempt_ended(b, o);
	doubt_table(b, o);
	if (traits->spoils)
		skip_readers(b, o, 0, taken->weight);
	if (taken->of_all && (traits->spoils || traits->back))
		skip_rest(b, o);
	if (traits->back)
		skip_hopeless(b, o);
}

static void show(struct backend *b, const struct outcome *taken, const struct store_outcome *o)
{
	struct ordinal_range given = {taken->out.batch, taken->out.batch + taken->out.count};
	struct ordinal_range batches = {o->batch, o->batch + o->count};
	const struct settle_traits *traits = settle_traits(o->kind);
	{
		LOCKED(&b->lock);
		if (traits->shows)
			ledger_mark_skipping(b->ledger, o->model, given, false);
		/* Of what was only queued, -ESTALE means that it is queued no more: its claim must stay. */
		if (o->result == 0 && taken->shown)
			attempt_ended(b, o);
		else if (o->result == 0)
			show_recorded(b, taken, o);
		else if (o->attempt && o->kind != SETTLE_RETRACTED)
			ledger_released(b->ledger, o->model, o->batch);
		touch_model(b, o->model);
	}
	if (taken->shown)
		return;
	if (o->result == 0 && o->kind == SETTLE_CANCELLED && b->listener.cancelled)
		b->listener.cancelled(b->listener.ctx, o->model, batches, taken->out.attempt != 0);
	changed(b, o->model, given);
	if (o->result == 0 && traits->builds)
		changed_readers(b, o->model, given);
}

/* Between what was recorded and the rest another has been faster with a batch. */
static void settle_rest(struct backend *b, const struct outcome *taken, const struct store_outcome *o)
{
	struct store_outcome rest = taken->out;
	if (taken->out.count == 1 || o->next >= rest.batch + rest.count)
		return;
	rest.count = rest.batch + rest.count - o->next;
	rest.batch = o->next;
	LOCKED(&b->lock);
	struct outcome *again = outcome_new(b, &rest, &taken->err);
	if (!again)
		return;
	again->shown = taken->shown;
	again->out.known = taken->out.known;
	if (settle_traits(o->kind)->shows)
		ledger_mark_skipping(b->ledger, o->model,
				     (struct ordinal_range){rest.batch, rest.batch + rest.count}, true);
	STAILQ_INSERT_TAIL(&b->outcomes, again, link);
}

int outcomes_settle(struct backend *b, struct error *err)
{
	struct outcome *taken[OUTCOMES_AT_ONCE];
	struct store_outcome outs[OUTCOMES_AT_ONCE];
	size_t n;
	while ((n = take(b, taken)) > 0) {
		for (size_t i = 0; i < n; i++)
			outs[i] = taken[i]->out;
		int r = store_settle(b->store, outs, n, err);
		if (r < 0) {
			put_back(b, taken, n);
			return r;
		}
		for (size_t i = 0; i < n; i++) {
			show(b, taken[i], &outs[i]);
			settle_rest(b, taken[i], &outs[i]);
			free(taken[i]);
		}
	}
	return 0;
}
