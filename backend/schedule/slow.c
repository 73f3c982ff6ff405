/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/slow.h"

#include "backend/engine.h"
#include "backend/models.h"
#include "backend/schedule/look.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"

static void look_at_refusal(struct lane *l, const struct lane_job *job)
{
	struct open_worker *worker;
	if (lane_worker(l, &worker, NULL) == 0)
		refusal_look(l->b, worker, job->model);
}

bool refusal_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us)
{
	for (slot i = 0; i < models_end(b->models) && !b->stopping; i++) {
		int64_t at = refusal_look_at(b, i);
		if (at <= now_us) {
			*job = (struct lane_job){.run = look_at_refusal, .model = i};
			return true;
		}
		*next_us = at < *next_us ? at : *next_us;
	}
	return false;
}

static void look(struct lane *l, const struct lane_job *job)
{
	struct open_worker *worker;
	if (lane_worker(l, &worker, NULL) == 0)
		look_run(l->b, worker, job->model, (enum look_kind)job->kind);
}

bool look_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us)
{
	enum look_kind kind;
	int64_t at;
	if (b->stopping)
		return false;
	slot model = look_next(b, now_us, &kind, &at);
	if (model == SLOT_NONE) {
		*next_us = at < *next_us ? at : *next_us;
		return false;
	}
	*job = (struct lane_job){.run = look, .model = model, .kind = (int)kind};
	return true;
}
