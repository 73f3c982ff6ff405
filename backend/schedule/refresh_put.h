/* SPDX-License-Identifier: Apache-2.0 */
/* What is recorded of full refreshes goes into the ledger. */
#ifndef BATCHFS_SCHEDULE_REFRESH_PUT_H
#define BATCHFS_SCHEDULE_REFRESH_PUT_H

#include "backend/backend.h"
#include "backend/engine.h"

/* With the lock: a request for one was recorded. */
void refresh_begun(struct backend *b, const struct store_request *r);

/* For backend_sink(). */
void sink_refresh(void *ctx, const struct store_refresh *r);

#endif
