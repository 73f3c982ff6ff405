/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model's target allows: it is prepared before the first run; what refuses the model fails what is
 * queued, so that nothing waits for ever, and is looked at again until it has gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/job.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"

/* "Tried again 5 times", one after the other, before a batch fails for good. */
#define PASSING_MAX   5
#define BACKOFF_US    100000
#define LONGEST_SHIFT 5
/* A table that was replaced is noticed within two seconds. */
#define LOOK_AGAIN_US 2000000
/* What a failed prepare found holds for the requests of that moment; a later one is worth another try. */
#define REFUSAL_AGE_US 1000000

bool back_off(struct model_runtime *m, unsigned *times)
{
	unsigned n = (*times)++;
	if (n >= PASSING_MAX) {
		*times = 0;
		return false;
	}
	m->not_before =
		clock_monotonic_us() + ((int64_t)BACKOFF_US << (n < LONGEST_SHIFT ? n : LONGEST_SHIFT));
	return true;
}

bool warehouse_away(int r)
{
	return r == -ECONNREFUSED || r == -EHOSTUNREACH || r == -ETIMEDOUT || r == -ECANCELED;
}

bool refusal_stands(const struct backend *b, slot model)
{
	const struct model_runtime *m = &b->runtime[model];
	bool lasts = models_gone(b->models, model) || models_why_not(b->models, model) ||
		     (m->why_not && m->lasting);
	return !lasts && model_why_not(b, model);
}

/* object_not_in_prerequisite_state: of a refusal for which no server had a code. */
#define REFUSED_SQLSTATE "55000"

/* With the lock. The next run fails with it, and whatever refuses a model has a code in the history. */
static void refuse_run(struct model_runtime *m, const struct error *why)
{
	free(m->prepare_error);
	m->prepare_error = malloc(sizeof *why);
	if (!m->prepare_error)
		return; /* the model is prepared once more */
	*m->prepare_error = *why;
	if (!*why->sqlstate)
		snprintf(m->prepare_error->sqlstate, sizeof why->sqlstate, "%s", REFUSED_SQLSTATE);
	m->prepared_at = clock_monotonic_us();
	m->prepared = true;
}

bool model_unprepared(const struct model_runtime *m)
{
	return !m->prepared || (m->prepare_error && clock_monotonic_us() - m->prepared_at > REFUSAL_AGE_US);
}

/* With the lock. */
static void prepared(struct backend *b, slot model, int r, const struct store_target *target,
		     const struct error *err)
{
	struct model_runtime *m = &b->runtime[model];
	if (r != -ETIMEDOUT)
		m->lost = 0;
	if (r == 0)
		model_target(m, target);
	if (r == 0 && target->look) {
		look_begin_anew(b, model);
	} else if (r == 0) {
		free(m->prepare_error);
		m->prepare_error = NULL;
		m->prepared = true;
		m->refused_at = clock_monotonic_us() + LOOK_AGAIN_US;
		/* There may be a table now that the clock has looked at, or a refusal. */
		lane_wake(&b->lanes[LANE_LOOK]);
	} else if (r == -ETIMEDOUT) {
		/* Each time the connection is lost over it: that may be its own doing. */
		if (!back_off(m, &m->lost))
			refuse_run(m, err);
	} else if (warehouse_away(r)) {
		m->not_before = clock_monotonic_us() + BACKOFF_US;
	} else {
		refuse_run(m, err);
	}
}

void model_prepare(struct job_worker *w, const struct error *no_worker)
{
	struct backend *b = w->b;
	slot model = w->run.model;
	struct store_target target = {0};
	struct error err = {0};
	bool news;
	int r = w->worker ? builder_prepare(w->worker, model, true, &target, &err)
			  : error_set(&err, no_worker->err, "%s", no_worker->text);
	if (r < 0)
		log_warning(b->config.log, "%s cannot be prepared: %s", dir_of(b, model), err.text);
	{
		LOCKED(&b->lock);
		b->runtime[model].preparing = false;
		bool ran = model_runs(b, model);
		prepared(b, model, r, &target, &err);
		news = ran != model_runs(b, model);
		touch_model(b, model);
	}
	/* Whether it may be built shows in the mode of its batches. */
	if (news)
		changed(b, model, backend_existing(b, model));
}

struct error *refusal_take(struct backend *b, slot model)
{
	LOCKED(&b->lock);
	struct model_runtime *m = &b->runtime[model];
	struct error *why = steal(&m->prepare_error);
	if (why) {
		m->prepared = false;
		return why;
	}
	if (!refusal_stands(b, model))
		return NULL;
	why = calloc(1, sizeof *why);
	if (why)
		error_sql(why, EOPNOTSUPP,
			  *model_sqlstate(b, model) ? model_sqlstate(b, model) : REFUSED_SQLSTATE, "%s",
			  model_why_not(b, model));
	return why;
}

void refusal_after_build(struct backend *b, slot model, int r, const struct error *err)
{
	LOCKED(&b->lock);
	struct model_runtime *m = &b->runtime[model];
	if (r != -EAGAIN) {
		m->missed = 0;
		return;
	}
	m->prepared = false;
	/* The first time it is what it looks like: another table. Again and again it never comes to a build.
	 */
	if (m->missed++ >= PASSING_MAX) {
		m->missed = 0;
		refuse_run(m, err);
	}
}

int64_t refusal_look_at(const struct backend *b, slot model)
{
	const struct model_runtime *m = &b->runtime[model];
	/* A look that could not be is repeated by itself until it succeeds. */
	bool due = m->why_not && refusal_stands(b, model) && !m->preparing &&
		   ledger_running(b->ledger, model) == 0;
	return due ? m->refused_at : INT64_MAX;
}

void refusal_look(struct backend *b, struct open_worker *worker, slot model)
{
	struct store_target target = {0};
	struct error err = {0};
	int r = builder_prepare(worker, model, false, &target, &err);
	bool runs;
	{
		LOCKED(&b->lock);
		struct model_runtime *m = &b->runtime[model];
		m->refused_at = clock_monotonic_us() + LOOK_AGAIN_US;
		if (r < 0 && !warehouse_away(r))
			model_refuses(m, err.text, err.sqlstate);
		if (r == 0)
			model_target(m, &target);
		runs = model_runs(b, model);
		if (runs && (target.look || target.lookable))
			look_met(b, model, &target);
		if (runs) {
			m->prepared = false;
			b->woken = b->held_due = true;
			control_wake(b);
		}
		touch_model(b, model);
	}
	if (!runs)
		return;
	log_info(b->config.log, "%s can be built again", dir_of(b, model));
	changed(b, model, backend_existing(b, model));
}
