/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clear phase, on a lane of its own: a step is one small transaction, and between two of them whatever
 * else is due has its turn.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refresh_clear.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/steps.h"

/* Where another mount clears, somebody is in the way, or nobody has looked at the table yet. */
#define RETRY_US 1000000

/* With the lock. Why it can never be cleared here; NULL: it can, or may be later. */
static const char *hopeless(const struct backend *b, slot model)
{
	return refusal_stands(b, model) ? model_why_not(b, model) : NULL;
}

/* With the lock. */
void refresh_give_up(struct backend *b, slot model, int64_t id, const char *why,
		     const struct refresh_failure *failure)
{
	struct refresh_runtime *x = &b->runtime[model].refresh;
	free(x->why_broken);
	free(x->failure);
	x->why_broken = strdup(why);
	x->failure = failure ? malloc(sizeof *failure) : NULL;
	if (x->failure)
		*x->failure = *failure;
	x->broken = id;
	b->woken = true;
	control_wake(b);
}

/* With the lock. When the next step is due; INT64_MAX: none is. */
static int64_t due_at(struct backend *b, slot model, int64_t now_us)
{
	const struct ledger_refresh *f = ledger_refresh(b->ledger, model);
	const struct refresh_runtime *x = &b->runtime[model].refresh;
	if (f->phase != REFRESH_CLEAR || models_gone(b->models, model) || x->cleared == f->id ||
	    x->broken == f->id || x->cancelled == f->id)
		return INT64_MAX;
	const char *why_not = hopeless(b, model);
	if (why_not) {
		refresh_give_up(b, model, f->id, why_not, NULL);
		return INT64_MAX;
	}
	/* What is not known to be this table's is not decided by. */
	if (!ledger_looked(b->ledger, model) || !model_runs(b, model))
		return now_us + RETRY_US;
	return x->clear_at;
}

static void note_cleared(struct backend *b, const struct clear_step *step)
{
	struct refresh_runtime *x = &b->runtime[step->model].refresh;
	ledger_refresh_cleared(b->ledger, step->model, step->rows_outside, step->rows_without_event_time);
	x->place_of = step->id;
	x->place = step->at;
	x->clear_at = 0;
	if (step->over) {
		x->cleared = step->id;
		b->woken = true;
		control_wake(b);
	}
	touch_model(b, step->model);
}

/* With the lock. */
static void note_step(struct backend *b, const struct clear_step *step, int r, const struct error *err)
{
	struct refresh_runtime *x = &b->runtime[step->model].refresh;
	const struct ledger_refresh *f = ledger_refresh(b->ledger, step->model);
	bool later = r == -EBUSY || r == -EAGAIN || r == -ESTALE || r == -ECANCELED || warehouse_away(r);
	if (f->id != step->id || f->phase != REFRESH_CLEAR)
		return;
	if (r == 0) {
		note_cleared(b, step);
		return;
	}
	log_write(b->config.log, later ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "%s is not cleared%s: %s",
		  dir_of(b, step->model), later ? " yet" : "", err->text);
	if (later)
		x->clear_at = clock_monotonic_us() + RETRY_US;
	else
		refresh_give_up(b, step->model, step->id, err->text, NULL);
}

static void clear(struct lane *l, const struct lane_job *job)
{
	struct backend *b = l->b;
	struct open_worker *worker;
	struct error err = {0};
	struct clear_step step = {.model = job->model};
	int r = lane_worker(l, &worker, &err);
	{
		LOCKED(&b->lock);
		const struct ledger_refresh *f = ledger_refresh(b->ledger, job->model);
		const struct refresh_runtime *x = &b->runtime[job->model].refresh;
		step.id = f->id;
		step.batches = f->batches;
		step.at = x->place_of == f->id ? x->place : 0;
		if (f->phase != REFRESH_CLEAR || x->cancelled == f->id)
			return;
		if (r == 0)
			step_begin(l, job->model);
	}
	if (r == 0)
		r = builder_clear(worker, &step, &err);
	LOCKED(&b->lock);
	step_end(l);
	note_step(b, &step, r, &err);
}

bool clear_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us)
{
	return steps_next(&b->lanes[LANE_CLEAR], due_at, clear, now_us, job, next_us);
}
