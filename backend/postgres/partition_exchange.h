/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch that is exactly a partition, and large, is replaced by exchange (partition.h says when). All of it
 * is the batch's transaction, so that nothing is left of one that is killed:
 *
 *   BEGIN, fence, a table beside the partition with all that the partition has, INSERT, its indexes
 *   the partition is locked against writers, must be as it was when the plan was made, and its rows are
 * counted DETACH, ATTACH (a CHECK spares the scan), DROP, names, end, COMMIT: in one message, because from
 * the DETACH on readers of the target wait
 *
 * No lock is waited for longer than a moment, since readers queue behind who waits: then again, and where it
 * is not to be had the partition's rows are deleted and the new ones copied. So it is, too, where somebody
 * has granted, commented or altered anything since: the plan is of the beginning of the run, and the
 * partition goes with all that the plan does not know of. Where the table beside cannot be made or cannot
 * have what the partition has, the batch is built as any other.
 */
#ifndef BATCHFS_POSTGRES_PARTITION_EXCHANGE_H
#define BATCHFS_POSTGRES_PARTITION_EXCHANGE_H

#include "backend/postgres/batch.h"

/* Which batches of a run are built so, and by which statements. Zero: none. */
struct exchanges {
	PGresult *plan; /* SQL_PARTITION_EXCHANGES; NULL: none */
	ordinal first;	/* batch 1 of the plan */
	bool held_up;	/* somebody has kept the lock from us all along: it is tried once a batch from then on
			 */
};
void exchanges_fini(struct exchanges *e);

/* Before a run, outside of any transaction: makes the partitions that it needs (partition_make()), and asks
 * which batches are to be exchanged. */
int exchanges_ready(struct worker *w, const struct pg_model *m, const struct build_run *run,
		    const struct pg_shape *shape, struct exchanges *out, struct error *refused,
		    struct error *err);
bool exchanges_has(const struct exchanges *e, ordinal batch);

/* One of them, in a session for the model, nothing else being sent. Fills x->report and, of a failure,
 * x->err. */
enum build_outcome exchange_build(struct batch *x, const struct build_run *run, struct exchanges *e);

#endif
