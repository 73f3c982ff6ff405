/* SPDX-License-Identifier: Apache-2.0 */
/* What a model's query yields: the columns and the type of its event_time. */
#ifndef BATCHFS_SQLITE_SHAPE_H
#define BATCHFS_SQLITE_SHAPE_H

#include "backend/sqlite/warehouse.h"

struct query_shape {
	char **names, **types; /* NULL-terminated; a type may be "" */
	enum time_type time;
};

/*
 * Compiles the query over the batch that holds `at` and runs it up to its first row with an
 * event_time. -EOPNOTSUPP: its event_time is no time. Input types must be known.
 */
int query_shape(struct worker *w, int64_t at, struct query_shape *out, struct error *err);
/*
 * Whether the query over that batch can be compiled by itself, where it may only read: within a statement of
 * ours it could otherwise close our brackets, or use functions that are ours.
 */
int query_check(struct worker *w, int64_t at, struct error *err);

/*
 * Of a target that is not there yet: what the query says without being run, so that X.sql can be read
 * before the first build. Where it cannot be said nothing is learnt. `file` is the caller's connection.
 */
void target_guess(struct store *s, sqlite3 *file, slot model);
void query_shape_fini(struct query_shape *q);

#endif
