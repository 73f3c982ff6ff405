/* SPDX-License-Identifier: Apache-2.0 */
/* SQL that a store remembers: a manifest that comes without a model's SQL takes nothing away, on no mount. */
#ifndef BATCHFS_COMPILED_SQL_H
#define BATCHFS_COMPILED_SQL_H

#include <stddef.h>
#include <stdint.h>

/* A model's SQL as dbt compiled it. Strings are whoever's it is. */
struct compiled_sql {
	const char *unique_id, *made_of; /* the key: struct model */
	const char *relation;		 /* as dbt names it: of each relation so many are kept */
	const char *sql;
	int64_t compiled_at; /* us, the system's clock, whatever now= says: it tells which of two is newer */
};

/* Of one model and relation so many are kept, the ones that were used last. */
#define COMPILED_KEPT 16

/* Is told of what was asked for: asked[i] has this SQL, which is valid during the call. */
typedef void compiled_sql_fn(void *ctx, size_t i, const char *sql, int64_t compiled_at);

#endif
