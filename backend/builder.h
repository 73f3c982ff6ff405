/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A builder builds batches: their rows and their state row commit together.
 * Every worker belongs to one thread, which alone calls its functions, but for
 * interrupt. All return 0 or -errno with the sentence in *err.
 */
#ifndef BATCHFS_BUILDER_H
#define BATCHFS_BUILDER_H

#include "backend/base/strbuf.h"
#include "backend/store.h"
#include "backend/validation.h"

struct worker;

/* Neighbouring batches of one model, as claim() granted them: first .. first + count - 1. */
struct build_run {
	slot model;
	ordinal first;
	uint32_t count;
	uint32_t attempt[CLAIM_MAX]; /* 0: not ours, leave it out */
	/*
	 * What the model was when it was claimed, held by the caller. Where a reload has given it to another
	 * builder since, every batch is UNSTARTED: who settles what is built depends on the builder. NULL:
	 * what it is now.
	 */
	const struct model *facts;
	int64_t request; /* the request they are built for */
	bool anew;	 /* one batch, the first of a full refresh: the table is made anew with it */
	/*
	 * Asked, on the worker's thread, before anything of a batch is sent and again before its COMMIT is.
	 * False: it is UNSTARTED, or rolled back and INTERRUPTED. NULL: all are wanted.
	 */
	bool (*wanted)(void *wanted_ctx, ordinal batch);
	void *wanted_ctx;
};

static inline bool build_wanted(const struct build_run *run, ordinal batch)
{
	return !run->wanted || run->wanted(run->wanted_ctx, batch);
}

enum build_outcome {
	BUILD_STARTED, /* not an outcome: it is being built from now on */
	BUILD_DONE,    /* committed; the state row, too, unless the builder's `settles_done` says otherwise */
	BUILD_FAILED,  /* the model's fault: rolled back, to be settled as failed */
	BUILD_PASSING, /* rolled back for a reason that may pass (deadlock, lost connection): try again */
	BUILD_INTERRUPTED, /* rolled back because interrupt() was called, or it is not wanted any more */
	BUILD_STALE,	   /* another attempt has taken over: nothing was written, nothing is to be settled */
	BUILD_UNSTARTED,   /* not begun: not wanted, or the run ended before it */
	/*
	 * The only report that may follow DONE, and only of an engine whose `settles_done` is set: what the
	 * builder was told while it built does not agree with what it was told in the end. err: the two.
	 */
	BUILD_RETRACTED,
};

struct build_report {
	enum build_outcome outcome;
	ordinal batch;
	uint32_t attempt;
	int64_t started, finished; /* our clock */
	int64_t rows_deleted, rows_inserted, rows_outside;
	const struct error *err; /* FAILED, PASSING and RETRACTED */
	/* FAILED: for what no batch of the model can be built. UNSTARTED behind such a one: with its err. */
	bool of_all;
	/* FAILED: as how many failures it counts where equal ones are counted; 0: one. More than one where it
	 * has ended what the builder would have built with it. */
	unsigned weight;
};

typedef void build_report_fn(void *ctx, const struct build_report *r);

/* Says of the i-th batch of the run, where that is ours, that it was not begun. why: nothing of the model can
 * be; NULL: this one was left out. */
static inline void build_leave_out(const struct build_run *run, uint32_t i, const struct error *why,
				   build_report_fn *report, void *ctx)
{
	struct build_report r = {.outcome = BUILD_UNSTARTED,
				 .batch = run->first + i,
				 .attempt = run->attempt[i],
				 .rows_deleted = -1,
				 .rows_inserted = -1,
				 .rows_outside = -1,
				 .err = why,
				 .of_all = why != NULL};
	if (r.attempt)
		report(ctx, &r);
}

/* An attempt that has ended, as .history shows it. Strings are valid during the call. */
struct ended_attempt {
	slot model;
	ordinal batch;
	uint32_t attempt;
	const char *outcome; /* done, failed, cancelled, interrupted, skipped; of a look: adopted, gone */
	int64_t at;	     /* its end; our clock */
	int64_t us;	     /* how long it took; -1: it was never begun */
	int64_t rows_deleted, rows_inserted; /* -1: not known */
	int64_t uid;			     /* -1: nobody known asked for it */
	const char *command, *reason;	     /* "" where there is none */
	int64_t cancelled_uid;		     /* who cancelled it; -1: nobody known, or it was not cancelled */
	const char *cancelled_command;	     /* "" where there is none */
	const char *sqlstate, *message;	     /* "" */
};
typedef void ended_attempt_fn(void *ctx, const struct ended_attempt *a);

