/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_TAKE_BACK_H
#define BATCHFS_SCHEDULE_TAKE_BACK_H

#include "backend/backend.h"

struct job_worker;

/* build_run.wanted, of a job_worker, without the lock: it is not cancelled, and from now on it cannot be
 * taken back. */
bool still_wanted(void *worker, ordinal batch);
/* The others with the lock. False: the batch was taken back; true: from now on it cannot be. */
bool keep_from_taking(struct job_worker *w, ordinal batch);
/* Puts the batch of the run back into the queue, or ends it where that is meant (cancel_meant()). False: it
 * has begun, or ended. */
bool take_back(struct job_worker *w, ordinal batch);
/* The first batch of the range that has begun in one of our runs and has not ended; batches.end: none. */
ordinal first_begun(const struct backend *b, slot model, struct ordinal_range batches);
/* All of the run that lie in there; whether there were any. */
bool take_back_range(struct job_worker *w, struct ordinal_range batches);
/* What waits behind a batch that is late while another worker could build it. Returns how long until the
 * next run is late, us; INT64_MAX: none will be. */
int64_t take_back_late(struct backend *b);

#endif
