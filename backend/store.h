/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store keeps the states of batches and the requests for them, durably. How
 * several mounts share one is its own business. Models are named by their slots;
 * the store maps that to a permanent id of its own, because
 * state belongs to the target table: key (schema.table, batch size, window start).
 *
 * All functions return 0 or -errno, with the sentence (and SQLSTATE) in *err.
 * Threads: open and close by whoever assembles; wake by anyone; everything else
 * by the one control thread, and never waits on a row lock.
 * -ECONNREFUSED, -EHOSTUNREACH: the warehouse cannot be reached and nothing was
 * recorded; -ETIMEDOUT: it may have been. After any of these the next call
 * connects again (backing off), and the first follow() that succeeds reports
 * everything that may have been missed.
 */
#ifndef BATCHFS_STORE_H
#define BATCHFS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/base/clock.h"
#include "backend/base/error.h"
#include "backend/base/log.h"
#include "backend/calendar.h"
#include "backend/engine_config.h"
#include "backend/compiled_sql.h"
#include "backend/slot.h"
#include "backend/manifest.h"
#include "backend/orphan.h"
#include "backend/refresh.h"
#include "backend/run_marks.h"
#include "backend/window_sql.h"
#include "backend/store_request.h"
#include "backend/store_validation.h"

struct store;

/* What the store found out about a model's target. */
struct store_target {
	bool exists; /* the target table is there */
	/*
	 * It is a table of this warehouse, or may become one: whether it can be built or not, it can be
	 * looked at, its states are recorded and reported, and its batches can be frozen. Where that is not
	 * so, why_not says why; or the verdict does, where the manifest does not tell enough.
	 */
	bool lookable;
	bool met;  /* of one in another warehouse: somebody has looked at it once */
	bool look; /* it is not the one that was known, or has gone: builder.look(LOOK_FIRST) comes first */
	enum time_type event_time_type; /* TIME_UNKNOWN while it is not there */
	struct error why_not;		/* err != 0: cannot run on this warehouse; the sentence says why */
	bool lasting; /* why_not stays as long as the mount lives, whatever is done to the warehouse */
	const char *strategy; /* how a batch's rows are replaced, for .model; constant. NULL: not known */
	char notes[1024];     /* for .model, a sentence a line, each ended by '\n'; "": nothing to note */
};

/* What a batch's row says is going on, apart from its last outcome. */
enum row_run { ROW_IDLE, ROW_RUNNING, ROW_REQUEUED };
enum row_outcome { OUTCOME_NONE, OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_SKIPPED };

/* One batch's row. Strings are the store's, valid during the call. */
struct store_state {
	slot model;
	ordinal batch;
	enum row_run run;
	enum row_outcome outcome;
	uint32_t attempt; /* of what runs or ran last; 0: never (adopted) */
	int64_t started;  /* of the running attempt, else of the outcome; us, our clock */
	int64_t finished; /* of the outcome; 0: none */
	int64_t built; /* finished of the last successful build or adoption, whatever came after; 0: none */
	int64_t rows_deleted, rows_inserted, rows_outside; /* of the outcome; -1: not known */
	bool adopted;
	const char *code; /* the model's code it was built with; "" where adopted */
	int64_t request;  /* id of the request that the last attempt served; 0: none */
	int64_t served;	  /* every request of the model with a seq up to this is answered for this batch */
	const char *sqlstate, *message; /* of a failure; "" */
	bool cancelled;			/* news: it was cancelled since the last report */
};

/* A batch that somebody else has built. at: when it was seen; of the rest nothing is known. */
static inline struct store_state adopted_state(slot model, ordinal batch, int64_t at)
{
	return (struct store_state){.model = model,
				    .batch = batch,
				    .outcome = OUTCOME_DONE,
				    .started = at,
				    .finished = at,
				    .built = at,
				    .rows_deleted = -1,
				    .rows_inserted = -1,
				    .rows_outside = -1,
				    .adopted = true,
				    .code = "",
				    .sqlstate = "",
				    .message = ""};
}

