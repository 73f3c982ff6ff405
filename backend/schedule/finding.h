/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what a look has found on its way into the ledger. The lane's, without the lock. */
#ifndef BATCHFS_SCHEDULE_FINDING_H
#define BATCHFS_SCHEDULE_FINDING_H

#include "backend/backend.h"
#include "backend/store.h"

struct finding {
	struct store_sink sink, inner;
	struct backend *b;
	bool first;
	size_t adopted, gone;
};

/* sink is what a builder's look() is given; first: what it reports was known of nothing before. */
void finding_init(struct finding *f, struct backend *b, bool first);

#endif
