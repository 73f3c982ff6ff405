/* SPDX-License-Identifier: Apache-2.0 */
/* The clear phase of full refreshes. */
#ifndef BATCHFS_SCHEDULE_REFRESH_CLEAR_H
#define BATCHFS_SCHEDULE_REFRESH_CLEAR_H

#include "backend/backend.h"

struct lane_job;
struct refresh_failure;

/* A lane's source (lane.h): the next step of a clear phase. */
bool clear_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us);

/* With the lock: the refresh can never end well. failure NULL: not because of a batch; else it is copied. */
void refresh_give_up(struct backend *b, slot model, int64_t id, const char *why,
		     const struct refresh_failure *failure);

#endif
