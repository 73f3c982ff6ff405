/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection that never blocks for good: every wait is a poll() on its socket
 * and on the eventfd that abandon() makes readable. Belongs to one thread.
 */
#ifndef BATCHFS_POSTGRES_CONN_H
#define BATCHFS_POSTGRES_CONN_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/base/error.h"
#include "backend/store.h"

#define PG_NO_DEADLINE INT64_MAX

struct pg_cancel;

struct pg_conn {
	PGconn *pq; /* NULL: not connected; always in pipeline mode */
	const struct engine_config *config;
	const char *purpose; /* for application_name */
	int64_t owner;
	int abandon_fd;		  /* readable for ever once abandoned; not ours to close */
	struct pg_cancel *cancel; /* NULL: nobody interrupts it */
	unsigned generation;	  /* rises with every connection made */
	unsigned kept;		  /* bit i: the server has prepared statement i of pg_add_kept() */
};

/*
 * Connects if it is not; deadline in us of the monotonic clock. -ECONNREFUSED,
 * -EHOSTUNREACH (no answer), -ECANCELED (abandoned), -EOPNOTSUPP (a pooler, a server too old).
 */
int pg_connect(struct pg_conn *c, int64_t deadline, struct error *err);
void pg_disconnect(struct pg_conn *c);

/* 0: the socket is ready for `events` (poll's). -ETIMEDOUT, -ECANCELED, -EINTR (interrupted, and the server
 * not reached). */
int pg_wait(struct pg_conn *c, short events, int64_t deadline);

/* Sleeps until the deadline. -ECANCELED when abandoned. */
int pg_pause(int abandon_fd, int64_t deadline);

/*
 * How another thread ends a statement: it asks, and the thread that owns the
 * connection, woken in pg_wait(), has the server cancel it over a second
 * connection. So nothing is sent on the first one before the cancel is done
 * (facts: a cancel under way may hit the next statement), and a server that hangs
 * holds up neither. Repeated each second, because a cancel may come too early.
 */
struct pg_cancel {
	pthread_mutex_t lock; /* protects armed and asked */
	bool armed;	      /* something is under way that may be interrupted */
	bool asked;
	int fd; /* eventfd: wakes the owner */
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

/* Cancels what c does if that is due. 0 and *next: when to look again; -EINTR: give the connection up. */
int pg_cancel_due(struct pg_cancel *x, const struct pg_conn *c, int64_t now, int64_t *next);

/* Of a message from libpq or the server: newlines become blanks. */
void pg_one_line(char *text);

#endif
