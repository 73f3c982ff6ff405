/* SPDX-License-Identifier: Apache-2.0 */
/* Validations: carried out (validate.c), kept, and told of (validations.c). */
#ifndef BATCHFS_POSTGRES_VALIDATIONS_H
#define BATCHFS_POSTGRES_VALIDATIONS_H

#include "backend/postgres/pgstore.h"

void report_validations(struct store *s, const PGresult *r, const struct store_sink *sink);
/* What was asked for on a mount that is no more, is this one's from now on. */
int validations_take_over(struct store *s, const struct store_sink *sink, struct error *err);

/* The builder's. */
int pg_validate(struct worker *w, slot model, struct ordinal_range batches, struct tally *out,
		struct error *err);
int pg_keep_validations(struct worker *w, struct store_validation *list, size_t n, struct error *err);

#endif
