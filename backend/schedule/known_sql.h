/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL that the store remembers: asked for where a manifest comes without the SQL of a model that this mount
 * does not have either, and kept when a manifest that has it has come into force.
 */
#ifndef BATCHFS_SCHEDULE_KNOWN_SQL_H
#define BATCHFS_SCHEDULE_KNOWN_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/base/error.h"

struct backend;
struct catalog;

/* What was found. Whoever asked for it frees it. */
struct known_sql {
	struct known_sql_row *rows;
	size_t n;
};

void known_sql_fini(struct known_sql *k);

/* For struct sql_memory; NULL: it is not among these. */
const char *known_sql_find(const struct known_sql *k, const char *unique_id, const char *made_of,
			   int64_t *compiled_at);

/* Whether there is a model of which only the SQL is missing. */
bool known_sql_lacking(const struct catalog *c);

/*
 * On the control thread (or before there is one), without the lock: what the store remembers for the models
 * that lack it. A failure that is the warehouse's own leaves *k empty; any other is logged and finds nothing.
 */
int known_sql_ask(struct backend *b, const struct catalog *c, struct known_sql *k, struct error *err);

/*
 * The same from another thread, which waits for the control thread, however long the warehouse is away.
 * false: the mount ends.
 */
bool known_sql_wait(struct backend *b, struct catalog *c, struct known_sql *k);

/* On the control thread, without the lock: answers who waits. A failure is the warehouse's: it is tried
 * again. */
int known_sql_answer(struct backend *b, struct error *err);

/* On the control thread, without the lock: lets the store remember some more of the SQL that is in force. */
int known_sql_remember(struct backend *b, struct error *err);

#endif
