/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/time_value.h"

#include <ctype.h>
#include <string.h>

#include "backend/sqlite/db/db.h"

/* 9: a digit, 0: the end may come here, else the byte itself. */
static const char shape[] = "9999-99-99 99:99:99.999999";
#define DATE_LEN    10
#define SECONDS_LEN 19

static bool text_shape(const char *text, size_t len)
{
	if (len >= sizeof shape || (len != DATE_LEN && len != SECONDS_LEN && len < SECONDS_LEN + 2))
		return false;
	for (size_t i = 0; i < len; i++)
		if (shape[i] == '9' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return false;
	return true;
}

enum time_type time_value_type(sqlite3_value *value, int64_t *us)
{
	int64_t at = 0;
	int32_t offset;
	switch (sqlite3_value_type(value)) {
	case SQLITE_INTEGER:
		at = sqlite3_value_int64(value);
		/* Milliseconds and microseconds lie far outside. */
		if (at < CALENDAR_MIN_US / 1000000 || at >= CALENDAR_END_US / 1000000)
			return TIME_UNSUPPORTED;
		if (us)
			*us = at * 1000000;
		return TIME_EPOCH;
	case SQLITE_TEXT: {
		const char *text = (const char *)sqlite3_value_text(value);
		if (!text || !text_shape(text, (size_t)sqlite3_value_bytes(value)) ||
		    !calendar_parse_time(text, &at, &offset))
			return TIME_UNSUPPORTED;
		if (us)
			*us = at;
		return TIME_TEXT;
	}
	default:
		return TIME_UNSUPPORTED;
	}
}

static bool mentions(const char *declared, const char *word)
{
	return strcasestr(declared, word) != NULL;
}

enum time_type time_declared_type(const char *declared)
{
	if (!declared || !*declared)
		return TIME_TEXT;
	static const char *const text[] = {"DATE", "TIME", "CHAR", "TEXT", "CLOB"};
	for (size_t i = 0; i < sizeof text / sizeof *text; i++)
		if (mentions(declared, text[i]))
			return TIME_TEXT;
	return mentions(declared, "INT") ? TIME_EPOCH : TIME_UNSUPPORTED;
}

static void refuse(const char *relation, const char *expression, sqlite3_value *value, struct error *err)
{
	int is_blob = sqlite3_value_type(value) == SQLITE_BLOB;
	const char *text = is_blob ? NULL : (const char *)sqlite3_value_text(value);
	error_set(err, EOPNOTSUPP,
		  "%s: %s holds '%.60s'; an event_time in SQLite is text 'YYYY-MM-DD[ HH:MM:SS[.ffffff]]' in "
		  "UTC, "
		  "or whole seconds since 1970 as INTEGER, the same in every row",
		  relation, expression, text ? text : "a BLOB");
}

int time_probe(sqlite3 *db, const char *relation, const char *expression, enum time_type *type,
	       int64_t *last_us, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	/* One sub-select each: so SQLite takes both from an index where there is one. */
	strbuf_printf(&sql, "SELECT (SELECT min(%s) FROM %s), (SELECT max(%s) FROM %s)", expression, relation,
		      expression, relation);
	if (strbuf_broken(&sql))
		return error_set(err, ENOMEM, "no memory");
	auto_stmt *stmt = NULL;
	/* A missing "column" would be taken for a string. */
	sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	int r = db_prepare(db, sql.str, &stmt, err);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 1, NULL);
	if (r == 0)
		r = db_step(stmt, err);
	if (r < 0)
		return r;
	*type = TIME_UNKNOWN;
	for (int i = 0; i < 2; i++) {
		sqlite3_value *value = sqlite3_column_value(stmt, i);
		if (sqlite3_value_type(value) == SQLITE_NULL)
			continue;
		enum time_type found = time_value_type(value, last_us);
		if (found == TIME_UNSUPPORTED || (*type != TIME_UNKNOWN && found != *type)) {
			*type = TIME_UNSUPPORTED;
			refuse(relation, expression, value, err);
			return 0;
		}
		*type = found;
	}
	return 0;
}
