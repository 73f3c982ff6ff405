/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which batches come next, and why. Pure: reads catalog and ledger, changes only
 * its own turn marker. The caller holds the ledger's lock.
 */
#ifndef BATCHFS_PLAN_H
#define BATCHFS_PLAN_H

#include "backend/ledger.h"

/* What decides about a model apart from the ledger. */
struct plan_gate {
	bool open;	 /* prepared, not being adopted, not backing off */
	bool unprepared; /* its target must be prepared first, with nothing of it in flight */
};

/* Whether batches of the model must run one at a time, oldest first. */
bool plan_serial(const struct model *m);

/*
 * The next run for one idle worker: models take turns (*turn is where the last one ended), within a
 * model the oldest comes first. `jobs`: how many workers share the work. count 0: nothing can start now.
 */
struct plan_next {
	int model;
	bool prepare; /* no run: the model is to be prepared */
	struct ledger_run run;
};
struct plan_next plan_next(struct ledger *l, const struct catalog *c, const struct plan_gate *gates,
			   unsigned jobs, size_t *turn);

/* Batches that exist: from the one that holds begin to the one that holds now. Empty where begin lies ahead.
 */
struct ordinal_range plan_existing(const struct model *m, int64_t now);

/* Why `bringing the model up to date` builds a batch in this state; NULL: it does not. newest: the last
 * existing batch. */
const char *plan_run_reason(const struct model *m, enum batch_state state, ordinal batch, ordinal newest);

#endif
