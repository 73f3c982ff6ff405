/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for full refreshes to be over. */
#ifndef BATCHFS_SCHEDULE_REFRESH_WAIT_H
#define BATCHFS_SCHEDULE_REFRESH_WAIT_H

#include "backend/backend.h"

/* Without the lock: answers those who wait for what is over; err: everybody, with that. */
void refresh_answer(struct backend *b, int err);

#endif
