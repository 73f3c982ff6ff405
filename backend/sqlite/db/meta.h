/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of ours in a database file: which version of them it has, and how it gets the present one. */
#ifndef BATCHFS_SQLITE_META_H
#define BATCHFS_SQLITE_META_H

#include "backend/sqlite/db/db.h"

struct schema {
	int version;		  /* the present one */
	const char *const *steps; /* steps[i] makes version i + 1 of version i; `version` of them */
};

/*
 * Whether the tables are there; -EINVAL: they are not of this version, and *err names both. For who only
 * reads.
 */
int meta_check(sqlite3 *db, const struct schema *schema, bool *present, struct error *err);

/* Makes the tables, or brings them up to date, in one transaction. -EINVAL: they are of a newer batchfs. */
int meta_make(sqlite3 *db, const struct schema *schema, struct error *err);

/* What no other file has. -EINVAL: it has none. */
int meta_identity(sqlite3 *db, char *out, size_t size, struct error *err);

#endif
