/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_SNAPSHOT_H
#define BATCHFS_SCHEDULE_SNAPSHOT_H

#include "backend/backend.h"

/* Once ledger and models are there; the store is added when it is open. */
void snapshot_init(struct backend *b);

#endif
