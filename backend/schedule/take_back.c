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

/* With the lock. */
static uint32_t bit_of(const struct job_worker *w, ordinal batch)
{
	return UINT32_C(1) << (batch - w->run.first);
}

bool keep_from_taking(struct job_worker *w, ordinal batch)
{
	if (w->taken & bit_of(w, batch))
		return false;
	w->begun |= bit_of(w, batch);
	return true;
}

bool still_wanted(void *worker, ordinal batch)
{
	struct job_worker *w = worker;
	LOCKED(&w->b->lock);
	return !(w->cancelled & bit_of(w, batch)) && keep_from_taking(w, batch);
}

bool take_back(struct job_worker *w, ordinal batch)
{
	if ((w->begun | w->ended | w->taken) & bit_of(w, batch))
		return false;
	int64_t now = clock_now_us(w->b->config.clock);
	struct build_report r = {.batch = batch,
				 .attempt = w->run.attempt[batch - w->run.first],
				 .started = now,
				 .finished = now};
	w->taken |= bit_of(w, batch);
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
		uint32_t begun = w->kind == JOB_BUILD && w->run.model == model ? w->begun & ~w->ended : 0;
		for (; begun; begun &= begun - 1) {
			ordinal o = w->run.first + (ordinal)__builtin_ctz(begun);
			if (o >= batches.first && o < first)
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
	uint32_t left = ~(w->begun | w->ended | w->taken);
	for (uint32_t i = 0; i < w->run.count; i++)
		if (w->run.attempt[i] && left >> i & 1)
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
		bool begun = w->under_way != 0;
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
