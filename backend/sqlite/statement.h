/* SPDX-License-Identifier: Apache-2.0 */
/* The statements that build one batch: made here for the worker and for X.sql alike. */
#ifndef BATCHFS_SQLITE_STATEMENT_H
#define BATCHFS_SQLITE_STATEMENT_H

#include "backend/sqlite/warehouse.h"

enum batch_statement {
	STATEMENT_BEGIN,
	STATEMENT_FENCE, /* the state row, first; no change: another attempt has taken over */
	STATEMENT_DELETE,
	STATEMENT_INSERT, /* the only one with SQL of the model in it */
	STATEMENT_STATE,  /* rows and end, once they are known */
	STATEMENT_HISTORY,
	STATEMENT_COMMIT,
	STATEMENTS,
};

/* :parameters are bound by the worker. */
struct batch_sql {
	struct strbuf text[STATEMENTS];
};

/*
 * Without the ';'. Under store.lock. -EINVAL: no literal can be written (a type is not
 * known), -ENODATA: the target's columns are not known.
 */
int batch_sql_make(struct store *s, slot model, const struct edition *e, ordinal batch, struct batch_sql *out,
		   struct error *err);
void batch_sql_fini(struct batch_sql *sql);

/* Every SELECT that shows whether the batch's window of an input holds values that are no times; "" if none
 * is needed. */
int input_check_sql(const struct edition *e, size_t input, ordinal batch, struct strbuf *out,
		    struct error *err);

#endif
