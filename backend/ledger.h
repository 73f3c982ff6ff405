/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of every batch, in memory: what the store has recorded, plus what
 * this mount knows first (what it has claimed, which of that has begun).
 * Nothing here waits, reads a file or talks to a warehouse.
 *
 * seq, wanted, served: who asked first, and what is answered
 *
 * Nobody writes a running batch's row but its own transaction, so a request cannot be marked as answered
 * batch by batch. Three numbers say the same.
 *
 *   seq     Every request of a model (a build, a cancel) gets the next number when it is recorded, in the
 * order of the commits. It never changes. wanted  Of a batch: the highest seq of a build that this mount
 * knows to want it. 0: none does. served  Of a batch: every request with a seq up to this is answered for it.
 * A claim sets it to the model's seq of that moment, because what is built from then on is what all of those
 * asked for. A skip sets it to the batch's wanted, a cancel to the cancel's own seq.
 *
 * A batch is queued when some build has a seq above its served. For example, hours 0 to 9 of a model:
 *
 *   touch of 0--10 is recorded: seq 1     all ten: wanted 1, served 0, queued
 *   a worker claims hour 3                hour 3: served 1, running; the other nine are queued
 *   touch of 3--5 is recorded: seq 2      hour 3: wanted 2, served 1: running, and queued once more
 *                                         hour 4: wanted 2, served 0: queued, one build answers both touches
 *   hour 3 is done                        it is still queued: seq 2 was asked for after its claim
 *   rm of 0--10 is recorded: seq 3        all ten: served 3, nothing is queued
 *   touch of 4 is recorded: seq 4         hour 4: wanted 4, served 3, queued
 *
 * So whatever order mounts hear of this in, they agree: what is reported twice, or late, is compared with
 * served. A build that another mount finishes carries its served; requests above it stay open. A request is
 * closed (retired) when served has passed its seq for all of its batches.
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
 * Another manifest: the model has another begin, or other SQL. What is known stays, also before a begin that
 * has moved on. Whether a request was made for other SQL than the model's is found out anew. -ENOMEM: the
 * ledger is as before.
 */
int ledger_adapt(struct ledger *l, slot model, const struct model *facts);

/*
 * What the store reports. -ENOMEM is the only failure: the ledger is as before.
 * Reporting the same thing twice changes nothing.
 */
int ledger_put_request(struct ledger *l, const struct store_request_row *r);
int ledger_put_state(struct ledger *l, const struct store_state *s);
/* Every request up to the seq `served` is answered for the batch by that attempt; one that is not known here
 * yet may be in doubt, and is reported with its state. */
void ledger_answered(struct ledger *l, slot model, ordinal batch, uint32_t attempt, int64_t served);
/* All outcomes of the model's batches are void. What is queued, claimed or running stays so. */
void ledger_forget(struct ledger *l, slot model);

/* The table has gone: what was built is in it no more. What failed or was skipped stays so. */
void ledger_forget_built(struct ledger *l, slot model);

/*
 * Whether somebody has looked at the table since it is this one. Until then what is neither queued nor
 * running, nor has failed or was skipped meanwhile, is BATCH_UNKNOWN. What is enlisted counts as looked at.
 */
void ledger_set_looked(struct ledger *l, slot model, bool looked);
bool ledger_looked(const struct ledger *l, slot model);

/* Whether an outcome of any of its batches was ever reported. */
bool ledger_remembers(const struct ledger *l, slot model);

/*
 * What is recorded may have been lost: another life of the server, or another warehouse. Between the two
 * everything is reported again, requests first; a request's id and seq are those of the new life. With the
 * second all that was not reported is void, but for what `ours` says that this mount runs or has claimed.
 */
void ledger_restart(struct ledger *l);
void ledger_restarted(struct ledger *l, bool (*ours)(void *ctx, slot model, ordinal batch), void *ctx);

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

/* The full refresh of a model: what is under way, and how the last one ended (refresh.h). Strings live as
 * long as the ledger is not changed. */
