/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_FREEZE_H
#define BATCHFS_SCHEDULE_FREEZE_H

#include "backend/backend.h"

struct store_request;

/* With the lock. */
void freeze_recorded(struct backend *b, const struct store_request *r);
/* On the control thread: queues the cancelling of what is queued and frozen; whether any is. */
bool freezes_cancel(struct backend *b);

#endif
