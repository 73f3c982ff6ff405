/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_LEDGER_FREEZES_H
#define BATCHFS_LEDGER_FREEZES_H

#include "backend/ledger.h"

struct model_state;

/* Who froze something, and when. by NULL: nobody. */
struct freezer {
	const struct requester *by;
	int64_t at;
};

struct freeze {
	struct ordinal_range batches;
	struct freezer who;
};

void freezes_free(struct ledger *l, struct model_state *m);

#endif
