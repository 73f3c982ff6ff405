/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full refresh with meta.batchfs.refresh: atomic. All batches are built into a table beside the target, one
 * after the other, and then that takes its place. One mount does it, on a lane of its own, a step at a time;
 * each step is a transaction (but for filling materialized views) that first locks the row of batchfs.beside
 * and last counts into that of the refresh. So whoever comes after a crash goes on where it was, nothing is
 * built twice, and nothing stays of what was cancelled.
 *
 * Batches go one by one and not side by side: one writer of the table beside needs neither claims nor fences
 * for each batch, does not take the workers from those who wait for the table itself, and leaves
 * the path of ordinary batches alone.
 */
#ifndef BATCHFS_POSTGRES_ATOMIC_H
#define BATCHFS_POSTGRES_ATOMIC_H

#include "backend/postgres/batch.h"
#include "backend/postgres/beside.h"
#include "backend/refresh.h"

struct atomic {
	struct worker *w;
	struct pg_model *m;
	struct pg_shape *shape; /* of the target */
	struct beside_step *step;
	struct beside beside;
	/* What batchfs.beside and the refresh say. */
	bool mirrored;	       /* the materialized views beside were filled since it was built into last */
	uint32_t target, made; /* oids; 0: not made yet */
	int64_t newest;	       /* us: start of the last batch of the refresh that is there */
};

#define NEWEST_NONE INT64_MIN

int pg_beside(struct worker *w, struct beside_step *step, struct error *err); /* builder.h */

/* The first two parameters of all that atomic.sql has. */
void atomic_params(const struct atomic *a, struct pg_params *params);
int atomic_end(struct atomic *a, int r);    /* rolls back what is open */
int atomic_later(int r, struct error *err); /* -EBUSY for a failure, with its words */

/* atomic_make.c, in the step's transaction: the table beside, empty but for what lies before `begin`.
 * Commits. */
int atomic_make(struct atomic *a, struct error *err);

/* atomic_build.c, the same: one batch. -EAGAIN: it failed for a reason that may pass. */
int atomic_build(struct atomic *a, ordinal batch, struct error *err);
/* *found: something was still to be built, and *batch is it. */
int atomic_next(struct atomic *a, bool *found, ordinal *batch, struct error *err);

/* atomic_exchange.c. Materialized views, then the exchange, in transactions of their own. */
int atomic_mirror(struct atomic *a, struct error *err);
int atomic_exchange(struct atomic *a, struct error *err);

#endif
