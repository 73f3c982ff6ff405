/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk: neighbouring batches of one model that are built by one invocation of dbt. It turns what dbt tells
 * into reports of builder.build, and in the end gives every batch that dbt has not spoken of its outcome.
 * Nothing is called done but what an event or run_results.json of this very invocation calls a success, and
 * nothing stays done that this file denies. No lock, no process: the caller feeds it.
 */
#ifndef BATCHFS_DBT_CHUNK_H
#define BATCHFS_DBT_CHUNK_H

#include "backend/builder.h"
#include "backend/dbt/events.h"
#include "backend/dbt/results.h"

#define CHUNK_THREADS 16

/* The error that a thread of dbt's has told, and that belongs to the batch that ends in it next. */
struct thread_error {
	char thread[64]; /* "": free */
	char text[900];
};

struct chunk {
	/* Set by the caller. */
	const struct clock *clock;
	const struct model *m;
	const struct build_run *run;
	ordinal first; /* all of first .. first + count - 1 have an attempt */
	uint32_t count;
	build_report_fn *report;
	void *ctx;
	/* The chunk's own. */
	char invocation[64];					/* "": no event has come yet */
	struct run_marks started, ended, done, failed, skipped; /* ended: reported for good */
	int64_t since[CLAIM_MAX];
	struct thread_error errors[CHUNK_THREADS];
	char last_error[900]; /* whoever told it; "": none */
	char stop[400];	      /* why the invocation must end at once; "": it need not */
};

/* How the invocation has ended. */
struct chunk_end {
	bool interrupted; /* by us: cancelled, or the mount ends */
	int code;	  /* the exit code; negative: the signal that ended it */
	const char *said; /* the last that it said which was no event; "" */
};

void chunk_event(struct chunk *c, const struct event *e);

/* Every batch has its outcome when it returns. Whether the next chunk of the run may begin. */
bool chunk_settle(struct chunk *c, const struct results *results, const struct chunk_end *how);

/* Whether an error with this text is worth another try. */
bool error_may_pass(const char *text);

#endif
