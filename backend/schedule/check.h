/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the targets still are the tables that their states are of. Others drop and exchange them, and the
 * store notices that within two seconds; whoever decides or answers by states waits for a look that began
 * after he came, which costs the warehouse one small query for all who wait at that moment.
 */
#ifndef BATCHFS_SCHEDULE_CHECK_H
#define BATCHFS_SCHEDULE_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct backend;
struct check_wait;
struct error;

/* Protected by the lock. */
struct checks {
	uint64_t asked, over; /* by number */
	STAILQ_HEAD(, check_wait) waits;
};

void checks_init(struct backend *b);
/* With the lock: the number of a check that has not begun. */
uint64_t check_ask(struct backend *b);
/* With the lock. It was made, or could not be: then nothing that needs the warehouse can be done, either. */
bool check_over(const struct backend *b, uint64_t number);
/* With the lock. */
bool check_is_due(const struct backend *b);
/* The control thread, without the lock: makes the check that is due, if one is. */
int check_run(struct backend *b, struct error *err);
/* Without the lock: there is no warehouse to be asked, or nobody to ask it any more. */
void check_give_up(struct backend *b);

#endif
