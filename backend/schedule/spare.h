/* SPDX-License-Identifier: Apache-2.0 */
/* What a cancel has ended here at once, and must not: others had asked for it before the cancel was recorded.
 */
#ifndef BATCHFS_SCHEDULE_SPARE_H
#define BATCHFS_SCHEDULE_SPARE_H

#include "backend/backend.h"
#include "backend/schedule/outcome.h"

/*
 * With the lock, on the control thread, before anything is settled: of the cancel that is recorded, what lies
 * between its pieces. What was taken out of the queue (withdrawn) is not recorded; the request that spares it
 * brings it back into the queue when it comes as news, and its build answers the older ones, too. What was
 * interrupted goes back to the queue.
 */
void spare(struct backend *b, const struct store_request *r, struct outcome_queue *withdrawn);

#endif
