/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/prune.h"

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/models.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"

#define RETRY_US 1000000

static void prune(struct lane *l, const struct lane_job *job)
{
	struct backend *b = l->b;
	struct open_worker *worker;
	struct error err = {0};
	int64_t before = clock_now_us(b->config.clock) - FEED_AGE_US;
	int r = lane_worker(l, &worker, &err);
	if (r == 0)
		r = builder_prune(worker, job->model, b->config.history, before, &err);
	if (r == 0)
		return;
	log_debug(b->config.log, "%s: old attempts are still kept: %s", dir_of(b, job->model), err.text);
	LOCKED(&b->lock);
	b->runtime[job->model].prune = b->pruning = true;
	b->prune_at = clock_monotonic_us() + RETRY_US;
}

bool prune_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us)
{
	if (b->pruning && now_us < b->prune_at) {
		*next_us = b->prune_at < *next_us ? b->prune_at : *next_us;
		return false;
	}
	for (slot i = 0; b->pruning && i < models_end(b->models); i++) {
		if (!b->runtime[i].prune)
			continue;
		b->runtime[i].prune = false;
		*job = (struct lane_job){.run = prune, .model = i};
		return true;
	}
	b->pruning = false;
	return false;
}
