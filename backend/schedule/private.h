/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a backend: who runs, who waits, what protects what.
 *
 * Threads: any thread enters through backend.h; the control thread alone talks to the
 * store; each worker thread to its own worker; the slow lane adopts.
 *
 * One mutex, `lock`, protects every field below that is not marked otherwise. It is never
 * held across a call of an engine, of the listener or of a request's done().
 */
#ifndef BATCHFS_SCHEDULE_PRIVATE_H
#define BATCHFS_SCHEDULE_PRIVATE_H

#include <pthread.h>
#include <sys/queue.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/engine.h"
#include "backend/kinds.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/plan.h"
#include "backend/refusals.h"
#include "backend/report/report.h"
#include "backend/snapshot.h"

/* What one call of backend.h asks for: one answer for all of its requests, when the last has been answered.
 */
struct ask_group {
	int members; /* atomic: its asks, and the one who makes it */
	int result;  /* atomic: the first refusal */
	void (*done)(void *ctx, int result);
	void *ctx;
};

/* An outcome on its way to the store. */
struct outcome {
	STAILQ_ENTRY(outcome) link;
	struct store_outcome out;
	struct error err; /* what out's texts point to */
	bool shown;	  /* the ledger has it, and who waits for it was told */
};
STAILQ_HEAD(outcome_queue, outcome);

/* A request on its way to the store. */
STAILQ_HEAD(ask_queue, ask);
struct ask {
	STAILQ_ENTRY(ask) link;
	struct ask_queue then; /* sent once this one is recorded; refused as it is refused */
	struct ask_group *group;
	struct store_request request;
	uint64_t ticket;
	unsigned ticket_of; /* of the first of a group: how many there are */
	pid_t pid;
	char *reason; /* owns request.reason */
	bool cleared; /* traits.clears_queue: what this mount had claimed in its range was taken back */
	struct outcome_queue
		cancelled; /* of a cancel: what waited, and is shown in its former state already */
};

/* A remembered ticket: backend_reason() comes soon after its request. */
struct ticket {
	uint64_t number;
	unsigned of; /* of the first of a group: how many tickets it has */
	unsigned char uuid[16];
	int64_t id;
	slot model;
};
#define TICKETS_KEPT 1024

enum job_kind { JOB_NONE, JOB_BUILD, JOB_PREPARE };

struct job_worker {
	struct backend *b;
	pthread_t thread;
	bool started;
	pthread_cond_t wake;
	enum job_kind kind; /* JOB_NONE: idle */
	struct build_run run;
	struct held_catalog *held;   /* of a run, until it ends: the catalog it was claimed with */
	const struct model *facts;   /* in there */
	int64_t served;		     /* of the claim: a cancel with a higher seq ends its attempts */
	ordinal building;	     /* the batch of the run that is in flight */
	uint32_t cancelled;	     /* bit i: run.first + i is to be cancelled */
	uint32_t ended;		     /* bit i: run.first + i has ended */
	uint32_t begun;		     /* bit i: the builder's, until it reports its end */
	uint32_t taken;		     /* bit i: taken back before it had begun */
	int64_t since;		     /* monotonic: when the batch in flight began */
	int64_t answered[CLAIM_MAX]; /* of what is cancelled: every request up to this seq is answered by its
					end */
	bool interrupt;		     /* the canceller shall end what is in flight */
	bool interrupting;	     /* the canceller uses `worker`, without the lock */
	struct open_worker *worker;  /* set by its own thread before it takes its first job */
};

/* Somebody waits until the history of a model is up to date. */
struct history_ask {
	STAILQ_ENTRY(history_ask) link;
	slot model;
	void (*done)(void *ctx, int result);
	void *ctx;
};
STAILQ_HEAD(history_asks, history_ask);

struct backend_history {
	LIST_ENTRY(backend_history) link;
	struct backend *b; /* immutable */
	slot model;	   /* immutable; -1: of all */
	unsigned readers;  /* the historian is one while it works on it */
	struct strbuf text;
	char *cursor;	    /* the historian's, while it is a reader; NULL: nothing read yet */
	uint64_t changes;   /* of the model, or of all, when it was last read */
	int64_t not_before; /* monotonic: not read again earlier, unless somebody waits */
};
LIST_HEAD(history_list, backend_history);

