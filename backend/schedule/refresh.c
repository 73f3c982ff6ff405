/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/refresh.h"

#include <stdio.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/count.h"
#include "backend/base/log.h"
#include "backend/ledger.h"
#include "backend/schedule/look.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refresh_wait.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/sink.h"

struct due_step {
	struct refresh_step step;
	/* What it points to. */
	struct error text;
	struct refresh_failure failure;
};

/* With the lock. Whether everything of the build phase was built, has failed, or is wanted no more. */
static bool has_ended(const struct backend *b, slot model, const struct ledger_refresh *f)
{
	struct model_runtime *m = &b->runtime[model];
	struct refresh_runtime *x = &m->refresh;
	if (x->looked_at == f->id && x->seen == m->generation)
		return false;
	if (x->looked_at != f->id)
		x->next = 0;
	x->looked_at = f->id;
	x->seen = m->generation;
	/* Oldest first: what was still to be built when it was looked at last comes next. */
	ordinal next = ledger_refresh_next(b->ledger, model, x->next);
	if (next >= f->batches.end)
		next = ledger_refresh_next(b->ledger, model, 0);
	x->next = next;
	return next >= f->batches.end;
}

/* With the lock. How a build phase that has ended went. */
static void judge(const struct backend *b, slot model, const struct ledger_refresh *f,
		  struct refresh_step *step, struct error *text)
{
	enum batch_size size = models_batch_size(b->models, model);
	struct refresh_count n = ledger_refresh_count(b->ledger, model);
	char name[CALENDAR_NAME_MAX];
	step->result = REFRESH_DONE;
	if (n.failed) {
		step->result = REFRESH_FAILED;
		calendar_name(size, n.first_failed, name);
		error_set(text, EIO, "%s failed or %s skipped, the first is %s",
			  count_of(n.failed, "batch", "batches").text, n.failed == 1 ? "was" : "were", name);
	} else if (n.first_left < f->batches.end) {
		step->result = REFRESH_CANCELLED;
		calendar_name(size, n.first_left, name);
		error_set(text, ECANCELED, "%s not rebuilt, because that was cancelled, the first is %s",
			  count_of(n.batches - n.done, "batch was", "batches were").text, name);
	}
}

/*
 * With the lock. Nothing of a refresh that is being cleared is queued, so that what reads it would not wait
 * for it: the refresh of a reader goes on to its build phase behind those of what it reads.
 */
static bool inputs_are_cleared(const struct backend *b, slot model)
{
	size_t n;
	const struct model_read *reads = models_reads(b->models, model, &n);
	for (size_t i = 0; i < n; i++)
		if (reads[i].model != model &&
		    ledger_refresh(b->ledger, reads[i].model)->phase == REFRESH_CLEAR)
			return false;
	return true;
}

/* With the lock. */
static bool end_with(struct refresh_step *step, enum refresh_result result, struct error *text,
		     const char *why)
{
	step->to = REFRESH_OVER;
	step->result = result;
	error_set(text, EIO, "%s", why);
	return true;
}

/* With the lock. The step from the phase FIRST: whether it is due. */
static bool leave_first(const struct backend *b, slot model, struct refresh_step *step, struct error *text)
{
	const struct refresh_runtime *x = &b->runtime[model].refresh;
	enum refresh_first made = ledger_refresh_made(b->ledger, model);
	char name[CALENDAR_NAME_MAX];
	step->to = REFRESH_BUILD;
	/* Whoever cancels it afterwards cancels the rest: the table is another one. */
	if (made == FIRST_BUILT)
		return true;
	/* What may make the table anew still runs. */
	if (ledger_running(b->ledger, model) > 0)
		return false;
	if (x->cancelled == step->id)
		return end_with(step, REFRESH_CANCELLED, text, "");
	if (models_gone(b->models, model))
		return end_with(step, REFRESH_CANCELLED, text, "the manifest has no such model any more");
	calendar_name(models_batch_size(b->models, model), ledger_refresh_first(b->ledger, model), name);
	switch (made) {
	case FIRST_BUILT:
	case FIRST_OPEN:
		return false;
	case FIRST_WRONG:
		end_with(step, REFRESH_FAILED, text, "");
		error_set(
			text, EIO,
			"%s, with which the table is made anew, has failed or was skipped: nothing else was "
			"begun",
			name);
		return true;
	case FIRST_LEFT:
		/* Its row may not have been told yet. */
		if (!ledger_looked(b->ledger, model))
			return false;
		end_with(step, REFRESH_CANCELLED, text, "");
		error_set(text, ECANCELED, "%s, with which the table is made anew, was cancelled", name);
		return true;
	}
	return false;
}

