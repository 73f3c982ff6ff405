/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the tables: which model the slow lane looks at next, why, and who waits for that. One table at a
 * time. Until a table has been looked at nothing is built in it, and its batches are unknown
 * (ledger_looked()).
 */
#ifndef BATCHFS_SCHEDULE_LOOK_H
#define BATCHFS_SCHEDULE_LOOK_H

#include "backend/backend.h"
#include "backend/builder.h"

struct open_worker;

/* With the lock: what is known of the model's batches is void, its table is looked at before anything else is
 * done with it. */
void look_begin_anew(struct backend *b, slot model);

/*
 * With the lock: the store has met the model's target. What is recorded of a table that is not the one that
 * is there is void. Of one that cannot be looked at, and of which nothing is recorded, nobody knows anything.
 */
void look_met(struct backend *b, slot model, const struct store_target *target);
/* With the lock: what was built in a table that has gone is void. */
void look_forget_gone(struct backend *b, slot model, const struct store_target *target);

/* With the lock: the table has not been looked at, and nothing says that it cannot be. */
bool look_is_due(const struct backend *b, slot model);

/* With the lock. SLOT_NONE: none now, but at *next_at (monotonic) there may be one. */
slot look_next(const struct backend *b, int64_t now, enum look_kind *kind, int64_t *next_at);

/* On the slow lane, without the lock. */
void look_run(struct backend *b, struct open_worker *worker, slot model, enum look_kind kind);

/* Without the lock: answers those who wait for looks that are over; err: all of them, with that. */
void look_answer(struct backend *b, int err);

#endif
