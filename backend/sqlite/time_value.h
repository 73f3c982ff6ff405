/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite has no type for times; what an event_time holds is seen in its values:
 * TEXT `YYYY-MM-DD[ HH:MM:SS[.ffffff]]` in UTC, or INTEGER seconds since 1970.
 */
#ifndef BATCHFS_SQLITE_TIME_VALUE_H
#define BATCHFS_SQLITE_TIME_VALUE_H

#include <sqlite3.h>

#include "backend/calendar.h"
#include "backend/window_sql.h"

/* TIME_TEXT, TIME_EPOCH (*us: when; may be NULL), or TIME_UNSUPPORTED. Not for null. */
enum time_type time_value_type(sqlite3_value *value, int64_t *us);

/* What a column without rows is taken for: by its declared type (NULL or "": none, then TIME_TEXT). */
enum time_type time_declared_type(const char *declared);

/*
 * Finds the type of `expression` in `relation` (both SQL) by its smallest and largest value.
 * TIME_UNKNOWN: there is no value. TIME_UNSUPPORTED: *err names relation, column and the value;
 * it returns 0 all the same. -errno: the query itself failed.
 */
int time_probe(sqlite3 *db, const char *relation, const char *expression, enum time_type *type,
	       int64_t *last_us, struct error *err);

#endif
