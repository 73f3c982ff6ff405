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
#include "backend/postgres/hosts.h"
#include "backend/store.h"

#define PG_NO_DEADLINE INT64_MAX
#define PG_SERVER_MAX  200

struct pg_conn;
struct pg_home;

/* How another thread ends a wait: cancel.h has one. */
struct pg_waker {
	int fd; /* eventfd: wakes pg_wait(), which empties it */
	/* On the thread that waits. 0 and *next: when to be asked again; -EINTR: give the connection up. */
	int (*due)(struct pg_waker *w, const struct pg_conn *c, int64_t now, int64_t *next);
};

struct pg_conn {
	PGconn *pq; /* NULL: not connected; always in pipeline mode */
	const struct engine_config *config;
	const char *purpose; /* for application_name */
	int64_t owner;
	struct pg_home *home;	    /* of the mount; home.h. Outlives the connection */
	bool leads;		    /* it is the control connection: home is where it is */
	char server[PG_SERVER_MAX]; /* that it has come to */
	int abandon_fd;		    /* readable for ever once abandoned; not ours to close */
	struct pg_waker *waker;	    /* NULL: nobody interrupts it */
	unsigned generation;	    /* rises with every connection made */
	bool checks_client;	    /* the server may be told to look whether we still live */
	unsigned kept;		    /* bit i: the server has prepared statement i of pg_add_kept() */
};

/*
 * The connection alone, before anything is known of what is at its other end (connect.h): to the first that
 * answers of the addresses that there are (hosts.h), each of which gets its share of the time. Deadline in us
 * of the monotonic clock. -ECONNREFUSED, -EHOSTUNREACH (no answer), -ECANCELED (abandoned).
 */
int pg_dial(struct pg_conn *c, const struct pg_address *at, int64_t deadline, struct error *err);
void pg_disconnect(struct pg_conn *c);

/* 0: the socket is ready for `events` (poll's). -ETIMEDOUT, -ECANCELED, -EINTR (interrupted, and the server
 * not reached). */
int pg_wait(struct pg_conn *c, short events, int64_t deadline);

/* Sleeps until the deadline. -ECANCELED when abandoned. */
int pg_pause(int abandon_fd, int64_t deadline);

#endif
