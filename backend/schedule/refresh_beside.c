/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomic full refreshes, on a lane of their own: a step is a batch that is built beside the table, or the
 * exchange, and between two of them every other such model has its turn. Last, what stands beside is dropped,
 * whoever left it: the store says with a refresh whether anything may stand there, so that nobody is asked
 * for each model that was ever refreshed.
 */
#include "backend/schedule/refresh_beside.h"

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

/* Where another mount is at it, or nobody has looked at the table yet. */
#define RETRY_US 1000000
/* Where somebody holds the table: the exchange tries again, so that he and nobody else is waited for. */
#define EXCHANGE_US 200000
/* Failures of one batch for a reason that may pass, one after the other. */
#define TRIES 5

/* With the lock. What reads another model that is being refreshed, too, comes after that. */
static bool inputs_are_over(const struct backend *b, slot model)
{
	size_t n;
	const struct model_read *reads = models_reads(b->models, model, &n);
	for (size_t i = 0; i < n; i++)
		if (reads[i].model != model &&
		    ledger_refresh(b->ledger, reads[i].model)->phase != REFRESH_OVER)
			return false;
	return true;
}

/* With the lock. When the next step is due; INT64_MAX: none is. */
static int64_t due_at(struct backend *b, slot model, int64_t now_us)
{
	const struct ledger_refresh *f = ledger_refresh(b->ledger, model);
	const struct refresh_runtime *x = &b->runtime[model].refresh;
	if (f->phase == REFRESH_OVER)
		return (f->beside || x->beside == f->id) && f->id && x->tidied != f->id ? x->beside_at
											: INT64_MAX;
	if (!refresh_is_beside(f->phase) || models_gone(b->models, model) ||
	    (f->phase == REFRESH_BESIDE && x->ready == f->id) || x->broken == f->id || x->cancelled == f->id)
		return INT64_MAX;
	const char *why_not = refusal_stands(b, model) ? model_why_not(b, model) : NULL;
	if (why_not) {
		refresh_give_up(b, model, f->id, why_not, NULL);
		return INT64_MAX;
	}
	if (!ledger_looked(b->ledger, model) || !model_runs(b, model) ||
	    (f->phase == REFRESH_BESIDE && !inputs_are_over(b, model)))
		return now_us + RETRY_US;
	return x->beside_at;
}

/* With the lock. */
static void note_done(struct backend *b, const struct beside_step *step)
{
	struct refresh_runtime *x = &b->runtime[step->model].refresh;
	x->beside_at = 0;
	x->tries = 0;
	if (step->phase == REFRESH_OVER) {
		x->tidied = step->id;
		return;
	}
	ledger_refresh_beside(b->ledger, step->model, step->done);
	if (step->phase == REFRESH_BESIDE && step->over) {
		x->ready = step->id;
		b->woken = true;
	}
	/* What the exchange has recorded is news for this mount, too. */
	if (step->over)
		control_wake(b);
	touch_model(b, step->model);
}

/* With the lock. */
static void note_step(struct backend *b, const struct beside_step *step, int r, const struct error *err)
{
	struct refresh_runtime *x = &b->runtime[step->model].refresh;
	const struct ledger_refresh *f = ledger_refresh(b->ledger, step->model);
	bool passing = r == -EAGAIN && ++x->tries < TRIES;
	bool later = passing || r == -EBUSY || r == -ESTALE || r == -ECANCELED || warehouse_away(r);
	if (f->id != step->id || f->phase != step->phase)
		return;
	if (r == 0) {
		note_done(b, step);
		return;
	}
	bool trying = r == -EBUSY && step->phase == REFRESH_EXCHANGE;
	log_write(b->config.log, later ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "%s is not refreshed%s: %s",
		  dir_of(b, step->model), later ? " yet" : "", err->text);
	x->beside_at = clock_monotonic_us() + (trying ? EXCHANGE_US : RETRY_US);
	if (later)
		return;
	/* What cannot be tidied up is left to the next mount. */
	if (step->phase == REFRESH_OVER)
		x->tidied = step->id;
	else
		refresh_give_up(b, step->model, step->id, err->text,
				step->failure.why.err ? &step->failure : NULL);
}

static void run_step(struct lane *l, const struct lane_job *job)
{
	struct backend *b = l->b;
	struct open_worker *worker;
	struct error err = {0};
	struct beside_step step = {.model = job->model};
	int r = lane_worker(l, &worker, &err);
	{
		LOCKED(&b->lock);
		const struct ledger_refresh *f = ledger_refresh(b->ledger, job->model);
		const struct refresh_runtime *x = &b->runtime[job->model].refresh;
		step.id = f->id;
		step.phase = f->phase;
		step.batches = f->batches;
		step.done = f->done;
		if ((!refresh_is_beside(f->phase) && f->phase != REFRESH_OVER) ||
		    (refresh_is_beside(f->phase) && x->cancelled == f->id))
			return;
		if (r == 0 && refresh_is_beside(f->phase)) {
			b->runtime[job->model].refresh.beside = f->id;
			step_begin(l, job->model);
		}
	}
	if (r == 0)
		r = builder_beside(worker, &step, &err);
	LOCKED(&b->lock);
	step_end(l);
	note_step(b, &step, r, &err);
}

bool beside_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us)
{
	if (!b->config.engine->builder->beside)
		return false;
	return steps_next(&b->lanes[LANE_BESIDE], due_at, run_step, now_us, job, next_us);
}
