/* SPDX-License-Identifier: Apache-2.0 */
/* The last refused operations, for last_refusal in the documents. Not locked: the owner's mutex does that. */
#ifndef BATCHFS_REFUSALS_H
#define BATCHFS_REFUSALS_H

#include "backend/report/report.h"

#define REFUSALS_KEPT 32

/* Zero-initialised: none yet. */
struct refusals {
	struct report_refusal ring[REFUSALS_KEPT];
	unsigned n; /* ever */
};

void refusals_add(struct refusals *list, const struct report_refusal *r);

/* The newest that concerns the batches, or the model as a whole where the range is empty; model SLOT_NONE: of
 * all. NULL: none is kept. It stays valid until the next one is added. */
const struct report_refusal *refusals_find(const struct refusals *list, slot model,
					   struct ordinal_range batches);

#endif