/* Why a target is looked at, and so what is done with that. */
enum look_kind {
	/*
	 * The target is met for the first time, or is not the table that was known. The batches whose window
	 * holds rows become done, adopted; everything else that was known of the model's batches is void.
	 */
	LOOK_FIRST,
	/*
	 * Compared with what is known: pending batches whose window holds rows become done, adopted; those
	 * that were built with rows and hold none any more become pending. Frozen ones, too: the table is the
	 * truth.
	 */
	LOOK_ASKED,
	/*
	 * The same, but returns at once where nobody but batchfs has written to the table since this store's
	 * last look, or where no index leads with event_time (a pass over all of it is not for every minute).
	 */
	LOOK_CLOCK,
};

/* What a builder declares of itself. */
struct builder_traits {
	const char *name;  /* as `.model` says who builds */
	uint64_t supports; /* the kinds of need that it builds models with: SUPPORTS() of verdict.h */
	/* Its rows are where the store is not: what it has built is settled (SETTLE_DONE). */
	bool settles_done;
	/* Two runs of one model never go side by side. */
	bool model_alone;
	/* A run takes so long (us), as far as a batch's time is known; 0: as short as makes a claim cheap. */
	int64_t run_us;
	/* It makes the table anew with the first batch of a full refresh, instead of clearing it. */
	bool refresh_anew;
	const char *no_validation; /* why it validates nothing; NULL: it does */
};

/* What a look at a table that is elsewhere has found. */
struct found_windows {
	ordinal *batches; /* those whose windows hold rows, ascending */
	size_t n;
	bool there;    /* the table exists */
	int64_t began; /* us, our clock: when it was looked at */
};

struct builder_ops {
	/*
	 * On the worker's own thread. Connects lazily: a warehouse that is down is no failure here. lane: the
	 * word by which its session is known on the server (worker, looks, history); lives as long as it.
	 */
	int (*worker_open)(struct store *s, const char *lane, struct worker **out, struct error *err);
	void (*worker_close)(struct worker *w); /* NULL is fine */

	/*
	 * Makes the model buildable: creates the target where it is missing (columns from the query,
	 * the config's indexes, one led by event_time), finds the real types. In its own transaction;
	 * no batch of the model is in flight on this mount. Fills *target. target->look: look(LOOK_FIRST)
	 * must come next. make false: only looks whether what has refused the model still does, and creates
	 * nothing. Of a model that the mount's guest builds nothing is made: only *target is filled.
	 */
	int (*prepare)(struct worker *w, slot model, bool make, struct store_target *target,
		       struct error *err);

	/*
	 * Looks which windows of the target hold rows, and records and reports (sink) what that changes;
	 * enum look_kind says what is compared. -EAGAIN: the target has gone; LOOK_ASKED and LOOK_CLOCK also
	 * where it is not the one that was known: nothing was changed, LOOK_FIRST comes first. -EBUSY:
	 * somebody is in the way, and was waited for a second at most; later. With read_only it only reports.
	 * Takes as long as one pass over the table may take, and holds no lock for longer than a moment.
	 * LOOK_FIRST: no batch of the model is in flight on this mount; forget, then states are reported.
	 * LOOK_ASKED, LOOK_CLOCK: batches may run and be claimed meanwhile, here and elsewhere: those are
	 * left alone. Only the states that have changed are reported.
	 */
	int (*look)(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
		    struct error *err);

	/*
	 * Records and reports, as look() does, what a guest's look has found: with engine_config.elsewhere in
	 * the place of look(). NULL: such a mount cannot be.
	 */
	int (*record)(struct worker *w, slot model, enum look_kind kind, const struct found_windows *found,
		      const struct store_sink *sink, struct error *err);

