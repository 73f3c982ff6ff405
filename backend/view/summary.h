/* SPDX-License-Identifier: Apache-2.0 */
/* Counts over batches, and what would be built of them. Everything here with the snapshot's lock. */
#ifndef BATCHFS_VIEW_SUMMARY_H
#define BATCHFS_VIEW_SUMMARY_H

#include "backend/snapshot.h"

/*
 * Counts a part. run: what would be built is what bringing the model up to date builds, by itself; else all
 * of it. kept, which takes in the part's batches, gets all but its summary; NULL: nothing is kept. Of
 * a model that cannot be built here nothing would be.
 */
void summary_count(const struct snapshot *v, const struct backend_part *p, bool run, int64_t now,
		   struct report_summary *s, struct report_kept *kept);

/* The model's counts, anew where something has changed. NULL: no memory. */
const struct report_kept *summary_kept(const struct snapshot *v, slot model, int64_t now);

/* Without the lock. Counts every model where something has changed, a model at a time: somebody else may have
 * the lock between. */
void summary_count_ahead(const struct snapshot *v, int64_t now);

/* Whether the part is all of its model. */
bool summary_is_whole(const struct snapshot *v, const struct backend_part *p, int64_t now);

/* The part's frozen batches, in the order of the parts. */
void summary_add_frozen(const struct snapshot *v, const struct backend_part *p, struct report_frozen *out);

/*
 * Of several models, or of one, brought up to date together: their counts, and in what would be built also
 * what would be stale otherwise. -ENOMEM.
 */
int summary_run(const struct snapshot *v, const slot *models, size_t n, int64_t now,
		struct report_summary *out);

/* Several parts that are built as a whole, each counted in its own summary: into one. -ENOMEM. */
int summary_join(const struct snapshot *v, const struct backend_part *parts,
		 const struct report_summary *summaries, size_t n, struct report_summary *out);

#endif
