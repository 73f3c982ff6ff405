/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_POSTGRES_CANCEL_H
#define BATCHFS_POSTGRES_CANCEL_H

#include <pthread.h>

#include "backend/postgres/conn.h"

/*
 * How another thread ends a statement: it asks, and the thread that owns the
 * connection, woken in pg_wait(), has the server cancel it over a second
 * connection. So nothing is sent on the first one before the cancel is done
 * (facts: a cancel under way may hit the next statement), and a server that hangs
 * holds up neither. Repeated each second, because a cancel may come too early.
 */
struct pg_cancel {
	struct pg_waker waker; /* of the connection that it interrupts; first */
	pthread_mutex_t lock;  /* protects armed and asked */
	bool armed;	       /* something is under way that may be interrupted */
	bool asked;
	int64_t next_try;
	unsigned unreached; /* tries that did not get through to the server */
	struct pg_conn side;
};

int pg_cancel_init(struct pg_cancel *x, const struct pg_conn *model, struct error *err);
void pg_cancel_fini(struct pg_cancel *x);
void pg_cancel_forget(struct pg_cancel *x); /* what was asked before */
void pg_cancel_arm(struct pg_cancel *x, bool armed);
void pg_cancel_ask(struct pg_cancel *x); /* any thread */
bool pg_cancel_asked(struct pg_cancel *x);

#endif
