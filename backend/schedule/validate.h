/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validations that were asked for are carried out on a lane of their own, one table at a time: it may take as
 * long as a table is large, and neither a look at another one nor a history waits for that.
 */
#ifndef BATCHFS_SCHEDULE_VALIDATE_H
#define BATCHFS_SCHEDULE_VALIDATE_H

#include "backend/schedule/lane.h"

bool validation_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us);

#endif