/* What one chmod has frozen. Strings are valid during the call. */
struct store_freeze {
	struct ordinal_range batches; /* empty: it protects the model against a full refresh */
	uint32_t uid;
	const char *command;
	int64_t at;
};

/*
 * A range that was answered without being built, as one row. It is in force for the batches whose own row is
 * served less: they are answered up to `served`, and show its outcome. Strings are valid during the
 * call.
 */
struct store_answer {
	enum row_outcome outcome; /* SKIPPED or FAILED; NONE: cancelled, the outcomes stay what they were */
	int64_t id;		  /* permanent */
	slot model;
	struct ordinal_range batches;
	int64_t served;
	int64_t request; /* one that it answers; 0: not known */
	int64_t at;
	const char *message; /* "" where there is none */
};

/* Where load, follow and look put what they find. A request comes before the states that name it. */
struct store_sink {
	void *ctx;
	void (*request)(void *ctx, const struct store_request_row *r);
	/* What others have asked for up to this was reported, or is closed; own: 0. NULL: nobody wants to
	 * know. */
	void (*known)(void *ctx, slot model, struct store_known known);
	void (*state)(void *ctx, const struct store_state *s);
	/* Requests that were just reported, up to this seq, are answered for the batch by a build they were
	 * not known for. Only by follow. */
	void (*answered)(void *ctx, slot model, ordinal batch, uint32_t attempt, int64_t served);
	/* A range was answered. It comes after the requests it answers, and before the states. */
	void (*answer)(void *ctx, const struct store_answer *a);
	void (*forget)(void *ctx, slot model); /* everything known of the model's batches is void */
	/* What was told since forget() is all that is known; until then nobody shall go by it. */
	void (*told)(void *ctx, slot model);
	/* Only by look: so many batches were built into a former table and are not in this one. Or NULL. */
	void (*gone)(void *ctx, slot model, size_t n);
	/*
	 * Only by follow. What is recorded is not what it was: the server has begun another life, from an
	 * older state, or the warehouse is another one. Between the two everything is reported as by load,
	 * after which all that was not is void. May come twice before the second: it begins anew.
	 */
	void (*restart)(void *ctx);
	void (*restarted)(void *ctx);
	/* Whether this mount runs that attempt (0: any of the batch), has claimed it, or is about to settle
	 * it. */
	bool (*runs)(void *ctx, slot model, ordinal batch, uint32_t attempt);
	/* The model has met its target anew, in another warehouse. */
	void (*target)(void *ctx, slot model, const struct store_target *target);
	/* Of a model that was ever refreshed in full. After the requests, so that its own is known. */
	void (*refresh)(void *ctx, const struct store_refresh *r);
	/* All that is frozen of the model now: what was known of that is void. No batch is in two of them. */
	void (*freezes)(void *ctx, slot model, const struct store_freeze *list, size_t n);
	/* One that was asked for, or has ended. Several of a model come in the order of their ids. NULL:
	 * nobody wants to know. */
	void (*validation)(void *ctx, const struct store_validation *v);
};

/* An attempt that is younger is never forgotten: another mount may still have to read of it. */
#define FEED_AGE_US INT64_C(3600000000)

/* Neighbouring batches of a model that this mount wants to build now. */
struct store_claim {
	slot model;
	ordinal first;
	uint32_t count;	 /* at most CLAIM_MAX */
	int64_t request; /* id of the request they are built for; 0: keep the row's (a batch that was put
			    back) */
	/*
	 * Highest seq that wants them: a batch served up to it is not granted. Nor is one that a newer
	 * request of other code wants, a newer cancel covers, or (put back, wanted no higher) that belongs to
	 * other code.
	 */
	int64_t wanted;
	int64_t started; /* our clock */
	bool skipped;	 /* some show a skip that was recorded as a range: it goes into their rows */
	uint32_t attempt[CLAIM_MAX]; /* out: the attempt number, 0: not granted (held or built by another) */
	int64_t served; /* out: the model's seq at the claim: what the granted batches now answer */
};

