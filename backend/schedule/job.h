/* SPDX-License-Identifier: Apache-2.0 */
/* The job that a worker has, and what is marked of its batches. Every field is protected by the lock of its
 * backend. */
#ifndef BATCHFS_SCHEDULE_JOB_H
#define BATCHFS_SCHEDULE_JOB_H

#include <pthread.h>

#include "backend/backend.h"
#include "backend/engine.h"
#include "backend/models.h"

enum job_kind { JOB_NONE, JOB_BUILD, JOB_PREPARE };

struct job_worker {
	struct backend *b;
	pthread_t thread;
	bool started;
	pthread_cond_t wake;
	enum job_kind kind; /* JOB_NONE: idle */
	struct build_run run;
	struct held_catalog *held;  /* of a run, until it ends: the catalog it was claimed with */
	const struct model *facts;  /* in there */
	int64_t served;		    /* of the claim: a cancel with a higher seq ends its attempts */
	struct run_marks under_way; /* the builder has begun it in the warehouse; `ended` says when it has
				       ended */
	struct run_marks cancelled; /* to be cancelled */
	struct run_marks ended;
	struct run_marks begun;	     /* the builder's, until it reports its end */
	struct run_marks taken;	     /* taken back before it had begun */
	int64_t since;		     /* monotonic: when the last batch began */
	int64_t answered[CLAIM_MAX]; /* of what is cancelled: every request up to this seq is answered by its
					end */
	bool unfenced;		     /* to be ended: another mount may take it over (cancel_unfenced()) */
	bool interrupt;		     /* the canceller shall end what is in flight */
	bool interrupting;	     /* the canceller uses `worker`, without the lock */
	struct open_worker *worker;  /* set by its own thread before it takes its first job */
};

#endif
