/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts that a cancel means to end, by the marks in their worker's job. With the lock. */
#ifndef BATCHFS_SCHEDULE_MEANT_H
#define BATCHFS_SCHEDULE_MEANT_H

#include "backend/backend.h"

/* Whether the attempt that runs here is to be cancelled; then every request up to *wanted is answered by its
 * end. */
bool cancel_meant(struct backend *b, slot model, ordinal batch, int64_t *wanted);
/* Its attempt has ended. */
void cancel_over(struct backend *b, slot model, ordinal batch);

#endif
