/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_POSTGRES_ENCODING_H
#define BATCHFS_POSTGRES_ENCODING_H

#include "backend/postgres/pgstore.h"

/* held[i]: the database knows every character of the names of models[i] and what that reads. */
int names_held(struct store *s, struct pg_conn *c, struct pg_model *const *models, size_t n, bool *held,
	       int64_t deadline, struct error *err);

#endif
