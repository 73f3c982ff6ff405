/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was refused of late: of each user and file the newest. A file's document shows what was refused of the
 * file itself and of what lies in it, never what was refused of a directory or a range that it lies in.
 * Bounded a user, so that nobody pushes another user's refusal away: of a user who has been refused more, the
 * oldest is forgotten. Memory only, and not locked: the owner (the backend) serialises.
 */
#ifndef BATCHFS_REFUSALS_H
#define BATCHFS_REFUSALS_H

#include <sys/queue.h>
#include <sys/types.h>

#include "backend/backend.h"
#include "backend/report/report.h"

#define REFUSALS_A_USER 32
#define REFUSALS_KEPT	1024 /* of all users; beyond it the user with the most loses the oldest one */

struct refusal;
struct refused_batch;
TAILQ_HEAD(refusal_list, refusal);

struct refusals {
	struct refusal_list list; /* the newest first */
	struct refused_batch *batches;
	unsigned n;
};

void refusals_init(struct refusals *t);
void refusals_fini(struct refusals *t);

/* Copies everything. Without memory nothing is kept. */
void refusals_add(struct refusals *t, const struct backend_file *file, uid_t uid,
		  const struct report_refusal *what);

/*
 * The newest of each, valid until the next refusals_add(); NULL: none. In a directory's a look-up does not
 * stand in front of another user's request.
 */
const struct report_refusal *refusals_of_root(const struct refusals *t);
const struct report_refusal *refusals_of_model(const struct refusals *t, slot model);
const struct report_refusal *refusals_of_full_refresh(const struct refusals *t, slot model);
const struct report_refusal *refusals_of_range(const struct refusals *t, slot model,
					       struct ordinal_range batches);
const struct report_refusal *refusals_of_batch(const struct refusals *t, slot model, ordinal batch);
/* name NULL: all that is in it; but nothing of its models. */
const struct report_refusal *refusals_of_selection(const struct refusals *t, const char *selection,
						   const char *name);

/* Of two the newer one; NULL is fine. */
const struct report_refusal *refusals_newer(const struct report_refusal *a, const struct report_refusal *b);

#endif
