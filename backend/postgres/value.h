/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into a statement and comes out of its result, all as text. */
#ifndef BATCHFS_POSTGRES_VALUE_H
#define BATCHFS_POSTGRES_VALUE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/base/error.h"
#include "backend/base/strbuf.h"
#include "backend/calendar.h"

/* Parameters as text; points into itself, so it must not be copied. */
struct pg_params {
	int n;
	const char *value[20];
	char text[20][CALENDAR_TIME_MAX + 4];
};
void pg_param_text(struct pg_params *p, const char *text); /* not copied; NULL: null */
void pg_param_int(struct pg_params *p, int64_t value);
void pg_param_time(struct pg_params *p, int64_t us);

/* Array literals: pg_array_*() each element, then pg_array_end(), in a strbuf that was empty. */
void pg_array_text(struct strbuf *b, const char *text);
void pg_array_int(struct strbuf *b, int64_t value);
void pg_array_time(struct strbuf *b, int64_t us);
void pg_array_end(struct strbuf *b);

/* Rows as parameters: an array literal for each column, of which every row adds one element. */
#define PG_COLUMNS_MAX 16
struct pg_columns {
	size_t n;
	struct strbuf column[PG_COLUMNS_MAX];
};
#define auto_columns __attribute__((cleanup(pg_columns_fini))) struct pg_columns
void pg_columns_init(struct pg_columns *c, size_t n);
void pg_columns_end(struct pg_columns *c); /* no row comes any more */
bool pg_columns_broken(const struct pg_columns *c);
void pg_param_columns(struct pg_params *p, const struct pg_columns *c, size_t first, size_t n);
void pg_columns_fini(struct pg_columns *c);

#define auto_result __attribute__((cleanup(pg_result_clear))) PGresult
void pg_result_clear(PGresult **r);

/* The values of a result: 0, "", false or -1 (count) where null, and where there is no such row. */
int64_t pg_int(const PGresult *r, int row, int col);
int64_t pg_count(const PGresult *r, int row, int col);
int64_t pg_time(const PGresult *r, int row, int col);
bool pg_bool(const PGresult *r, int row, int col);
const char *pg_text(const PGresult *r, int row, int col);
bool pg_null(const PGresult *r, int row, int col);

/* The server's message, its detail and its hint as one sentence each. Returns -err. */
int pg_error(struct error *err, int code, const PGresult *r);

/* Of a message from libpq or the server: newlines become blanks. */
void pg_one_line(char *text);

#endif
