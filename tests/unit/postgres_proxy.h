/* SPDX-License-Identifier: Apache-2.0 */
/* Stands between a client and the server's socket, and cuts the connection at a COMMIT when told to. */
#ifndef BATCHFS_TESTS_POSTGRES_PROXY_H
#define BATCHFS_TESTS_POSTGRES_PROXY_H

enum cut {
	CUT_NEVER,
	CUT_BEFORE, /* the server never sees the COMMIT */
	CUT_AFTER,  /* it has answered; the client never sees that */
};

/* PGHOST names the proxy from then on, until proxy_stop(). */
void proxy_start(void);
void proxy_stop(void);

/* The next COMMIT that passes is cut, once. */
void proxy_cut(enum cut when);
/* From now on it is a pooler: a client is told another pid than its session has. */
void proxy_pooled(void);

/* How many were. */
unsigned proxy_cuts(void);

#endif
