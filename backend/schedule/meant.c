/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/engine.h"
#include "backend/schedule/job.h"
#include "backend/schedule/meant.h"
#include "backend/schedule/runtime.h"

/* With the lock. The worker whose run holds the batch. */
static struct job_worker *worker_of(struct backend *b, slot model, ordinal batch)
{
	for (int i = 0; i < b->config.jobs; i++) {
		struct job_worker *w = &b->workers[i];
		bool inside = batch >= w->run.first && batch < w->run.first + w->run.count;
		if (w->kind == JOB_BUILD && w->run.model == model && inside &&
		    w->run.attempt[batch - w->run.first] && !run_marked(&w->ended, batch - w->run.first))
			return w;
	}
	return NULL;
}

bool cancel_meant(struct backend *b, slot model, ordinal batch, int64_t *wanted)
{
	const struct job_worker *w = worker_of(b, model, batch);
	if (!w || !run_marked(&w->cancelled, batch - w->run.first))
		return false;
	*wanted = w->answered[batch - w->run.first];
	return true;
}

void cancel_over(struct backend *b, slot model, ordinal batch)
{
	struct job_worker *w = worker_of(b, model, batch);
	if (w)
		run_mark(&w->ended, batch - w->run.first);
}
