/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_CANCEL_H
#define BATCHFS_SCHEDULE_CANCEL_H

#include "backend/backend.h"

struct ask;

/* With the lock, when the ledger shows it done. It was built all the same, its COMMIT was under way: what had
 * been asked for before the cancel (up to the seq `answered`) is not built once more. */
void cancel_too_late(struct backend *b, slot model, ordinal batch, int64_t at, int64_t answered);
/* With the lock: a cancel of this batch is on its way to the store. */
bool cancel_asked(const struct backend *b, slot model, ordinal batch);
/* Without the lock: the cancel was recorded, as the store has answered in *r, or could not be. */
void cancel_recorded(struct backend *b, struct ask *a, const struct store_request *r, bool recorded);
/*
 * Without the lock: carries out a cancel that another mount has recorded: ends our attempts that were claimed
 * before it, takes what waits out of the queue.
 */
void cancel_apply(struct backend *b, slot model, struct ordinal_range batches, int64_t seq);
/*
 * Without the lock, where the store is away: for other mounts this one may be dead by now. What commits
 * together with its state is fenced by that; what does not is ended, and goes back to the queue.
 */
void cancel_unfenced(struct backend *b);
void *cancel_main(void *backend);

#endif
