/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of every batch, in memory: what the store has recorded, plus what
 * this mount knows first (what it has claimed, which of that has begun).
 * Nothing here waits, reads a file or talks to a warehouse.
 *
 * Not locked: the owner (backend) serialises every call with its one mutex.
 */
#ifndef BATCHFS_LEDGER_H
#define BATCHFS_LEDGER_H

#include "backend/batch_state.h"
#include "backend/store.h"

/* Who asked: shared by all batches that a request named. */
struct requester {
	uint32_t uid;
	const char *command; /* "" unknown */
	const char *reason;  /* NULL: none */
};

/* Everything about one batch. Strings live as long as the ledger is not changed: use them under its lock. */
struct batch_info {
	enum batch_state state;
	uint32_t attempt;
	int64_t started, finished; /* us, of what runs, else of the last outcome; 0: none */
	int64_t rows_deleted, rows_inserted, rows_outside; /* of the last outcome; -1: not known */
	bool adopted;
	int64_t built;			/* finished of the last successful build or adoption; 0: none */
	bool requested_again;		/* running, and queued once more */
	const struct requester *frozen; /* who froze it; NULL: it is not frozen */
	int64_t frozen_at;
	const struct requester *by;	/* NULL: nobody known */
	const char *code;		/* built with; "" not known */
	const char *sqlstate, *message; /* of a failure; "" */
};

struct ledger;

struct ledger *ledger_new(void);    /* NULL: no memory */
void ledger_free(struct ledger *l); /* NULL is fine */

/*
 * What the batches of a slot are. Slots come in order: `model` is the next one, or the last one once more,
 * which begins anew. Everything below is only for slots that are enlisted. -ENOMEM: the ledger is as before.
 */
int ledger_enlist(struct ledger *l, slot model, const struct model *facts);

/*
 * What the store reports. -ENOMEM is the only failure: the ledger is as before.
 * Reporting the same thing twice changes nothing.
 */
int ledger_put_request(struct ledger *l, const struct store_request_row *r);
int ledger_put_state(struct ledger *l, const struct store_state *s);
/* Every request up to the seq `served` is answered for the batch by that attempt; one that is not known here
 * yet may be in doubt, and is reported with its state. */
void ledger_answered(struct ledger *l, slot model, ordinal batch, uint32_t attempt, int64_t served);
void ledger_forget(struct ledger *l, slot model); /* all states of the model; its requests stay */

/*
 * What is frozen. -ENOMEM: as before. What is frozen already keeps who did it and when; a thaw
 * cuts what it meets. put_freezes(): all that is frozen, and whether the model is protected, as the store
 * has it.
 */
int ledger_put_freezes(struct ledger *l, slot model, const struct store_freeze *list, size_t n);
int ledger_freeze(struct ledger *l, slot model, const struct store_freeze *f);
int ledger_thaw(struct ledger *l, slot model, struct ordinal_range batches);
void ledger_unprotect(struct ledger *l, slot model);

/* Who froze the batch, or protected the model, and when (at may be NULL); NULL: nobody has. */
const struct requester *ledger_frozen(const struct ledger *l, slot model, ordinal batch, int64_t *at);
const struct requester *ledger_protected(const struct ledger *l, slot model, int64_t *at);

/* The first frozen stretch of the range, as far as it lies inside; {end, end}: none. */
struct ordinal_range ledger_next_frozen(const struct ledger *l, slot model, struct ordinal_range range);

/* What this mount does. A claimed batch shows as queued until it has begun. */
void ledger_claimed(struct ledger *l, slot model, ordinal batch, uint32_t attempt, int64_t served,
		    int64_t request);
void ledger_started(struct ledger *l, slot model, ordinal batch, int64_t started);
/* What this mount has claimed has come to an end: as put_state, but asked for by who the claim was for. */
int ledger_settled(struct ledger *l, const struct store_state *s);
void ledger_requeued(struct ledger *l, slot model, ordinal batch);
/* The claim was lost to another attempt: what is known of the batch comes from the store. */
void ledger_released(struct ledger *l, slot model, ordinal batch);

/*
 * A queued batch was skipped, or a batch was cancelled: every request up to o->wanted is answered for it.
 */
int ledger_skipped(struct ledger *l, const struct store_outcome *o);
void ledger_cancelled(struct ledger *l, const struct store_outcome *o);

