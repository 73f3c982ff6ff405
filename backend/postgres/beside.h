/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table beside another one, in its schema, that may take its place (exchange.h): with its columns, indexes,
 * constraints, triggers, statistics and options. Owner, rights, comments and policies come with the exchange.
 */
#ifndef BATCHFS_POSTGRES_BESIDE_H
#define BATCHFS_POSTGRES_BESIDE_H

#include "backend/postgres/pipe.h"

/* Ours, for what stands beside the target of a model. Each fits into the 63 bytes that a name has. */
struct beside {
	uint32_t target; /* oid of the table beside which it stands */
	char name[32];	 /* of the table, unqualified */
	char prefix[33]; /* what the names of its indexes, and of all else, begin with */
};

/* id: batchfs.model.id. */
void beside_init(struct beside *b, int id, uint32_t target);

/*
 * Makes the table, in a transaction that the caller has opened. It may leave behind settings of that
 * transaction: an empty search_path, for one. The caller commits. -EIO and the server's words: it
 * cannot be made, and the transaction has failed.
 */
int beside_make(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err);

/* Only what belongs to it, for the relation `name` that is there and is to be like `oid`. */
int beside_complete(struct pg_conn *c, const struct beside *b, uint32_t oid, const char *name, int64_t until,
		    struct error *err);

/* A hash of the statements that beside_make() would send now: another one, and the target was altered. */
int beside_shape(struct pg_conn *c, const struct beside *b, char shape[33], int64_t until, struct error *err);

/* Drops what stands beside, if it is ours; in a transaction of the caller's. */
int beside_drop(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err);

/* Carries out every statement that a query of ours yields, in its order. A null is -EOPNOTSUPP. */
int beside_run(struct pg_conn *c, const char *query, const struct pg_params *params, int64_t until,
	       struct error *err);

/* The parameters of the queries: which table, the name beside it, what our names begin with. */
void beside_params(const struct beside *b, struct pg_params *params);

#endif
