/* SPDX-License-Identifier: Apache-2.0 */
/* With the lock: queues the skipping of what reads a failed or skipped batch, or of the rest of its
 * request. */
#ifndef BATCHFS_SCHEDULE_SKIP_H
#define BATCHFS_SCHEDULE_SKIP_H

#include "backend/backend.h"

struct store_outcome;

/* before: only what was asked for before that moment (us), and nothing else of its request; 0: all. weight:
 * as how many failures it counts among the equal ones of its request; 0: one. */
void skip_readers(struct backend *b, const struct store_outcome *failed, int64_t before, unsigned weight);
/* A request that was made then through another mount is heard of only now: what of it reads batches that have
 * failed since is skipped. */
void skip_late(struct backend *b, slot model, int64_t asked_at);
/* For a batch that was put back: the rest of its request may have been skipped meanwhile. */
void skip_hopeless(struct backend *b, const struct store_outcome *put_back);
/* No batch of the model can be built, as one that failed or was put back for that has shown. */
void skip_rest(struct backend *b, const struct store_outcome *cause);

#endif
