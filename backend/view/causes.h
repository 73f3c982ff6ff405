/* SPDX-License-Identifier: Apache-2.0 */
/* What a batch is stale or skipped because of. Everything here with the snapshot's lock. */
#ifndef BATCHFS_VIEW_CAUSES_H
#define BATCHFS_VIEW_CAUSES_H

#include "backend/plan.h"
#include "backend/snapshot.h"

struct causes {
	const struct snapshot *v;
	struct report_cause *list; /* NULL where only the text is counted */
	size_t n, size, text;	   /* text: bytes that the names take in a document */
	bool counting, broken;	   /* broken: no memory, the list is cut */
};

/* Adds the causes of a stale or a skipped batch; of any other there are none. */
void causes_of(struct causes *c, slot model, ordinal batch, enum batch_state state);

#endif
