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

struct guest_worker {
	struct guest *home;
	struct place place; /* of home_enter() */
	char *dir;	    /* of that; NULL: not yet */
	struct process process;
	bool no_resident;    /* it cannot start here */
	struct strbuf input; /* what the process has written of a line that has not ended */
	char said[400];	     /* the last line of the invocation that was no event */
	int wake;	     /* an eventfd: stop is set */
	bool busy, stop;     /* home.lock; stop: the call that is under way is to end */
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
int dbt_enter(struct guest_worker *w, struct error *err);
void dbt_leave(struct guest_worker *w);

/* The directory of the worker is there: w->dir. */
int dbt_place(struct guest_worker *w, struct error *err);

/* Runs dbt. 0 when it has ended, however that was; -errno: it was not begun. */
int dbt_invoke(struct guest_worker *w, struct invocation *i, struct error *err);

/* As members of struct guest_ops. */
int dbt_worker_open(struct guest *h, const char *lane, struct guest_worker **out, struct error *err);
void dbt_worker_close(struct guest_worker *w);
void dbt_interrupt(struct guest_worker *w);

#endif
