/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount knows of a model beside its facts and its batches: its target, its refusals, its failures. */
#ifndef BATCHFS_SCHEDULE_MODEL_H
#define BATCHFS_SCHEDULE_MODEL_H

#include "backend/attempts.h"
#include "backend/backend.h"
#include "backend/engine.h"
#include "backend/report/report.h"
#include "backend/schedule/history.h"
#include "backend/schedule/refresh.h"
#include "backend/validation/list.h"

/* Protected by the lock of the backend. */
struct model_runtime {
	char *why_not, *notes; /* what the store says of its target; NULL: nothing */
	const char *strategy;  /* how its batches are replaced; constant. NULL: not known */
	enum time_type event_time_type;
	char sqlstate[6]; /* of why_not; "": none */
	bool exists;	  /* the target's table, as far as is known */
	bool lookable;	  /* and whether anybody can look at it */
	bool forgotten; /* what is recorded of it is not in the ledger: the first look that succeeds reads it
			 */
	bool prepared, preparing;
	bool lasting; /* why_not stays as long as the mount lives */
	struct error *
		prepare_error; /* why the last prepare failed: the next run fails with it; NULL: it did not */
	int64_t prepared_at;   /* monotonic: of that */
	int64_t refused_at;    /* monotonic: whether why_not still stands is not looked at earlier */
	int64_t look_at;       /* monotonic: the table is not looked at earlier, unless the clock says so */
	int64_t clock_at;      /* monotonic: when the clock says so */
	unsigned looks;	       /* that failed, one after the other */
	bool telling;	       /* all that was known is void, and what is known now is still being told */
	bool told_looked;      /* and it was looked at before that */
	unsigned anew;	       /* how often its table was another one: an older look says nothing of it */
	uint64_t asked, answered; /* looks that were asked for, and how many of those are over */
	int64_t looked_at;	  /* us: the end of the last look that saw the table; 0: none yet */
	int64_t found_at;     /* us: of the last one that found something, or was the first; 0: none yet */
	size_t adopted, gone; /* what that found: batches */
	/*
	 * Why the last look could not be; NULL: it was. Where nobody has looked at the table yet the model
	 * cannot be built for that: it stands until somebody has looked, or another table is there.
	 */
	char *look_failed;
	char look_sqlstate[6]; /* of look_failed; "": none */
	unsigned lost;	       /* connections, each while it was prepared or looked at, one after the other */
	unsigned missed;       /* runs that found another target than was prepared, one after the other */
	int64_t not_before;    /* monotonic: backing off */
	unsigned passing;      /* failures in passing, one after the other */
	unsigned ended;	       /* attempts, here */
	unsigned held;	       /* requests that wait for looks (held.h) and are not answered */
	struct attempt_counts attempts;
	bool prune;		  /* they may be too many now */
	int64_t cancel_frozen_at; /* monotonic: when to look again for what is queued and frozen */
	struct store_known known; /* how far its requests are known here */
	unsigned cancels;	  /* asked for and not recorded yet: nothing is claimed over them */
	int64_t spoiled_at; /* us: the latest failure that its readers without a window were skipped for */
	int64_t failed_at;  /* us: the end of the latest batch that has failed or was skipped, anywhere */
	int64_t changed_at;
	uint64_t generation; /* rises with every change */
	struct refresh_runtime refresh;
	struct history_size history_size;
	struct report_kept kept;
	struct validation_list validations;
};

/* With the lock: what the store has found out about the model's target. */
void model_target(struct model_runtime *m, const struct store_target *target);

/* With the lock. why_not NULL: the model can run here. Its reasons are the manifest's, the store's and the
 * look's, each kept apart, so that none goes with another. */
bool model_runs(const struct backend *b, slot model);
const char *model_why_not(const struct backend *b, slot model);
/* With the lock, of a model with a why_not; "": there is none. */
const char *model_sqlstate(const struct backend *b, slot model);
/* With the lock: what the target refuses the model for. why_not "": nothing; sqlstate "": there is none. */
void model_refuses(struct model_runtime *m, const char *why_not, const char *sqlstate);
/* With the lock: why the last look could not be. text "": it was; sqlstate "": there is none. */
void model_look_failed(struct model_runtime *m, const char *text, const char *sqlstate);

#endif
