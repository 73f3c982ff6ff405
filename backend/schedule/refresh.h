/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full refreshes on their way (backend/refresh.h). Where one stands is recorded; what a mount decides is its
 * next step: the lane clears, the control thread records each step. Of several mounts one clears, and each of
 * them may record that all is built.
 */
#ifndef BATCHFS_SCHEDULE_REFRESH_H
#define BATCHFS_SCHEDULE_REFRESH_H

#include "backend/backend.h"
#include "backend/engine.h"

/* Of a model. Protected by the lock. */
struct refresh_runtime {
	int64_t cleared;  /* the refresh whose clear phase is over here, which is still to be recorded */
	int64_t broken;	  /* the one that cannot be cleared */
	char *why_broken; /* NULL: none is */
	struct refresh_failure *failure; /* of a batch, if that has broken it; NULL: something else has */
	int64_t cancelled;		 /* the one that an rm of this mount ends */
	/* The one for which this mount has claimed the batch that the table is made anew with. */
	int64_t begun;
	int64_t clear_at;  /* monotonic: the next step of the clearing is not tried earlier */
	int64_t place_of;  /* the refresh that `place` is of */
	unsigned place;	   /* struct clear_step.at */
	int64_t ready;	   /* the one whose table beside is complete, which is still to be recorded */
	int64_t beside;	   /* the one that a step beside the table was taken for here */
	int64_t tidied;	   /* the one of which nothing stands beside any more */
	int64_t beside_at; /* monotonic: the next step beside the table is not tried earlier */
	unsigned tries;	   /* of a batch beside the table, which fails for a reason that may pass */
	int64_t looked_at; /* the refresh that `seen` and `next` are of */
	uint64_t seen;	   /* generation of the model when the build phase was looked at last */
	ordinal next;	   /* a batch that was still to be built then */
};

/* The control thread: records the steps that are due, and answers who waits for the end. -errno of the store.
 */
int refresh_settle(struct backend *b, struct error *err);

#endif
