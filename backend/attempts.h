/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the attempts of a model have ended that this daemon has recorded since it began: counted as they end,
 * one for each line that it adds to .history. What other mounts build they count themselves, so that the sum
 * over all mounts counts every attempt once.
 */
#ifndef BATCHFS_ATTEMPTS_H
#define BATCHFS_ATTEMPTS_H

#include <stdint.h>

#include "backend/kinds.h"

/* All zero: none has ended. None of it ever falls. */
struct attempt_counts {
	uint64_t ended[SETTLE_KINDS];			/* by how; of what was only queued: batches */
	uint64_t build_us, rows_inserted, rows_deleted; /* what they took, and what was committed */
};

/* As the store has recorded it. A time or a number of rows that is not known counts as none. */
void attempt_count(struct attempt_counts *c, const struct store_outcome *o);

#endif
