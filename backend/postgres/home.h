/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a mount's control connection is: every other connection of the mount goes to the same server, and
 * proves that it has come there. With several hosts in PGHOST, or one address that several servers share,
 * requests would else be recorded on one server and built on another.
 */
#ifndef BATCHFS_POSTGRES_HOME_H
#define BATCHFS_POSTGRES_HOME_H

#include <pthread.h>

#include "backend/postgres/conn.h"

struct pg_home {
	pthread_mutex_t lock; /* innermost; protects everything here */
	bool known;
	struct pg_address at;
	char server[PG_SERVER_MAX]; /* which it is, and since when it is primary: as pg_conn.server */
	char processes[256];	    /* pids that change when it recovers from a crash of its own */
	unsigned lives;		    /* rises when the control connection finds either changed */
};

void home_init(struct pg_home *h);
void home_fini(struct pg_home *h);

/* Where the control connection is; empty as long as it was never anywhere. */
void home_address(struct pg_home *h, struct pg_address *at);

/*
 * Of a new connection, set up. The control connection makes its server the home; any other must have come
 * there: -ECONNREFUSED. What the role may not know of the server is left out of the comparison.
 */
int home_check(struct pg_conn *c, int64_t deadline, struct error *err);

/* Whether an older connection is still where the control connection is now. */
bool home_still(const struct pg_conn *c);

unsigned home_lives(struct pg_home *h);

#endif
