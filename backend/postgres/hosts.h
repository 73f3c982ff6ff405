/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a connection may go: every address of every host that the service or the environment names. libpq has
 * a time limit for each of them only where it blocks (PQconnectdb), so that they are dialled one by one.
 */
#ifndef BATCHFS_POSTGRES_HOSTS_H
#define BATCHFS_POSTGRES_HOSTS_H

#include <libpq-fe.h>
#include <stddef.h>

#include "backend/base/error.h"

/* Where a server is, as libpq takes it; "": as the service or the environment says. */
struct pg_address {
	char host[256], ip[64], port[16]; /* ip "": a socket, or a name that nobody could resolve */
};

struct pg_hosts {
	struct pg_address *list; /* in the order in which they are tried */
	size_t n;
};

#define auto_hosts __attribute__((cleanup(hosts_fini))) struct pg_hosts

/*
 * What the connection, which PQconnectStart has begun, would try. Asks the name service, as libpq does: it
 * may block. -ENOMEM.
 */
int hosts_read(PGconn *pq, struct pg_hosts *out, struct error *err);
void hosts_fini(struct pg_hosts *h);

#endif
