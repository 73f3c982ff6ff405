/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits until something of the backend is over: a list of a kind, each member once. */
#ifndef BATCHFS_SCHEDULE_WAITERS_H
#define BATCHFS_SCHEDULE_WAITERS_H

#include <stdbool.h>
#include <sys/queue.h>

struct backend;

/* The first member of what a kind knows of one who waits. Protected by the lock while it is in a list. */
struct waiter {
	STAILQ_ENTRY(waiter) link;
	void (*done)(void *ctx, int result);
	void *ctx;
	int result; /* once all is over */
};
STAILQ_HEAD(waiters, waiter);

/* With the lock: whether all that it waits for is over. */
typedef bool waiter_over_fn(const struct backend *b, struct waiter *w);

/* Without the lock: calls done(), with err where that is not 0, and frees it. */
typedef void waiter_answer_fn(struct backend *b, struct waiter *w, int err);

/* With the result, of one that is freed by free(). */
waiter_answer_fn waiter_answer;

/* Without the lock: answers those for whom all is over; err != 0: everybody. */
void waiters_answer(struct backend *b, struct waiters *list, int err, waiter_over_fn *over,
		    waiter_answer_fn *answer);

#endif