struct ledger_refresh {
	int64_t id; /* of its request; 0: there never was one */
	enum refresh_phase phase;
	struct ordinal_range batches;
	int64_t since, build_at;
	const struct requester *by; /* NULL: there never was one */
	int64_t rows_outside, rows_without_event_time;
	int64_t done;	/* built beside the table */
	int64_t failed; /* the last one ended because this many could not be built beside the table */
	bool beside;	/* something of it may stand beside the table, which is of no use when it is over */
	enum refresh_result result;
	int64_t finished_at;
	const char *error;
};
int ledger_put_refresh(struct ledger *l, const struct store_refresh *r);
const struct ledger_refresh *ledger_refresh(const struct ledger *l, slot model);
/* A step of the clear phase was recorded here: the counts so far. */
void ledger_refresh_cleared(struct ledger *l, slot model, int64_t rows_outside,
			    int64_t rows_without_event_time);

/* In the phase FIRST: the batch that the table is made anew with, and what has become of it for the refresh.
 */
ordinal ledger_refresh_first(const struct ledger *l, slot model);
enum refresh_first {
	FIRST_OPEN, /* it is queued or running */
	FIRST_BUILT,
	FIRST_WRONG, /* it has failed, or was skipped */
	FIRST_LEFT,  /* nobody builds it for the refresh any more: that was cancelled */
};
enum refresh_first ledger_refresh_made(const struct ledger *l, slot model);
/* Its table was made anew: nothing but that batch is built, and nothing has failed. */
void ledger_refresh_anew(struct ledger *l, slot model);
/* Its request is closed: what it has queued shows its former state, unless others have asked for it, too. */
void ledger_refresh_close(struct ledger *l, slot model);

/* A step beside the table was recorded here: so many batches are built there. */
void ledger_refresh_beside(struct ledger *l, slot model, int64_t done);

/* In the build phase (and FIRST): the first batch from `from` on that is still to be built for it, or the end
 * of its range. What is asked for anew after it was built for the refresh is not waited for. */
ordinal ledger_refresh_next(const struct ledger *l, slot model, ordinal from);

/* Batches of it that were built since the build phase began, and that failed or were skipped last. */
struct refresh_count {
	size_t batches, done, failed;
	ordinal first_failed, first_left; /* neither built nor failed; the end of its range: there is none */
};
struct refresh_count ledger_refresh_count(const struct ledger *l, slot model);

/* Whether the batch is queued or running for the refresh and for nobody else who is known to wait for it. */
bool ledger_refresh_alone(const struct ledger *l, slot model, ordinal batch);

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
 * Queued batches were skipped, or failed without being built, or a batch was cancelled, or several that were
 * queued: every request up to o->wanted is answered for them.
 */
int ledger_skipped(struct ledger *l, const struct store_outcome *o);
void ledger_cancelled(struct ledger *l, const struct store_outcome *o);

/*
 * A cancel with this seq takes what waits in the range out of the queue: what was asked for before it, and
 * what was put back. INT64_MAX: everything that is known. What runs is not ended by that.
 */
void ledger_withdraw(struct ledger *l, slot model, struct ordinal_range batches, int64_t seq);

/* Whether it was skipped, or failed without being built, in a range that was recorded as one. */
bool ledger_in_answer(const struct ledger *l, slot model, ordinal batch);

/* A range was answered without being built, here or by another mount. What runs of it is left alone. -ENOMEM.
 */
int ledger_put_answer(struct ledger *l, const struct store_answer *a);

/*
 * Hands over the ids of answers that no batch shows any more, at most n; returns how many. Each is handed
 * over once, unless it is given back.
 */
size_t ledger_take_unseen(struct ledger *l, int64_t *ids, size_t n);
void ledger_untake_unseen(struct ledger *l, const int64_t *ids, size_t n);

/* Closed requests that nothing names are remembered up to a bound: after what was reported is complete. */
void ledger_forget_closed(struct ledger *l);

/*
 * Counts failures of a request that are equal, one after the other: that have the same key (at most 16 bytes
 * count). weight: as how many this one counts. A done batch (key NULL) begins anew. Returns the count.
 */
unsigned ledger_equal_failures(struct ledger *l, int64_t request, const char *key, unsigned weight);
unsigned ledger_failures(const struct ledger *l, int64_t request); /* the count as it is */

/* Calls fn for what the request still waits for. */
void ledger_remaining(const struct ledger *l, int64_t request,
		      void (*fn)(void *ctx, slot model, struct ordinal_range batches), void *ctx);

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

/* Whether it was last built with other SQL than the model has now. What was adopted: nobody knows. */
bool ledger_changed(const struct ledger *l, slot model, ordinal batch);

