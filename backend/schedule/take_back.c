/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A claim is taken back. A worker is given a run of neighbours in one claim; what it has not begun is still
 * anybody's: of a cancel, of a freeze, of another worker where the batch in flight takes too long, and of
 * another mount when this one ends. A batch has begun when the builder was told that it is wanted; from then
 * on it is the builder's until it reports its end. What was taken back before that is not wanted any more,
 * its outcome is on its way to the store at once, and what the builder reports of it is not listened to. So
 * each attempt has one end, and who claims the batch again has a higher attempt.
 */
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/engine.h"
#include "backend/plan.h"
#include "backend/schedule/job.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/take_back.h"

/*
 * Only batches that take half of RUN_TARGET_US (plan.c) or less are claimed together, so one that takes as
 * long as a whole run should is out of the ordinary, and its neighbours wait for nothing.
 */
#define LATE_US 250000

bool keep_from_taking(struct job_worker *w, ordinal batch)
{
	if (run_marked(&w->taken, batch - w->run.first))
		return false;
	run_mark(&w->begun, batch - w->run.first);
	return true;
}

bool still_wanted(void *worker, ordinal batch)
{
	struct job_worker *w = worker;
	LOCKED(&w->b->lock);
	return !run_marked(&w->cancelled, batch - w->run.first) && keep_from_taking(w, batch);
}

/* With the lock. */
static bool untouched(const struct job_worker *w, uint32_t i)
{
	return w->run.attempt[i] && !run_marked(&w->begun, i) && !run_marked(&w->ended, i) &&
	       !run_marked(&w->taken, i);
}

bool take_back(struct job_worker *w, ordinal batch)
{
	uint32_t i = batch - w->run.first;
	if (!untouched(w, i))
		return false;
	int64_t now = clock_now_us(w->b->config.clock);
	struct build_report r = {
		.batch = batch, .attempt = w->run.attempt[i], .started = now, .finished = now};
	run_mark(&w->taken, i);
	outcome_add_locked(w->b, &r, &w->run, SETTLE_UNSTARTED);
	return true;
}

bool take_back_range(struct job_worker *w, struct ordinal_range batches)
{
	bool any = false;
	for (uint32_t i = 0; w->kind == JOB_BUILD && i < w->run.count; i++) {
		ordinal o = w->run.first + i;
		if (w->run.attempt[i] && o >= batches.first && o < batches.end)
			any |= take_back(w, o);
	}
	return any;
}

ordinal first_begun(const struct backend *b, slot model, struct ordinal_range batches)
{
	ordinal first = batches.end;
	for (int i = 0; i < b->config.jobs; i++) {
		const struct job_worker *w = &b->workers[i];
		for (uint32_t k = 0; w->kind == JOB_BUILD && w->run.model == model && k < w->run.count; k++) {
			ordinal o = w->run.first + k;
			if (run_marked(&w->begun, k) && !run_marked(&w->ended, k) && o >= batches.first &&
			    o < first)
				first = o;
		}
	}
	return first;
}

/* With the lock. Whether another worker could build what this one has not begun. */
static bool others_may(const struct job_worker *w)
{
	const struct backend *b = w->b;
	if (w->kind != JOB_BUILD || b->config.jobs < 2 || plan_serial(w->facts))
		return false;
	for (uint32_t i = 0; i < w->run.count; i++)
		if (untouched(w, i))
			return true;
	return false;
}

int64_t take_back_late(struct backend *b)
{
	int64_t next = INT64_MAX, now = clock_monotonic_us();
	for (int i = 0; i < b->config.jobs; i++) {
		struct job_worker *w = &b->workers[i];
		if (!others_may(w))
			continue;
		/* Before its first batch a run may wait for a connection: another worker would, too. */
		bool begun = !run_marks_none(&w->under_way);
		int64_t left = w->since + LATE_US - now;
		if (left <= 0 && begun)
			take_back_range(w, (struct ordinal_range){0, UINT32_MAX});
		else if (left <= 0)
			next = LATE_US < next ? LATE_US : next;
		else if (left < next)
			next = left;
	}
	return next;
}