	/*
	 * One small transaction of a full refresh's clear phase, which deletes rows of the target that lie in
	 * no window from the first batch of step->batches to the end of the window that is open now, or that
	 * have no event_time. What lies before the first batch and was built when `begin` was earlier stays.
	 * Readers and writers of other rows wait for nothing. -ESTALE: the refresh is not in that phase any
	 * more, and nothing was deleted. -EBUSY: another mount is at it, or somebody is in the way; later.
	 * Never called with read_only. NULL: its full refreshes have no such phase (refresh_anew).
	 */
	int (*clear)(struct worker *w, struct clear_step *step, struct error *err);

	/*
	 * One transaction of a full refresh that is built beside the table: the table beside is made, a batch
	 * is built into it, or the exchange; with phase OVER, what such a refresh has left is dropped.
	 * -ESTALE: the refresh is not in that phase any more. -EBUSY: another mount is at it, or somebody is
	 * in the way; later. -EAGAIN: a batch failed for a reason that may pass. Any other failure ends the
	 * refresh, with table and states as they were. NULL: this engine cannot do that. Never called with
	 * read_only.
	 */
	int (*beside)(struct worker *w, struct beside_step *step, struct error *err);

	/*
	 * Builds a run, oldest first, and reports STARTED and then one outcome for each batch that has
	 * an attempt; the fate of a commit that was in doubt is resolved before it is reported. After a
	 * FAILED, PASSING or INTERRUPTED batch the rest is UNSTARTED: what reads a failed one is skipped
	 * before it starts. (A builder that hands several batches over at once builds the rest of those all
	 * the same, unless the model reads itself; it may build several at a time.) The first may be
	 * UNSTARTED after STARTED, where the target is not the one that was prepared or the batch is not
	 * wanted any more: it was begun before the target was looked at, and rolled back. 0, or -EAGAIN: the
	 * target is missing or not the one that was prepared: nothing was begun (every batch UNSTARTED), call
	 * prepare() first.
	 */
	int (*build)(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
		     struct error *err);

	/*
	 * From another thread: ends what the worker is doing. Returns when the worker is safe to
	 * use again by its own thread. An interrupt that comes between two builds changes nothing.
	 */
	void (*interrupt)(struct worker *w);

	/*
	 * Asks the target, and where that has to be the inputs, about what is built of the batches
	 * (VALIDATION_WHOLE: all of the table), in one snapshot with what is recorded of them, and fills
	 * *out, which holds nothing before. Takes as long as the table is large; nobody who writes waits for
	 * it. -EBUSY: somebody is in the way, and was waited for a second at most; later. NULL, and the next
	 * one, too: the builder's no_validation says why.
	 */
	int (*validate)(struct worker *w, slot model, struct ordinal_range batches, struct tally *out,
			struct error *err);

	/*
	 * Records validations, durably, in one commit: ASKED (id 0: it gets one), or the end of one that was
	 * asked for. out: the state of one that has ended otherwise meanwhile is VALIDATION_CANCELLED. What
	 * they replace is forgotten. Never called with read_only.
	 */
	int (*keep_validations)(struct worker *w, struct store_validation *list, size_t n, struct error *err);

	/*
	 * The attempts that have ended since *cursor, of a model or (-1) of all that are enlisted, oldest
	 * first; *cursor NULL: the last `most` that are recorded, or somewhat more. Their requests are
	 * looked up now, so that a reason that came later is there. *cursor is replaced (the caller frees
	 * it); after a failure it is as before and what was told is void. A worker's and no store's, because
	 * it may read for long: nobody must wait for its connection.
	 */
	int (*history)(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
		       void *ctx, struct error *err);

	/*
	 * Forgets of the model's attempts those that are not among its last `keep`, then its requests that
	 * are answered and that nothing names any more; nothing that is younger than `before` (our clock):
	 * another mount may not have read it yet. Nobody waits for it; -EBUSY: somebody is in its way,
	 * later. Never called with read_only.
	 */
	int (*prune)(struct worker *w, slot model, size_t keep, int64_t before, struct error *err);

	/*
	 * Appends the exact statements that building these batches sends, each ended by ";\n".
	 * Any thread, from memory only: never waits for the warehouse.
	 */
	int (*statements)(struct store *s, slot model, struct ordinal_range batches, struct strbuf *out,
			  struct error *err);
};

#endif