/* Whether its rows were there before batchfs was: when it was built nobody knows. */
bool ledger_adopted(const struct ledger *l, slot model, ordinal batch);

/* The first batch of the range whose last successful build ended after that moment, or range.end. */
ordinal ledger_next_built(const struct ledger *l, slot model, struct ordinal_range range, int64_t after);

/* [begin, end): all batches of which a state or a request is recorded, and a few that may follow them. */
struct ordinal_range ledger_recorded(const struct ledger *l, slot model);

/* Whether it is queued and this mount has not claimed it and nobody runs it; *request and *wanted as for a
 * claim. */
bool ledger_waits(const struct ledger *l, slot model, ordinal batch, int64_t *request, int64_t *wanted);

/* Neighbours that wait, alike in all that an outcome says of them. */
struct ledger_waiting {
	struct ordinal_range batches; /* empty: none waits any more */
	int64_t request, wanted;      /* as for a claim */
	const struct requester *by;   /* who made the request; NULL: not known */
	uint32_t attempt;	      /* the number of their last one; 0: there was none */
	bool put_back;		      /* a single batch, which was claimed before */
};
/* The next ones of the range; hopeful: without those that are marked. */
struct ledger_waiting ledger_next_waiting(const struct ledger *l, slot model, struct ordinal_range range,
					  bool hopeful);

/* Marks what waits as to be skipped, so that it is skipped once, however many it reads have failed, until the
 * outcome has been recorded, or refused. */
void ledger_mark_skipping(struct ledger *l, slot model, struct ordinal_range batches, bool on);

/*
 * Whether what waits would be built with other SQL than this mount has (struct store_request_row says whose).
 * *at: when that was asked for.
 */
bool ledger_waits_for_other_code(const struct ledger *l, slot model, ordinal batch, int64_t *at);

/* Cheaply, whether anything of the model may wait for other SQL: false is certain. */
bool ledger_may_wait_for_other_code(const struct ledger *l, slot model);

/* When the request was made, us; 0: it is not known. */
int64_t ledger_asked_at(const struct ledger *l, int64_t request);

/* The highest seq of a request that waits for the batch; 0: none does. */
int64_t ledger_newest_wanting(const struct ledger *l, slot model, ordinal batch);

/* The first batch of the range that is queued or running, or range.end. */
ordinal ledger_next_unsettled(const struct ledger *l, slot model, struct ordinal_range range);
/* The first one that is neither, or range.end. */
ordinal ledger_next_settled(const struct ledger *l, slot model, struct ordinal_range range);
/* The first one that failed or was skipped, and is not asked for again, or range.end. */
ordinal ledger_next_wrong(const struct ledger *l, slot model, struct ordinal_range range);
/* Whether nothing of the model is queued or running. */
bool ledger_all_settled(const struct ledger *l, slot model);

/*
 * What a claim would take next: up to `most` neighbouring queued batches, the oldest first, none of them for
 * other SQL. count 0: none.
 */
struct ledger_run {
	ordinal first;
	uint32_t count;
	int64_t request, wanted; /* as store_claim has them; the same for all of the run */
};
/* The batch, if it may start; else a later one, before which none may: UINT32_MAX: none at all. */
typedef ordinal ledger_ready_fn(const void *ctx, slot model, ordinal batch);
/* Requests of the model take turns; within one the oldest that is ready comes first. */
struct ledger_run ledger_next_run(struct ledger *l, slot model, uint32_t most, ledger_ready_fn *ready,
				  const void *ctx);

size_t ledger_queued(const struct ledger *l,
		     slot model); /* not claimed yet, running ones that are asked for again included */
size_t ledger_running(const struct ledger *l, slot model); /* claimed or running, on any mount */

/* Requests for builds, of all models, of which something is left to build. */
size_t ledger_open(const struct ledger *l);

/*
 * Hands over the ids of requests that have nothing left to build, at most n; returns how
 * many. Each is handed over once.
 */
size_t ledger_take_finished(struct ledger *l, int64_t *ids, size_t n);
/* They could not be retired: they are handed over again. */
void ledger_untake_finished(struct ledger *l, const int64_t *ids, size_t n);

/* Averages over the last builds of the model that are known: duration in us, rows inserted; -1: none yet. */
int64_t ledger_average_us(const struct ledger *l, slot model);
int64_t ledger_average_rows(const struct ledger *l, slot model);

#endif