enum settle_kind {
	SETTLE_FAILED,	 /* the batch failed for good */
	SETTLE_REQUEUED, /* the attempt failed in passing (deadlock, lost connection): it will be tried again
			  */
	SETTLE_INTERRUPTED, /* the daemon stopped it: back to the queue */
	/*
	 * Claimed and never begun: back to the queue, no attempt counts. That is how a claim is released. It
	 * needs no op of its own: like every outcome it is fenced by its attempt and answered alone, and the
	 * control thread, which is woken for it, settles before it claims or sends a freeze.
	 */
	SETTLE_UNSTARTED,
	SETTLE_SKIPPED,	    /* only queued, and not built because what it reads has failed */
	SETTLE_UNBUILDABLE, /* only queued, and failed: there is nobody who could build it */
	SETTLE_CANCELLED,   /* taken out of the queue, or ended: the outcome stays what it was */
	SETTLE_DONE, /* it is built: its rows are where this store is not, and its builder has committed them
		      */
	/*
	 * The attempt was settled as DONE, and its builder has denied that since. It is failed, and as one
	 * that was never built: nobody knows what the table holds of it. -ESTALE: it is not what the attempt
	 * has left any more.
	 */
	SETTLE_RETRACTED,
};

/* An outcome that is not recorded with the rows. Where a builder commits both together, done is none of
 * these. */
struct store_outcome {
	enum settle_kind kind;
	slot model;
	ordinal batch;
	/*
	 * Of what was only queued: so many neighbours from `batch` on, alike in all that follows, become one
	 * row, whatever their number. out: so many were recorded from `batch` on, 0: none; the one behind
	 * them has been claimed or answered by another meanwhile, and `next` is the first one that is to be
	 * settled again (the end of what was given: none is). Everything else is about one batch.
	 */
	uint32_t count;
	ordinal next;
	uint32_t attempt; /* SKIPPED, UNBUILDABLE and CANCELLED: 0: it was only queued, no attempt is ended;
			   * out: the row's
			   */
	uint32_t last;	  /* of more than one: the number of the last attempt of each, for the history */
	int64_t lowest;	  /* of more than one: every one of them waits for a request with this seq or a higher
			   */
	int64_t known;	  /* of more than one, without `before`: what others have asked for above this seq was
			     not known when it was decided, so that it is answered for none of them */
	int64_t id;	  /* out, of more than one: of the answer */
	int64_t wanted;	  /* with attempt 0: every request up to this seq is answered for the batch */
	int64_t before;	  /* CANCELLED with attempt 0: of the cancel. It answers every request before it, and
			     what was put back only if it was claimed before it; 0: none is recorded */
	int64_t request;  /* with attempt 0: the one that is answered, for the history; 0: not known */
	int64_t started, finished;
	int64_t rows_deleted, rows_inserted, rows_outside; /* DONE; -1: not known */
	const char *code;		/* DONE: the model's code it was built with; NULL: the present one */
	const char *sqlstate, *message; /* "" where there is none */
	int result;			/* out: 0, -ESTALE: another attempt has taken over, nothing written */
};

struct store_ops {
	/*
	 * Connects, makes or checks what the store needs (never with read_only), takes its
	 * liveness lock. *out stays the caller's to close. -EBUSY: the file belongs to
	 * another mount (sqlite), *err names its pid.
	 */
	int (*open)(const struct engine_config *config, struct store **out, struct error *err);

	/* No other call may be under way. Batches still marked as running here go back to the queue. NULL is
	 * fine. */
	void (*close)(struct store *s);

	/*
	 * models[i] is what the slot i stands for from now on, held by the store as long as it needs it.
	 * NULL: the model that the slot stood for is in the manifest no more; what runs of it goes on, and
	 * targets[i] says nothing. Fills the others' targets[i]; one transaction. Of models that the engine's
	 * builder does not support (verdict.h) those whose table can be looked at are enlisted, too. After
	 * open, and again for each new manifest: n never falls, a slot's batch size and target never change.
	 * After a failure everything is as before. A worker's call goes on with what its model was when the
	 * call began.
	 */
	int (*enlist)(struct store *s, const struct model *const *models, struct store_target *targets,
		      size_t n, struct error *err);

