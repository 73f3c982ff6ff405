/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests whose batches are chosen by their states (.run, a set of states) wait in memory until the tables
 * of their models have been looked at, and until it was seen that those still are the tables that were looked
 * at. They are answered when what they build is recorded, as any other: who waits for that gives up after the
 * mount's timeout, the request goes on.
 */
#ifndef BATCHFS_SCHEDULE_HELD_H
#define BATCHFS_SCHEDULE_HELD_H

#include <sys/queue.h>

#include "backend/backend.h"

/* Protected by the lock. */
STAILQ_HEAD(held_requests, held_request);

bool held_must_wait(const struct backend_request *r);

/* Without the lock. Copies everything. *ticket: for backend_reason(). */
void held_add(struct backend *b, const struct backend_request *r, uint64_t *ticket);

/* The control thread, without the lock: sends what does not have to wait any more, model by model. */
void held_go_on(struct backend *b);

/* Without the lock: answers all with that. */
void held_fail(struct backend *b, int err);

#endif
