/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer's own store and worker stand in front of the engine's. Only open() has no
 * object to find its engine by: each wrapped engine has an open function of its own.
 */
#ifndef BATCHFS_TESTS_FAULT_PRIVATE_H
#define BATCHFS_TESTS_FAULT_PRIVATE_H

#include <pthread.h>

#include "tests/fault/fault.h"
#include "tests/fault/rules.h"

struct store {
	const struct engine *engine;
	struct store *inner;
	const struct log *log;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct fault_rules rules; /* lock */
	bool abandoned;		  /* lock */
};

struct worker {
	struct store *store;
	struct worker *inner;
	bool busy, stop; /* store->lock */
};

/*
 * Reads the rules again, waits as they say, then takes the failure that comes before the call:
 * 0: make the call; -errno: do not. w: whose interrupt() ends the wait; NULL: nobody's.
 */
int fault_before(struct store *s, struct worker *w, enum fault_op op, struct error *err);

/* Only the waiting, or only the failure. */
int fault_wait(struct store *s, struct worker *w, enum fault_op op, struct error *err);
int fault_fail(struct store *s, enum fault_op op, struct error *err);

/* r is the engine's answer; its loss, if the rules say so. */
int fault_after(struct store *s, enum fault_op op, int r, struct error *err);

extern const struct builder_ops fault_builder;

#endif
