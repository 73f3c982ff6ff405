/* SPDX-License-Identifier: Apache-2.0 */
/* How long a build of several models takes. With the snapshot's lock. */
#ifndef BATCHFS_VIEW_ESTIMATE_H
#define BATCHFS_VIEW_ESTIMATE_H

#include "backend/snapshot.h"

/*
 * What building these takes, from the last builds: for each model those of the batches that would be built
 * again, else all of its builds; a model that was never built is expected to be like the others. No less than
 * the slowest model takes with as many batches side by side as it may have, than the longest chain of models
 * where each batch waits for those that it reads, and than all work shared by all jobs. -ENOMEM.
 */
struct estimate_part {
	slot model;
	const struct report_summary *summary; /* of this model alone */
};
int estimate(const struct snapshot *v, const struct estimate_part *parts, size_t n,
	     struct report_estimate *out);

#endif
