/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/steps.h"

#include "backend/base/cleanup.h"
#include "backend/engine.h"
#include "backend/schedule/runtime.h"

bool steps_next(struct lane *l, step_due_fn *due, void (*run)(struct lane *l, const struct lane_job *job),
		int64_t now_us, struct lane_job *job, int64_t *next_us)
{
	struct backend *b = l->b;
	slot n = models_end(b->models);
	for (slot i = 0; i < n && !b->stopping && !b->config.read_only; i++) {
		/* In turns: a large table holds up no small one. */
		slot model = (l->step.turn + i) % n;
		int64_t at = due(b, model, now_us);
		if (at <= now_us) {
			l->step.turn = model + 1;
			*job = (struct lane_job){.run = run, .model = model};
			return true;
		}
		*next_us = at < *next_us ? at : *next_us;
	}
	return false;
}

void step_begin(struct lane *l, slot model)
{
	l->step.model = model;
}

void step_end(struct lane *l)
{
	l->step.model = SLOT_NONE;
	l->step.interrupt = false;
	while (l->step.interrupting)
		pthread_cond_wait(&l->step.interrupted, &l->b->lock);
}

void step_interrupt(struct lane *l, slot model)
{
	if (l->step.model != model)
		return;
	l->step.interrupt = true;
	pthread_cond_signal(&l->b->cancel_wake);
}

bool steps_to_end(const struct backend *b)
{
	for (int i = 0; i < LANE_KINDS; i++)
		if (b->lanes[i].step.interrupt)
			return true;
	return false;
}

static void end_step(struct lane *l)
{
	struct open_worker *worker;
	{
		LOCKED(&l->b->lock);
		worker = l->step.interrupt ? l->worker : NULL;
		l->step.interrupt = false;
		l->step.interrupting = worker != NULL;
	}
	if (!worker)
		return;
	builder_interrupt(worker);
	LOCKED(&l->b->lock);
	l->step.interrupting = false;
	pthread_cond_signal(&l->step.interrupted);
}

void steps_end(struct backend *b)
{
	for (int i = 0; i < LANE_KINDS; i++)
		end_step(&b->lanes[i]);
}