struct model_runtime {
	char *why_not, *note; /* what the store says of it; NULL: nothing */
	enum time_type event_time_type;
	bool exists; /* the target's table, as far as is known */
	bool prepared, preparing, adopting;
	bool lasting; /* why_not stays as long as the mount lives */
	struct error *
		prepare_error; /* why the last prepare failed: the next run fails with it; NULL: it did not */
	int64_t prepared_at;   /* monotonic: of that */
	int64_t look_at;       /* monotonic: the slow lane does not look at the target earlier */
	unsigned looks;	       /* that failed, one after the other */
	unsigned lost;	       /* connections, each while it was prepared or looked at, one after the other */
	unsigned missed;       /* runs that found another target than was prepared, one after the other */
	int64_t not_before;    /* monotonic: backing off */
	unsigned passing;      /* failures in passing, one after the other */
	unsigned ended;	       /* attempts, here */
	bool prune;	       /* they may be too many now */
	int64_t cancel_frozen_at; /* monotonic: when to look again for what is queued and frozen */
	unsigned cancels;	  /* asked for and not recorded yet: nothing is claimed over them */
	int64_t spoiled_at; /* us: the latest failure that its readers without a window were skipped for */
	int64_t changed_at;
	uint64_t generation; /* rises with every change */
	struct report_kept kept;
};

struct backend {
	struct backend_config config;	    /* immutable */
	struct engine_config engine_config; /* immutable */
	struct open_store *store;	    /* the control thread's; wake() and abandon() anybody's */
	struct backend_listener listener;   /* immutable once threads run */
	int64_t since;			    /* immutable */
	struct snapshot snapshot;	    /* immutable once open */

	pthread_mutex_t lock;
	pthread_cond_t idle;   /* a worker has become idle, or the control thread has ended */
	pthread_cond_t paused; /* the control thread sleeps here while the warehouse is away */
	struct ledger *ledger;
	struct models *models;	       /* the lock is its owner's, where models.h asks for one */
	struct model_runtime *runtime; /* by slot */
	slot runtime_end;
	struct ask_queue asks;
	struct ask_queue
		frozen; /* the control thread's: recorded, answered once what was queued is cancelled */
	struct outcome_queue outcomes;
	int64_t retired_at;	    /* the control thread's, monotonic */
	size_t settling;	    /* outcomes that the control thread has taken and not shown yet */
	struct job_worker *workers; /* config.jobs */
	size_t turn;
	uint64_t last_ticket;
	struct ticket tickets[TICKETS_KEPT]; /* ring by number */
	struct refusals refusals;
	struct error warehouse; /* err != 0: cannot be reached, and why */
	bool stopping, control_done;
	bool hurry; /* the drain is over */
	bool woken; /* something is to be done: the control thread shall not sleep */

	uint64_t changes; /* of all models: as their generations */
	struct history_list histories;
	struct history_asks history_asks;
	bool historian_woken, historian_done;
	bool pruning;	  /* of some model */
	int64_t prune_at; /* monotonic: not earlier */
	pthread_cond_t history_wake;

	pthread_t control, slow, canceller, historian;
	bool threads;			 /* they run */
	struct open_worker *slow_worker; /* NULL: the slow lane is not up */
	pthread_cond_t slow_wake;	 /* a model is to be adopted, or the end */
	pthread_cond_t cancel_wake;	 /* a worker is to be interrupted, or the end */
};

/* The lock is the one thing that a const backend changes. */
static inline pthread_mutex_t *lock_of(const struct backend *b)
{
	return &((struct backend *)b)->lock;
}

/* Any thread, with or without the lock. */
static inline const char *dir_of(const struct backend *b, slot model)
{
	return models_dir(b->models, model);
}

/* With the lock, and valid as long as it is held. */
static inline const struct model *facts_of(const struct backend *b, slot model)
{
	return models_at(b->models, model);
}

/* snapshot.c: once ledger and models are there; the store is added when it is open. */
void snapshot_init(struct backend *b);

/* catalog.c */
/* With the lock. Takes the catalog over, also on failure (-ENOMEM: as before). */
int backend_swap(struct backend *b, struct catalog *catalog, struct error *err);

