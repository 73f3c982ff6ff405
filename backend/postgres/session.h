/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection's session is set to, and the session in which a model's SQL runs. */
#ifndef BATCHFS_POSTGRES_SESSION_H
#define BATCHFS_POSTGRES_SESSION_H

#include "backend/postgres/pipe.h"

/*
 * Of a new connection: finds out what is at its other end before anything is set there, then the settings and
 * the role that every session of ours has. -EOPNOTSUPP: a pooler, a server too old, a worker node of a Citus
 * cluster.
 */
int session_set_up(struct pg_conn *c, int64_t deadline, struct error *err);

/* Queues what makes a session that was set up one in which a model's SQL runs. */
void session_add_models(struct pg_pipe *p);

/*
 * Queues what makes a session that a model's SQL has run in a new one again, set up and for models: settings,
 * role, temporary tables, locks, cursors. Prepared statements stay.
 */
void session_add_renewal(struct pg_pipe *p);

/* The time zone in which the session's SQL cuts days, where that is none of UTC's names; else NULL. Valid
 * until the connection is used again. */
const char *session_other_zone(const struct pg_conn *c);

#endif