/* With the lock. It has been given up here. */
static bool end_broken(const struct refresh_runtime *x, struct refresh_step *step, struct due_step *due)
{
	if (x->failure) {
		due->failure = *x->failure;
		step->failure = &due->failure;
	}
	return end_with(step, REFRESH_FAILED, &due->text, x->why_broken ? x->why_broken : "");
}

/* With the lock. Whether a step is due. */
static bool next_step(struct backend *b, slot model, struct due_step *due)
{
	struct refresh_step *step = &due->step;
	struct error *text = &due->text;
	const struct ledger_refresh *f = ledger_refresh(b->ledger, model);
	const struct refresh_runtime *x = &b->runtime[model].refresh;
	*step = (struct refresh_step){.model = model,
				      .id = f->id,
				      .from = f->phase,
				      .first = ledger_refresh_first(b->ledger, model),
				      .at = clock_now_us(b->config.clock),
				      .rows_outside = f->rows_outside,
				      .rows_without_event_time = f->rows_without_event_time,
				      .error = text->text};
	if (f->phase == REFRESH_FIRST)
		return leave_first(b, model, step, text);
	if (f->phase != REFRESH_OVER && x->cancelled == f->id)
		return end_with(step, REFRESH_CANCELLED, text, "");
	switch (f->phase) {
	case REFRESH_OVER:
	case REFRESH_FIRST:
		return false;
	case REFRESH_CLEAR:
	case REFRESH_BESIDE:
	case REFRESH_EXCHANGE:
		if (models_gone(b->models, model))
			return end_with(step, REFRESH_CANCELLED, text,
					"the manifest has no such model any more");
		if (x->broken == f->id)
			return end_broken(x, step, due);
		step->to = f->phase == REFRESH_CLEAR ? REFRESH_BUILD : REFRESH_EXCHANGE;
		if (f->phase == REFRESH_CLEAR)
			return x->cleared == f->id && inputs_are_cleared(b, model);
		/* The exchange records its end itself. */
		return f->phase == REFRESH_BESIDE && x->ready == f->id;
	case REFRESH_BUILD:
		if (!has_ended(b, model, f))
			return false;
		judge(b, model, f, step, text);
		return true;
	}
	return false;
}

static void say(const struct backend *b, const struct refresh_step *step)
{
	const char *dir = dir_of(b, step->model), *to = refresh_phase_shown(step->to);
	if (to)
		log_info(b->config.log, "full refresh of %s: now in the phase %s", dir, to);
	else
		log_info(b->config.log, "full refresh of %s: %s%s%s", dir, refresh_result_word(step->result),
			 *step->error ? ": " : "", step->error);
}

/* The first step that is due from that model on; *from: the model behind its. */
static bool find_step(struct backend *b, slot *from, struct due_step *due)
{
	LOCKED(&b->lock);
	while (!b->stopping && *from < models_end(b->models))
		if (next_step(b, (*from)++, due))
			return true;
	return false;
}

/* Its first batch was tried, and the refresh is over all the same: which table is there now nobody knows. */
static void doubt_table(struct backend *b, const struct refresh_step *step)
{
	LOCKED(&b->lock);
	if (step->from == REFRESH_FIRST && step->to == REFRESH_OVER &&
	    b->runtime[step->model].refresh.begun == step->id)
		look_begin_anew(b, step->model);
}

int refresh_settle(struct backend *b, struct error *err)
{
	struct store_sink sink;
	struct due_step due = {.text = {0}};
	slot from = 0;
	int r = 0;
	while (r == 0 && find_step(b, &from, &due)) {
		r = store_refresh(b->store, &due.step, backend_sink(b, &sink), err);
		if (r == 0 && due.step.taken == 0) {
			doubt_table(b, &due.step);
			say(b, &due.step);
		}
		due.text = (struct error){0};
	}
	if (r == 0)
		refresh_answer(b, 0);
	return r;
}
