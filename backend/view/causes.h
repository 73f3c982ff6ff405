/* SPDX-License-Identifier: Apache-2.0 */
/* What a batch is stale or skipped because of. Everything here with the snapshot's lock. */
#ifndef BATCHFS_VIEW_CAUSES_H
#define BATCHFS_VIEW_CAUSES_H

#include "backend/plan.h"
#include "backend/snapshot.h"

struct causes {
	const struct snapshot *v;
	struct report_cause *list; /* CAUSES_MAX at most; the owner frees it */
	size_t n, size;
	bool broken; /* no memory, the list is cut */
};

/* A batch that reads a year of hours may have 8,760: the first tell enough. */
#define CAUSES_MAX 100

/* Adds the causes of a stale or a skipped batch; of any other there are none. */
void causes_of(struct causes *c, slot model, ordinal batch, enum batch_state state);

#endif
