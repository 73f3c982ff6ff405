/* SPDX-License-Identifier: Apache-2.0 */
/* Which batches hold rows, by `dbt show`. */
#ifndef BATCHFS_DBT_LOOK_H
#define BATCHFS_DBT_LOOK_H

#include "backend/builder.h"

struct found_batches {
	ordinal *list; /* ascending, none twice; to be freed */
	size_t n;
	bool there; /* the table exists */
};

/* Reads the rows that dbt shows of words_look(): -EINVAL: they are not what was asked for. */
int shown_batches(const char *rows, enum batch_size size, struct found_batches *out, struct error *err);

/* As a member of struct builder_ops. */
int dbt_look(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
	     struct error *err);

#endif
