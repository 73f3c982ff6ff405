/* SPDX-License-Identifier: Apache-2.0 */
/* SQL that is remembered: the store's recall() and remember(). */
#ifndef BATCHFS_POSTGRES_COMPILED_H
#define BATCHFS_POSTGRES_COMPILED_H

#include "backend/postgres/pgstore.h"

int pg_recall(struct store *s, const struct compiled_sql *asked, size_t n, compiled_sql_fn *tell, void *ctx,
	      struct error *err);
int pg_remember(struct store *s, const struct compiled_sql *list, size_t n, struct error *err);

#endif
