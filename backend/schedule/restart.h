/* SPDX-License-Identifier: Apache-2.0 */
/* Members of the sink. */
#ifndef BATCHFS_SCHEDULE_RESTART_H
#define BATCHFS_SCHEDULE_RESTART_H

#include "backend/calendar.h"
#include "backend/slot.h"

struct backend;
struct store_target;

void restart_begin(void *backend);
void restart_end(void *backend);
bool restart_runs(void *backend, slot model, ordinal batch, uint32_t attempt);
/* With the lock: any attempt of the batch. */
bool restart_runs_here(const struct backend *b, slot model, ordinal batch);
void restart_target(void *backend, slot model, const struct store_target *target);

#endif