/*
 * Counts failures with the same SQLSTATE in a request, one after the other; a done batch (sqlstate NULL)
 * begins anew. Returns the count.
 */
unsigned ledger_equal_failures(struct ledger *l, int64_t request, const char *sqlstate);
unsigned ledger_failures(const struct ledger *l, int64_t request); /* the count as it is */

/* Calls fn for what the request still waits for. */
void ledger_remaining(const struct ledger *l, int64_t request,
		      void (*fn)(void *ctx, slot model, ordinal batch), void *ctx);

/* Gives a request its reason. */
void ledger_set_reason(struct ledger *l, int64_t request, const char *reason);

/* The batch must lie at or after the model's begin. */
void ledger_info(const struct ledger *l, slot model, ordinal batch, struct batch_info *out);
enum batch_state ledger_state(const struct ledger *l, slot model, ordinal batch);

/* What a listing needs, cheaply. text: bytes that the batch's document holds beyond its fixed part. */
enum batch_state ledger_glance(const struct ledger *l, slot model, ordinal batch, uint32_t *attempt,
			       int64_t *built, size_t *text);

/* Cheaply, for the comparison of two builds: when the last successful one ended (0: never) and, where it is
 * the last outcome, began (else 0). */
void ledger_build_times(const struct ledger *l, slot model, ordinal batch, int64_t *started,
			int64_t *finished);

/* Whether its rows were there before batchfs was: when it was built nobody knows. */
bool ledger_adopted(const struct ledger *l, slot model, ordinal batch);

/* The end of the latest successful build of the model, at least; 0: none. */
int64_t ledger_latest_build(const struct ledger *l, slot model);

/* All batches of which something is known: [begin, end). */
struct ordinal_range ledger_known(const struct ledger *l, slot model);

/* Whether it is queued and this mount has not claimed it and nobody runs it; *request and *wanted as for a
 * claim. */
bool ledger_waits(const struct ledger *l, slot model, ordinal batch, int64_t *request, int64_t *wanted);

/*
 * Marks what waits as to be skipped, so that it is skipped once, however many it reads have failed. False:
 * it is marked already. ledger_left() when the outcome has been recorded, or refused.
 */
bool ledger_leave(struct ledger *l, slot model, ordinal batch);
void ledger_left(struct ledger *l, slot model, ordinal batch);

/*
 * Whether what waits would be built with other SQL than this mount has (struct store_request_row says whose).
 * *at: when that was asked for.
 */
bool ledger_waits_for_other_code(const struct ledger *l, slot model, ordinal batch, int64_t *at);

/* When the request was made, us; 0: it is not known. */
int64_t ledger_asked_at(const struct ledger *l, int64_t request);

/* The highest seq of a request that waits for the batch; 0: none does. */
void ledger_newest_wish(const struct ledger *l, slot model, ordinal batch, int64_t *wanted);

/* The first batch of the range that is queued or running, or range.end. */
ordinal ledger_next_unsettled(const struct ledger *l, slot model, struct ordinal_range range);

/*
 * What a claim would take next: up to `most` neighbouring queued batches, the oldest first, none of them for
 * other SQL. count 0: none.
 */
struct ledger_run {
	ordinal first;
	uint32_t count;
	int64_t request, wanted; /* as store_claim has them; the same for all of the run */
};
typedef bool ledger_ready_fn(const void *ctx, slot model, ordinal batch);
/* Requests of the model take turns; within one the oldest that is ready comes first. */
struct ledger_run ledger_next_run(struct ledger *l, slot model, uint32_t most, ledger_ready_fn *ready,
				  const void *ctx);

size_t ledger_queued(const struct ledger *l,
		     slot model); /* not claimed yet, running ones that are asked for again included */
size_t ledger_running(const struct ledger *l, slot model); /* claimed or running, on any mount */

/*
 * Hands over the ids of requests that have nothing left to build, at most n; returns how
 * many. Each is handed over once.
 */
size_t ledger_take_finished(struct ledger *l, int64_t *ids, size_t n);
/* They could not be retired: they are handed over again. */
void ledger_untake_finished(struct ledger *l, const int64_t *ids, size_t n);

/* Average duration in us of the last builds of the model; -1: none yet. */
int64_t ledger_average_us(const struct ledger *l, slot model);

#endif
