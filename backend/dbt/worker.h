/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker and its dbt: the resident program where the dbt command is a Python script, else (or where that
 * cannot start) the command, once for each invocation. Between two invocations nothing of the warehouse is
 * held.
 */
#ifndef BATCHFS_DBT_WORKER_H
#define BATCHFS_DBT_WORKER_H

#include "backend/base/strbuf.h"
#include "backend/dbt/command.h"
#include "backend/dbt/events.h"
#include "backend/dbt/home.h"
#include "backend/dbt/process.h"

struct worker {
	struct store *store;
	int place, hold; /* of home_enter(); -1: not yet */
	char *dir;
	struct process process;
	bool no_resident;    /* it cannot start here */
	struct strbuf input; /* what the process has written of a line that has not ended */
	char said[400];	     /* the last line of the invocation that was no event */
	int wake;	     /* an eventfd: stop is set */
	bool busy, stop;     /* store.lock; stop: the call that is under way is to end */
	struct patience patience;
};

/* Each event of an invocation; false: it must end at once. */
typedef bool event_fn(void *ctx, const struct event *e);

struct invocation {
	const struct words *words;
	const struct model *m;
	event_fn *event;
	void *ctx;
	/* out: */
	bool interrupted; /* by interrupt(), or because the mount ends */
	int code;	  /* the exit code; negative: the signal that ended it */
};

/* Around every call of a worker that may run dbt. -ECANCELED: the mount is ending. */
int dbt_enter(struct worker *w, struct error *err);
void dbt_leave(struct worker *w);

/* The directory of the worker is there: w->dir. */
int dbt_place(struct worker *w, struct error *err);

/* Runs dbt. 0 when it has ended, however that was; -errno: it was not begun. */
int dbt_invoke(struct worker *w, struct invocation *i, struct error *err);

/* The facts of the model that are in force, held: model_drop() gives them back. */
const struct model *dbt_model(struct worker *w, slot model);

/* As members of struct builder_ops. */
int dbt_worker_open(struct store *s, const char *lane, struct worker **out, struct error *err);
void dbt_worker_close(struct worker *w);
void dbt_interrupt(struct worker *w);

#endif
