/* SPDX-License-Identifier: Apache-2.0 */
/* What a batch's document says, for the document and for the size of it. With the backend's lock. */
#ifndef BATCHFS_VIEW_BATCH_H
#define BATCHFS_VIEW_BATCH_H

#include "backend/view/causes.h"

/* Lives on its user's stack, and is not moved: the report points into it. */
struct batch_view {
	struct report_batch report;
	struct batch_info info;
	struct report_refusal waits;
	struct causes causes;
};

/* -ENOMEM. To be given to batch_view_fini() in any case; valid while the lock is held. */
int batch_view(const struct snapshot *v, slot model, ordinal batch, struct batch_view *out);
void batch_view_fini(struct batch_view *seen);

#endif
