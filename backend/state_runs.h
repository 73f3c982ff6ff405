/* SPDX-License-Identifier: Apache-2.0 */
/* The states of neighbouring batches, as runs of equal ones: what a model's pictures are made of. Pure; one
 * thread at a time. */
#ifndef BATCHFS_STATE_RUNS_H
#define BATCHFS_STATE_RUNS_H

#include <stdint.h>

#include "backend/batch_state.h"
#include "backend/calendar.h"

struct state_run {
	ordinal end; /* it begins where the one before it ends */
	enum batch_state state;
};

/* All zero: there is no batch. */
struct state_runs {
	ordinal first;
	struct state_run *list; /* owned */
	size_t n, size;
	bool broken; /* there was no memory for one */
};

/* Adds the next batch; the first one may be any. */
void state_runs_add(struct state_runs *r, ordinal batch, enum batch_state state);
void state_runs_fini(struct state_runs *r);

#endif
