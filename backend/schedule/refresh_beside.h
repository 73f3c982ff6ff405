/* SPDX-License-Identifier: Apache-2.0 */
/* Full refreshes that are built beside the table. */
#ifndef BATCHFS_SCHEDULE_REFRESH_BESIDE_H
#define BATCHFS_SCHEDULE_REFRESH_BESIDE_H

#include "backend/backend.h"

struct lane_job;

/* A lane's source (lane.h): the next step beside a table, and what is left of one that is over. */
bool beside_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us);

#endif
