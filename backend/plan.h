/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which batches come next, and why. Pure: reads models and ledger, changes only
 * its own turn marker. The caller holds the ledger's lock.
 */
#ifndef BATCHFS_PLAN_H
#define BATCHFS_PLAN_H

#include "backend/batch_set.h"
#include "backend/ledger.h"
#include "backend/models.h"

/* What decides about a model apart from the ledger. */
struct plan_gate {
	bool open;	 /* prepared, not being adopted, not backing off */
	bool unprepared; /* its target must be prepared first, with nothing of it in flight here */
	bool busy;	 /* something of it is in flight here */
	bool missing;	 /* its target does not exist yet */
	/* How long a run of it may take (us), as far as that is known; 0: as short as makes a claim cheap. */
	int64_t run_us;
	uint32_t run_most; /* so many batches a run, however long they take; 0: as run_us says */
};

/* Whether batches of the model must run one at a time, oldest first. */
bool plan_serial(const struct model *m);

/*
 * The next run for one idle worker: models take turns (*turn is where the last one ended), within a
 * model the oldest comes first. `jobs`: how many workers share the work. count 0: nothing can start now.
 * A model that reads a missing target waits for whatever is queued or running of the model that makes it:
 * even a batch before that one's `begin` cannot be read without the table.
 */
struct plan_next {
	slot model;
	bool prepare; /* no run: the model is to be prepared */
	struct ledger_run run;
};
/*
 * A batch may start when it is not frozen, not before the model's begin, and no batch whose window it reads
 * is queued or running; of a model that reads itself, when no older batch of it is.
 */
bool plan_ready(const struct ledger *l, const struct models *ms, slot model, ordinal batch);

/* The batches of `read` that this batch of `model` reads. all: it reads without a time filter, so all of
 * them. */
struct ordinal_range plan_reads(const struct ledger *l, const struct models *ms, slot model, ordinal batch,
				const struct model_read *read);

/* Calls fn for the batches that read one of these directly. Of a model that reads itself: the later ones
 * too. */
typedef void plan_reader_fn(void *ctx, slot model, struct ordinal_range batches, bool windowed);
void plan_readers(const struct ledger *l, const struct models *ms, slot model, struct ordinal_range batches,
		  plan_reader_fn *fn, void *ctx);

/*
 * Calls fn for every batch that this one reads through a time filter and that was built after this one had
 * begun. fn NULL: only the answer is wanted. Whether there is one: then a done batch is stale.
 */
typedef void plan_cause_fn(void *ctx, slot model, ordinal batch);
bool plan_stale(const struct ledger *l, const struct models *ms, slot model, ordinal batch, plan_cause_fn *fn,
		void *ctx);

/* The batch's state with everything that other models make of it. */
enum batch_state plan_state(const struct ledger *l, const struct models *ms, slot model, ordinal batch);

/* Whether the batch, which is in this state, is one of the set: 1u << state, SET_CHANGED; 0: every batch is.
 */
bool plan_in_set(const struct ledger *l, slot model, ordinal batch, enum batch_state state, unsigned set);
/* The same, of who does not need the state itself. */
bool plan_is_in_set(const struct ledger *l, const struct models *ms, slot model, ordinal batch, unsigned set);

struct plan_next plan_next(struct ledger *l, const struct models *ms, const struct plan_gate *gates,
			   unsigned jobs, size_t *turn);

/* Batches that exist: from the one that holds begin to the one that holds now. Empty where begin lies ahead.
 */
struct ordinal_range plan_existing(const struct model *m, int64_t now);

/* Why `bringing the model up to date` builds a batch in this state; NULL: it does not. newest: the last
 * existing batch. */
const char *plan_run_reason(const struct model *m, enum batch_state state, ordinal batch, ordinal newest);

/* The batches of the range that it builds of this model by itself. *frozen counts up those that it would,
 * were they not frozen. *out holds nothing; -ENOMEM. */
int plan_run_part(const struct ledger *l, const struct models *ms, slot model, struct ordinal_range batches,
		  int64_t now, struct batch_set *out, size_t *frozen);

/*
 * Adds what would be stale once that is built: what is done and reads, through a time filter, a batch that is
 * built with it, or one that is queued or running, whoever asked. So nothing in it is stale when all has
 * succeeded. sets: by slot, of each model that is brought up to date; NULL: it is not.
 */
void plan_run_spread(const struct ledger *l, const struct models *ms, struct batch_set *const *sets);

#endif