	/* Streams what is recorded of the enlisted models and was not reported yet, in constant memory:
	 * freezes and requests first, then states. After each enlist. A begin that has moved back is a
	 * reason, too; what runs here is left out then. */
	int (*load)(struct store *s, const struct store_sink *sink, struct error *err);

	/*
	 * Waits for a wake(), for news from other mounts, or timeout_ms, then reports the news.
	 * Rows of owners that have died are put back to the queue (or failed, the 4th time) and reported.
	 */
	int (*follow)(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err);

	/* Sees whether a target was made, dropped or exchanged by others, and reports those: what follow()
	 * does within two seconds, for who cannot wait for that. -EAGAIN: follow() comes first. */
	int (*check)(struct store *s, const struct store_sink *sink, struct error *err);

	/* Ends a follow() that is under way, or the next one; async-signal-unsafe, never blocks. */
	void (*wake)(struct store *s);

	/* From then on every call that is under way or comes, on any thread, gives up within a moment with
	 * -ECANCELED. Never blocks. */
	void (*abandon)(struct store *s);

	/* All n in one commit, in this order, durable when it returns 0; each is answered alone in its
	 * result. claim: NULL, or one for batches of the last of them, which names neither its request nor
	 * what it wants: both are filled in. A store may grant it on the same way, in a commit of its own
	 * behind theirs; where it does not, or cannot, nothing is granted and nothing is said.
	 */
	int (*request)(struct store *s, struct store_request *requests, size_t n, struct store_claim *claim,
		       struct error *err);

	/* Grants what nobody holds and is not frozen, and raises its attempt. One commit for all n. */
	int (*claim)(struct store *s, struct store_claim *claims, size_t n, struct error *err);

	/*
	 * Records outcomes, one commit. Each is answered alone. After a failure nothing is recorded (or
	 * the fate is unknown): settle them again. That is so, too, while a lost transaction holds a row.
	 */
	int (*settle)(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err);

	/* These requests have nothing left to build: they are kept only for who asked and why. */
	int (*retire)(struct store *s, const int64_t *ids, size_t n, struct error *err);

	/*
	 * A new manifest: what was asked for with the SQL `was` of the model is asked for with its present
	 * SQL, as far as this mount has asked, or no other mount lives that may have that SQL. Reports
	 * those requests anew; other mounts hear of it. Never with read_only.
	 */
	int (*recode)(struct store *s, slot model, const char *was, const struct store_sink *sink,
		      struct error *err);

	/* Who could build these, each request once. A mount says at enlist what it can build: which SQL, and
	 * from which begin on. Never with read_only. */
	int (*orphans)(struct store *s, struct store_orphan *list, size_t n, struct error *err);

	/*
	 * SQL that was remembered, of these keys (all other members say nothing); one that is not known is
	 * not told of. Before enlist, too. Neither this nor remember() is called with read_only, and a role
	 * that may not do either finds nothing remembered, and is named in the log.
	 */
	int (*recall)(struct store *s, const struct compiled_sql *asked, size_t n, compiled_sql_fn *tell,
		      void *ctx, struct error *err);

	/* This SQL is in force here: it is kept, unless newer SQL of the same key is. */
	int (*remember)(struct store *s, const struct compiled_sql *list, size_t n, struct error *err);

	/*
	 * A full refresh goes on to its next phase, or is over: recorded once, whichever mount is first. From
	 * REFRESH_CLEAR to REFRESH_BUILD its request is opened, as one that was made at step->at; what leaves
	 * REFRESH_FIRST changes refresh.h says. Reports that request and the refresh. Never with read_only.
	 */
	int (*refresh)(struct store *s, struct refresh_step *step, const struct store_sink *sink,
		       struct error *err);

	/* No batch shows these answers any more: each was built, or answered otherwise, since. */
	int (*forget_answers)(struct store *s, const int64_t *ids, size_t n, struct error *err);
};

#endif
