/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a backend: who runs, who waits, what protects what.
 *
 * Threads: any thread enters through backend.h; the control thread alone talks to the
 * store; each worker thread to its own worker; the slow lane looks at tables.
 *
 * One mutex, `lock`, protects every field below that is not marked otherwise. It is never
 * held across a call of an engine, of the listener or of a request's done().
 */
#ifndef BATCHFS_SCHEDULE_RUNTIME_H
#define BATCHFS_SCHEDULE_RUNTIME_H

#include <pthread.h>

#include "backend/backend.h"
#include "backend/engine.h"
#include "backend/models.h"
#include "backend/refusals.h"
#include "backend/schedule/ask.h"
#include "backend/schedule/check.h"
#include "backend/schedule/held.h"
#include "backend/schedule/history.h"
#include "backend/schedule/known_sql.h"
#include "backend/schedule/lane.h"
#include "backend/schedule/lanes.h"
#include "backend/schedule/look.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/orphans.h"
#include "backend/schedule/validation_ask.h"
#include "backend/schedule/waiters.h"
#include "backend/snapshot.h"

struct job_worker;
struct model_runtime;

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
	bool retiring;		    /* the control thread's: more is left to be retired */
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

	uint64_t changes;		  /* of all models: as their generations */
	struct history_size history_size; /* of all models' */
	struct history_list histories;
	struct history_asks history_asks;
	bool histories_end; /* no history is read any more */
	bool pruning;	    /* of some model */
	int64_t prune_at;   /* monotonic: not earlier */
	struct lane lanes[LANE_KINDS];
	struct validation_notes validation_notes;
	bool validation_notes_end; /* nothing is recorded of validations any more */
	int64_t validating;	   /* the id of what is being carried out; 0: nothing is */

	struct manifest_news manifest;
	struct catalog *coming; /* the newest manifest, until the control thread takes it over; NULL: none */
	slot enlisted;		/* the control thread's: so many slots the store knows */
	bool torn; /* the control thread's: the store has the models of a manifest that did not come into
		      force */
	struct catalog
		*lacking; /* the reloader's, which waits for what the store remembers; NULL: it does not */
	struct known_sql known;	 /* the answer */
	pthread_cond_t recalled; /* the reloader sleeps here */
	bool remembering;  /* the control thread's: the store has not been told of all SQL that is in force */
	size_t remembered; /* the control thread's: of so many models of the current catalog it has */
	struct recode_list recodes;
	int64_t orphans_at; /* the control thread's, monotonic: when it was looked up who could build what
			       waits */
	bool reload_asked;  /* without waiting for the file to change */
	int reload_fd;	    /* immutable: an eventfd that wakes the reloader */

	pthread_t control, canceller, reloader;
	bool threads; /* they run */
	/* For the looks, refreshes and validations that were asked for by then to be over. */
	struct waiters look_waits, refresh_waits, validation_waits;
	struct checks checks;
	struct held_requests held;
	bool held_due; /* what some wait for has come, or never will: the control thread has them go on */
	pthread_cond_t cancel_wake; /* a worker is to be interrupted, or the end */
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

/* Wakes the control thread. Any thread, with or without the lock. */
static inline void control_wake(struct backend *b)
{
	store_wake(b->store);
	pthread_cond_signal(&b->paused);
}

#endif