/* changes.c */
void changed(struct backend *b, slot model,
	     struct ordinal_range batches); /* without the lock: tells the listener */
void changed_readers(struct backend *b, slot model,
		     ordinal batch);		 /* without the lock: built, so its readers may be stale */
void touch_model(struct backend *b, slot model); /* with the lock: generation and time move on */
const struct store_sink *backend_sink(struct backend *b, struct store_sink *sink);

/* restart.c: of the sink */
void restart_begin(void *backend);
void restart_end(void *backend);
bool restart_runs(void *backend, slot model, ordinal batch, uint32_t attempt);
void restart_target(void *backend, slot model, const struct store_target *target);

/* ask.c. A member of the group; NULL: no memory. ask_send() takes it over. done NULL: nobody waits. */
struct ask_group *group_new(void (*done)(void *ctx, int result), void *ctx);
void group_leave(struct ask_group *g, int result);
struct ask *ask_new(const struct backend *b, struct ask_group *g, slot model, const char *reason);
void ask_name(struct ask *a); /* gives it its uuid */
void ask_send(struct backend *b, struct ask *a);
/* With the lock: 0, or -errno, and the caller keeps it. */
int ask_queue(struct backend *b, struct ask *a);

/* on the control thread */
/* Before asks_send(): to a store what is claimed runs, so what has not begun is taken back before a freeze is
 * sent. Whether anything was: then it is to be settled first. */
bool asks_clear(struct backend *b);
void asks_send(struct backend *b);
void asks_frozen(struct backend *b);	    /* answers what has been frozen */
void asks_fail(struct backend *b, int err); /* answers everything that is still queued */

/* refuse.c, without the lock. What cannot be sent at once: why->err with the sentence; returns -why->err. */
int refuse_part(struct backend *b, const struct backend_file *file, const struct backend_part *part,
		uid_t uid, const struct error *why);
/* On the control thread: what the store has not taken; tells the listener. */
void refuse_request(struct backend *b, const struct store_request *r, int err, const char *text);

/* freeze.c */
void freeze_recorded(struct backend *b, const struct store_request *r); /* with the lock */
bool freezes_cancel(
	struct backend *b); /* queues the cancelling of what is queued and frozen; whether any is */

/* take_back.c */
bool still_wanted(void *worker, ordinal batch); /* build_run.wanted; a job_worker */
/* The others with the lock. False: the batch was taken back; true: from now on it cannot be. */
bool keep_from_taking(struct job_worker *w, ordinal batch);
/* Puts the batch of the run back into the queue, or ends it where that is meant (cancel_meant()). False: it
 * has begun, or ended. */
bool take_back(struct job_worker *w, ordinal batch);
/* All of the run that lie in there; whether there were any. */
bool take_back_range(struct job_worker *w, struct ordinal_range batches);
/* What waits behind a batch that is late while another worker could build it. Returns how long until the
 * next run is late, us; INT64_MAX: none will be. */
int64_t take_back_late(struct backend *b);

/* outcome.c. NULL: no memory, which was logged. err may be NULL: no texts. */
struct outcome *outcome_new(const struct backend *b, const struct store_outcome *out,
			    const struct error *err);
void outcome_add(struct backend *b, const struct build_report *r, const struct build_run *run,
		 enum settle_kind kind);
void outcome_add_locked(struct backend *b, const struct build_report *r, const struct build_run *run,
			enum settle_kind kind); /* with the lock */
void outcome_queue(struct backend *b, const struct store_outcome *out,
		   const struct error *err); /* with the lock */

/* skip.c, with the lock: queues the skipping of what reads a failed or skipped batch, or of the rest of its
 * request. */
/* before: only what was asked for before that moment (us), and nothing else of its request; 0: all. */
void skip_readers(struct backend *b, const struct store_outcome *failed, int64_t before);
/* The same for a batch that was put back: the rest of its request may have been skipped meanwhile. */
void skip_hopeless(struct backend *b, const struct store_outcome *put_back);

/* cancel.c */
bool cancel_meant(struct backend *b, slot model, ordinal batch, int64_t *wanted); /* with the lock */
/* With the lock, before cancel_over(). It was built all the same, its COMMIT was under way: what had been
 * asked for before the cancel is not built once more. */
