/* SPDX-License-Identifier: Apache-2.0 */
/* Which lanes a backend has, and what each of them does. */
#ifndef BATCHFS_SCHEDULE_LANES_H
#define BATCHFS_SCHEDULE_LANES_H

#include <pthread.h>

struct backend;

/* Apart from each other: what must not wait for a table to be read is in another lane. */
enum lane_kind {
	LANE_LOOK,
	LANE_HISTORY,
	LANE_CLEAR,  /* of full refreshes */
	LANE_BESIDE, /* builds beside tables, and exchanges them */
	LANE_VALIDATION,
	LANE_KINDS
};

void lanes_init(struct backend *b, const pthread_condattr_t *monotonic);
void lanes_fini(struct backend *b);

/* With the lock. */
void lanes_wake(struct backend *b);

/* Without the lock, of any thread but theirs: ends what their workers do. */
void lanes_interrupt(struct backend *b);

/* Their threads have been started, and end. */
void lanes_join(struct backend *b);

#endif
