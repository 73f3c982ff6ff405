/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lexer and the rewriter on any text. The first byte chooses the dialect and whether
 * relations get the engine's names; the rest is the compiled SQL.
 */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/window_sql.h"
#include "tests/fuzz/fuzz.h"

static struct input input_of(const char *rendered, const char *event_time, bool ephemeral)
{
	return (struct input){.relation.rendered = (char *)(uintptr_t)rendered,
			      .event_time = event_time,
			      .ephemeral = ephemeral};
}

/* The tokens cover the text without a gap. Returns whether one of them is not ended. */
static bool check_tokens(enum sql_dialect dialect, const char *sql, size_t len)
{
	bool open = false;
	size_t pos = 0;

	for (struct sql_token t = sql_lex(dialect, sql, len, 0); t.kind != SQL_END;
	     t = sql_lex(dialect, sql, len, pos)) {
		assert(t.start == pos && t.len > 0 && t.len <= len - pos);
		pos += t.len;
		open |= t.open;
	}
	assert(pos == len);
	return open;
}

static void check_mentions(enum sql_dialect dialect, const char *sql, size_t len, const char *rendered)
{
	struct sql_mention m[8];
	size_t n = sql_mentions(dialect, sql, rendered, m, 8), end = 0;

	assert(n == sql_mentions(dialect, sql, rendered, NULL, 0));
	for (size_t i = 0; i < n && i < 8; i++) {
		assert(m[i].start >= end && m[i].len > 0);
		end = m[i].start + m[i].len;
		assert(end <= len);
	}
}

/* What is rendered is again one statement that can stand in parentheses. */
static void check_rendered(enum sql_dialect dialect, const char *sql)
{
	const struct model again = {.compiled = sql};
	struct sql_template *t;
	struct error err;
	int rc = window_sql_parse(dialect, &again, NULL, &t, &err);

	assert(rc == 0);
	assert(sql[strlen(sql) - 1] == '\n');
	window_sql_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const native[] = {"\"t1\"", "\"t2\"", NULL, NULL};
	static const enum time_type types[] = {TIME_TEXT, TIME_EPOCH, TIME_TEXT, TIME_TEXT};
	const struct input inputs[] = {
		input_of("\"w\".\"an\".\"t\"", "et", false),
		input_of("an.cats", "et", false),
		input_of("__dbt__cte__e", "et", true),
		input_of("\"w\".\"an\".\"u\"", NULL, false),
	};

	if (size == 0)
		return 0;
	enum sql_dialect dialect = data[0] & 1 ? SQL_SQLITE : SQL_POSTGRES;
	/* Not strndup(): under strict_string_checks it may not read a text that has no end. */
	auto_free char *sql = calloc(1, size);
	if (!sql)
		return 0;
	memcpy(sql, data + 1, size - 1);
	const struct model model = {.compiled = sql, .inputs = inputs, .n_inputs = 4};
	bool open = check_tokens(dialect, sql, strlen(sql));
	for (size_t i = 0; i < 4; i++)
		check_mentions(dialect, sql, strlen(sql), inputs[i].relation.rendered);

	struct sql_template *t;
	struct error err;
	if (window_sql_parse(dialect, &model, data[0] & 2 ? native : NULL, &t, &err) == 0) {
		auto_strbuf out = STRBUF_INIT;
		assert(!open);
		int rc = window_sql_render(t, types, 0, INT64_C(3600000000), &out, &err);
		assert(rc == 0);
		check_rendered(dialect, out.str);
		window_sql_free(t);
	}
	return 0;
}