void cancel_too_late(struct backend *b, slot model, ordinal batch, int64_t at);
void cancel_over(struct backend *b, slot model, ordinal batch); /* with the lock: its attempt has ended */
/* With the lock: a cancel of this batch is on its way to the store. */
bool cancel_asked(const struct backend *b, slot model, ordinal batch);
/* Without the lock: the cancel is recorded with this seq, or (INT64_MAX) could not be. */
void cancel_recorded(struct backend *b, struct ask *a, int64_t seq);
/*
 * Without the lock: carries out a cancel that is recorded, here or by another mount: ends our attempts that
 * were claimed before it, takes what waits out of the queue. seq INT64_MAX: it could not be recorded, so only
 * what is known here goes.
 */
void cancel_apply(struct backend *b, slot model, struct ordinal_range batches, int64_t seq);
bool still_wanted(void *worker, ordinal batch); /* build_run.wanted, of a job_worker: it is not cancelled */
void *cancel_main(void *arg);

/* historian.c */
void *historian_main(void *arg);
void historian_wake(struct backend *b);		   /* with the lock */
void attempt_ended(struct backend *b, slot model); /* with the lock: its history has one line more */

/* history.c */
#define HISTORY_BYTES	(8u << 20)  /* of text; beyond it the older half goes */
#define HISTORIES_BYTES (64u << 20) /* of all that are open: each has its share */
#define HISTORY_LEAST	(64u << 10)
struct backend_history *history_find(const struct backend *b, slot model); /* with the lock; NULL: not open */
int history_append(struct backend_history *h, const struct strbuf *lines); /* with the lock; -ENOMEM */

int outcomes_settle(struct backend *b, struct error *err); /* on the control thread */

/* work.c, on the control thread */
int work_hand_out(struct backend *b, struct error *err);
/*
 * Where nothing else waits and a worker is idle, the one batch that is about to be asked for can be claimed
 * on the same way: fills *claim and returns the worker, which stays idle until then; NULL: it takes its turn.
 */
struct job_worker *work_ahead(struct backend *b, const struct store_request *r, struct store_claim *claim);
void work_grant(struct backend *b, struct job_worker *w, const struct store_claim *c);
/* worker.c, slow.c, control.c: thread mains; the argument is a job_worker or the backend */
void *worker_main(void *arg);
void *slow_main(void *arg);
void *control_main(void *arg);

/* Wakes the control thread. Any thread, with or without the lock. */
void control_wake(struct backend *b);

/* refusal.c, with the lock but for those that take a worker or say so */
bool back_off(struct model_runtime *m, unsigned *times); /* false: it was often enough, and counts anew */
/* Of a call of the engine: the warehouse is away (or we are leaving), and nothing is said of the target. */
bool warehouse_away(int r);
/* What refuses the model may go away; until then what is queued fails with it. */
bool refusal_stands(const struct backend *b, slot model);
bool model_unprepared(const struct model_runtime *m);
bool refusal_look_due(const struct backend *b, slot model, int64_t now);
/* Without the lock. A job's; no_worker: why there is none, where there is none. */
void model_prepare(struct job_worker *w, const struct error *no_worker);
/* Without the lock. What the run that was claimed fails with, the caller's to free; NULL: it may be built. */
struct error *refusal_take(struct backend *b, slot model);
/* Without the lock. What a build returned. */
void refusal_after_build(struct backend *b, slot model, int r, const struct error *err);
/* Without the lock, on the slow lane: whether what has refused the model still does. */
void refusal_look(struct backend *b, struct open_worker *worker, slot model);

/* With the lock: what the store has found out about the model's target. */
void model_target(struct model_runtime *m, const struct store_target *target);

/* With the lock. why_not NULL: the model can run here. */
bool model_runs(const struct backend *b, slot model);
const char *model_why_not(const struct backend *b, slot model);
void model_refuses(struct model_runtime *m, const char *why_not); /* "": it runs again */

/* A moment on the monotonic clock, `us` from now, for pthread_cond_timedwait(). */
struct timespec moment_in(int64_t us);

#endif
