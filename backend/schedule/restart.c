/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store tells everything anew, because what is recorded may have been lost (store.h). What was decided
 * here by what is void goes, too: it is decided again by what is recorded now.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/job.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/restart.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/validation_wait.h"

/* With the lock. attempt 0: whichever. */
static bool runs_here(const struct backend *b, slot model, ordinal batch, uint32_t attempt)
{
	for (int i = 0; i < b->config.jobs; i++) {
		const struct job_worker *w = &b->workers[i];
		uint32_t n = (uint32_t)(batch - w->run.first);
		if (w->kind != JOB_BUILD || w->run.model != model || batch < w->run.first ||
		    n >= w->run.count)
			continue;
		if (w->run.attempt[n] && (!attempt || w->run.attempt[n] == attempt) &&
		    !run_marked(&w->ended, n))
			return true;
	}
	const struct outcome *o;
	STAILQ_FOREACH(o, &b->outcomes, link)
	if (o->out.model == model && o->out.batch == batch && o->out.attempt &&
	    (!attempt || o->out.attempt == attempt))
		return true;
	return false;
}

static bool ours(void *ctx, slot model, ordinal batch)
{
	return runs_here(ctx, model, batch, 0);
}

bool restart_runs_here(const struct backend *b, slot model, ordinal batch)
{
	return runs_here(b, model, batch, 0);
}

bool restart_runs(void *ctx, slot model, ordinal batch, uint32_t attempt)
{
	struct backend *b = ctx;
	LOCKED(&b->lock);
	return runs_here(b, model, batch, attempt);
}

/* With the lock. What was skipped or taken out of the queue for requests of the former life. */
static void drop_answers(struct backend *b)
{
	struct outcome_queue kept = STAILQ_HEAD_INITIALIZER(kept);
	struct outcome *o;
	while ((o = STAILQ_FIRST(&b->outcomes))) {
		STAILQ_REMOVE_HEAD(&b->outcomes, link);
		if (o->out.attempt) {
			STAILQ_INSERT_TAIL(&kept, o, link);
			continue;
		}
		ledger_mark_skipping(b->ledger, o->out.model,
				     (struct ordinal_range){o->out.batch, o->out.batch + o->out.count},
				     false);
		free(o);
	}
	STAILQ_CONCAT(&b->outcomes, &kept);
}

void restart_begin(void *ctx)
{
	struct backend *b = ctx;
	LOCKED(&b->lock);
	drop_answers(b);
	for (slot i = 0; i < b->runtime_end; i++)
		b->runtime[i].known = (struct store_known){0};
	ledger_restart(b->ledger);
	validations_restart(b);
}

void restart_end(void *ctx)
{
	struct backend *b = ctx;
	slot end;
	{
		LOCKED(&b->lock);
		ledger_restarted(b->ledger, ours, b);
		validations_restarted(b);
		end = b->runtime_end;
		for (slot i = 0; i < end; i++)
			touch_model(b, i);
		b->woken = true;
	}
	for (slot i = 0; i < end; i++)
		changed(b, i, backend_existing(b, i));
	validations_answer(b, 0);
}

void restart_target(void *ctx, slot model, const struct store_target *target)
{
	struct backend *b = ctx;
	{
		LOCKED(&b->lock);
		struct model_runtime *m = &b->runtime[model];
		model_target(m, target);
		m->prepared = false;
		/* Of another table. */
		model_look_failed(m, "", "");
		look_forget_gone(b, model, target);
		look_met(b, model, target);
		touch_model(b, model);
		b->held_due = true;
		lane_wake(&b->lanes[LANE_LOOK]);
	}
	changed(b, model, backend_existing(b, model));
	changed_readers(b, model, backend_existing(b, model));
}
