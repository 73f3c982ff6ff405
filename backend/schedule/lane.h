/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane: a thread beside those that build, for jobs that may take long, with a worker of its own, and so a
 * connection, that lasts only as long as there is something to do or to be looked for. What must not wait for
 * the jobs of one lane has another lane.
 *
 * A lane has no queue. Whoever has jobs for it is a source, which knows from the state of the backend whether
 * there is something to do, and says when to ask it again. Sources are asked in their order: the first has
 * precedence.
 */
#ifndef BATCHFS_SCHEDULE_LANE_H
#define BATCHFS_SCHEDULE_LANE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/slot.h"

struct backend;
struct error;
struct lane;
struct open_worker;

struct lane_job {
	void (*run)(struct lane *l, const struct lane_job *job); /* on the lane's thread, without the lock */
	slot model;
	void *what; /* its source's, as the following */
	int kind;
};

/*
 * With the lock. True: *job is to be done now, and is nobody else's any more. False: nothing is to be done
 * before *next_us (monotonic), which the source may only lower; left alone, not before lane_wake().
 */
typedef bool lane_source_fn(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us);

/* Of a lane whose jobs can be ended one by one, while the others go on. Protected by the lock. */
struct lane_step {
	slot turn;		    /* the model that is asked first for the next one */
	slot model;		    /* whose step is under way, and can be ended; SLOT_NONE: none */
	bool interrupt;		    /* it is to end */
	bool interrupting;	    /* the canceller is at it: the lane keeps its worker */
	pthread_cond_t interrupted; /* it has been at it */
};

/* Immutable once the thread runs, but for the worker and the step. */
struct lane {
	struct backend *b;
	const char *name;	  /* as worker_open() of builder.h takes it */
	lane_source_fn **sources; /* NULL ends them */
	/* Its thread ends, and nothing of its sources will be done. NULL: nobody has to know. */
	void (*end)(struct backend *b);
	pthread_t thread;
	pthread_cond_t wake;
	int64_t pause_until; /* its thread's, monotonic */
	/* Changed by the lane's thread alone, with the lock; others read it with the lock. NULL: none now. */
	struct open_worker *worker;
	struct lane_step step; /* steps.h */
};

void lane_init(struct lane *l, const pthread_condattr_t *monotonic);
void lane_fini(struct lane *l);

/* Its thread, until the control thread has ended. */
void *lane_main(void *lane);

/* With the lock: a source has something to do, or the end has come. */
void lane_wake(struct lane *l);

/*
 * On its thread, for a job: the worker, opened if there is none. 0, or -errno (no memory): that is logged,
 * and the lane does nothing for a second.
 */
int lane_worker(struct lane *l, struct open_worker **out, struct error *err);

/* Any other thread, without the lock, when the backend is stopping: ends what its worker does. */
void lane_interrupt(struct lane *l);

#endif
