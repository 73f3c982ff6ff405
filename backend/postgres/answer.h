/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that are answered without being built (SETTLE_SKIPPED, SETTLE_CANCELLED), as a part of settle's
 * transaction. Control thread. */
#ifndef BATCHFS_POSTGRES_ANSWER_H
#define BATCHFS_POSTGRES_ANSWER_H

#include "backend/postgres/pgstore.h"

/* Add each, send, and after the pipe has run take (result 0 where it was written). */
#define ANSWER_COLUMNS 11
struct answers {
	struct pg_columns columns;
	struct pg_params rows, answer;
	size_t n, at;
};
#define auto_answers __attribute__((cleanup(answers_fini))) struct answers
void answers_init(struct answers *a);
void answers_add(const struct store *s, struct answers *a, size_t number, const struct store_outcome *o);
void answers_send(const struct store *s, struct answers *a, struct pg_pipe *p);
void answers_take(const struct answers *a, const struct pg_pipe *p, struct store_outcome *outcomes);
void answers_fini(struct answers *a);

/* Neighbours that become one row; returns the statement's number. range_take() after the pipe has run. */
size_t range_add(const struct store *s, struct pg_pipe *p, const struct store_outcome *o);
void range_take(const struct store *s, const PGresult *r, struct store_outcome *o);

#endif
