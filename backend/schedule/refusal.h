/* SPDX-License-Identifier: Apache-2.0 */
/* Models that cannot be built for now: why, how long, and what their batches fail with. With the lock where
 * nothing else is said. */
#ifndef BATCHFS_SCHEDULE_REFUSAL_H
#define BATCHFS_SCHEDULE_REFUSAL_H

#include "backend/backend.h"

struct job_worker;
struct model_runtime;
struct open_worker;

bool back_off(struct model_runtime *m, unsigned *times); /* false: it was often enough, and counts anew */
/* Of a call of the engine: the warehouse is away (or we are leaving), and nothing is said of the target. */
bool warehouse_away(int r);
/* What refuses the model may go away; until then what is queued fails with it. */
bool refusal_stands(const struct backend *b, slot model);
bool model_unprepared(const struct model_runtime *m);
/* When, monotonic, to look whether what has refused the model still does; INT64_MAX: nothing has. */
int64_t refusal_look_at(const struct backend *b, slot model);
/* Without the lock. A job's; no_worker: why there is none, where there is none. */
void model_prepare(struct job_worker *w, const struct error *no_worker);
/* Without the lock. What the run that was claimed fails with, the caller's to free; NULL: it may be built. */
struct error *refusal_take(struct backend *b, slot model);
/* Without the lock. What a build returned. */
void refusal_after_build(struct backend *b, slot model, int r, const struct error *err);
/* Without the lock, on the slow lane: whether what has refused the model still does. */
void refusal_look(struct backend *b, struct open_worker *worker, slot model);

#endif
