/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_SETTLE_H
#define BATCHFS_SCHEDULE_SETTLE_H

#include "backend/backend.h"

/* On the control thread, without the lock: records what has ended, and shows it. */
int outcomes_settle(struct backend *b, struct error *err);

#endif
