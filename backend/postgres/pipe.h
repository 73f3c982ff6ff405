/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements that travel together: queued, sent in one flush, answered in order.
 * Everything goes through the extended protocol, one statement a message, so
 * that no text can smuggle in a second statement.
 */
#ifndef BATCHFS_POSTGRES_PIPE_H
#define BATCHFS_POSTGRES_PIPE_H

#include "backend/postgres/conn.h"
#include "backend/postgres/value.h"

struct pg_pipe {
	struct pg_conn *conn;
	int64_t deadline;
	PGresult **results; /* one a statement, in order; NULL: no answer came */
	size_t n, size;
	size_t preparing[2]; /* 1 + the slot in which kept statement i is prepared; 0: none is */
	unsigned syncs;
	bool tolerant; /* a failing statement is the caller's to look at */
	bool broken;   /* could not be queued */
	bool lost;     /* out: the connection went while statements were under way */
	int failed;    /* out: the first statement that failed; -1: none */
};

#define auto_pipe __attribute__((cleanup(pg_pipe_fini))) struct pg_pipe
#define PG_PIPE(c, until)                                                                                    \
	{                                                                                                    \
		.conn = (c), .deadline = (until), .failed = -1                                               \
	}
void pg_pipe_fini(struct pg_pipe *p);

/* Each returns the statement's number. params may be NULL. */
size_t pg_add(struct pg_pipe *p, const char *sql, const struct pg_params *params);
size_t pg_add_named(struct pg_pipe *p, const char *name, const struct pg_params *params);
size_t pg_add_prepare(struct pg_pipe *p, const char *name, const char *sql);
size_t pg_add_describe(struct pg_pipe *p, const char *name);
/* A statement of ours that is costly to plan: prepared once a connection. which: 0 or 1, always with the same
 * sql. */
size_t pg_add_kept(struct pg_pipe *p, unsigned which, const char *sql, const struct pg_params *params);
/* BEGIN of a transaction of ours, with the settings every one of them has. */
void pg_add_begin(struct pg_pipe *p);
void pg_add_begin_snapshot(struct pg_pipe *p); /* read only, one snapshot for all statements */
/* Ends a segment: what fails before it does not skip what comes after it. */
void pg_add_sync(struct pg_pipe *p);

/*
 * Sends, and reads all answers. A transaction that failed is rolled back. 0, or
 * -errno with *err from the first statement that failed (-EIO and its SQLSTATE);
 * p->lost with -ETIMEDOUT (what was sent may have been carried out), -ECANCELED,
 * -EINTR: the connection is closed.
 */
int pg_run(struct pg_pipe *p, struct error *err);

/*
 * Its two halves, for two pipes on the way at once: both are sent, then received in that order.
 * last: nothing is on its way behind this one, so that a failed transaction can be rolled back.
 */
int pg_send(struct pg_pipe *p, struct error *err);
int pg_receive(struct pg_pipe *p, bool last, struct error *err);

/* One statement alone, for its result. */
int pg_query(struct pg_conn *c, int64_t deadline, const char *sql, const struct pg_params *params,
	     PGresult **out, struct error *err);

/* One that always yields a row: -EIO where there is none. */
int pg_query_row(struct pg_conn *c, int64_t deadline, const char *sql, const struct pg_params *params,
		 PGresult **out, struct error *err);

#endif
