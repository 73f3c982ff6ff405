/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batches of a model with hooks: each alone (plan.h builds them one at a time), and by steps. A request's
 * pre-hooks run with the first of its batches that is built, its post-hooks with the last one; the table
 * batchfs.hook says which have run, so that neither another mount, nor a batch that is tried again, nor one
 * that is taken over from a mount that was killed runs them again.
 *
 *   pre-hooks outside     marked, then run, before the batch begins
 *   BEGIN, fence, mark, pre-hooks, DELETE, INSERT, mark, post-hooks, end, COMMIT
 *   post-hooks outside    where there are any, the rows are committed and the batch is still running: marked,
 * then run; then its state is committed. If one fails the batch fails, with its rows in place.
 *
 * A hook inside of the transaction is carried out with its mark or not at all. One outside is marked before
 * it runs: of a daemon that is killed in the middle of it nobody knows how far it came, and it is not run
 * again.
 */
#ifndef BATCHFS_POSTGRES_HOOKS_H
#define BATCHFS_POSTGRES_HOOKS_H

#include "backend/postgres/batch.h"

/* With a session for the model, nothing of the batch being sent. Fills x->report and, of a failure, x->err.
 */
enum build_outcome hooks_build(struct batch *x, const struct build_run *run);

#endif
