/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a lane does in steps: each is a model's, and while it is under way it can be ended, by the canceller,
 * because an interrupt waits for the server.
 */
#ifndef BATCHFS_SCHEDULE_STEPS_H
#define BATCHFS_SCHEDULE_STEPS_H

#include "backend/schedule/lane.h"

/* With the lock. When the next step of the model is due, monotonic; INT64_MAX: none is. */
typedef int64_t step_due_fn(struct backend *b, slot model, int64_t now_us);

/* With the lock: a source of the lane (lane.h) whose models take turns. `run` does one step of its job's
 * model. */
bool steps_next(struct lane *l, step_due_fn *due, void (*run)(struct lane *l, const struct lane_job *job),
		int64_t now_us, struct lane_job *job, int64_t *next_us);

/*
 * With the lock, on the lane's thread, which has a worker: from the first to the second the step can be
 * ended. The second gives the lock up while the canceller is at the worker, which may be closed afterwards.
 */
void step_begin(struct lane *l, slot model);
void step_end(struct lane *l);

/* With the lock: if a step of that model is under way, it is to end. */
void step_interrupt(struct lane *l, slot model);

/* The canceller: whether a step is to end, with the lock, and without it, that it does. */
bool steps_to_end(const struct backend *b);
void steps_end(struct backend *b);

#endif
