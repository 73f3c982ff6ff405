/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_POSTGRES_CONNECT_H
#define BATCHFS_POSTGRES_CONNECT_H

#include "backend/postgres/conn.h"

/*
 * Makes sure of a connection that can be used: to the server where the mount's control connection is, with a
 * session that is set up. Deadline in us of the monotonic clock. -ECONNREFUSED (another server, too),
 * -EHOSTUNREACH (no answer), -ECANCELED (abandoned), -EOPNOTSUPP (a pooler, a server too old).
 */
int pg_connect(struct pg_conn *c, int64_t deadline, struct error *err);

#endif
