/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/base/cleanup.h"
#include "backend/window_sql.h"

#define T "\"w\".\"an\".\"t\""
#define E "__dbt__cte__eph"

static const int64_t day_start = INT64_C(1577836800000000), day_end = INT64_C(1577923200000000);

static void check_tokens(enum sql_dialect dialect, const char *sql, const char *kinds)
{
	static const char letters[] = {
		[SQL_END] = '$',    [SQL_SPACE] = ' ',	[SQL_WORD] = 'w',  [SQL_QUOTED] = 'q',
		[SQL_STRING] = 's', [SQL_NUMBER] = 'n', [SQL_PUNCT] = 'p',
	};
	auto_strbuf found = STRBUF_INIT;
	size_t pos = 0, len = strlen(sql);

	for (struct sql_token t = sql_lex(dialect, sql, len, 0); t.kind != SQL_END;
	     t = sql_lex(dialect, sql, len, pos)) {
		assert_int_equal(t.start, pos);
		assert_true(t.len > 0);
		pos += t.len;
		strbuf_putc(&found, letters[t.kind]);
		if (t.open)
			strbuf_putc(&found, '!');
	}
	assert_int_equal(pos, len);
	if (strcmp(found.str, kinds) != 0)
		fail_msg("%s\n  is %s, not %s", sql, found.str, kinds);
}

static void test_lexer(void **state)
{
	check_tokens(SQL_POSTGRES, "a$b$ $1 $$x$$ $é$$x$é$", "w pn s s");
	check_tokens(SQL_POSTGRES, "E'\\'' e'\\\\' 'a\\' b'1' X'ff' n'x' U&'\\' u&\"\\\"", "s s s s s s s q");
	check_tokens(SQL_POSTGRES, "E'a' \n -- c\n 'b\\'c' 'd'", "s s");
	check_tokens(SQL_POSTGRES, "E'a' 'b\\' 'a' --x", "s s s  ");
	check_tokens(SQL_POSTGRES, "/*a/*b*/c*/--d\r\n1.5e-3.5 1e x", "   nn nw w");
	check_tokens(SQL_POSTGRES, "a@--b\n-/*c*/1 t.*", "wp  p n wpp");
	check_tokens(SQL_POSTGRES, "1E'\\''||\"a\"\"b\"||größe", "nsppqppw");
	check_tokens(SQL_POSTGRES, "[a] `b`", "pwp pwp");
	check_tokens(SQL_SQLITE, "[a]] `b``c` \"d\" x'00' E'\\' $a :b ?1", "qp q q s ws pw pw pn");
	check_tokens(SQL_SQLITE, "/*a/*b*/c -- d\r e", " w  ");
	check_tokens(SQL_POSTGRES, "'a''", "s!");
	check_tokens(SQL_POSTGRES, "E'\\", "s!");
	check_tokens(SQL_POSTGRES, "/*/", " !");
	check_tokens(SQL_POSTGRES, "$", "p");
	check_tokens(SQL_POSTGRES, "$a", "pw");
	check_tokens(SQL_POSTGRES, "$a$", "s!");
	(void)state;
}

static void test_mentions(void **state)
{
	static const char sql[] = "/* " T " */ with " E " as (select " T ".a from " T " --" T "\n) select '" T
				  "', " T ".b from x." T ", " T;
	static const struct {
		bool code, column, definition;
	} wanted[] = {
		{false, false, false}, {true, true, true},  {true, false, true},  {false, false, true},
		{false, false, false}, {true, true, false}, {true, false, false},
	};
	struct sql_mention m[8];

	assert_int_equal(sql_mentions(SQL_POSTGRES, sql, T, NULL, 0), 7);
	assert_int_equal(sql_mentions(SQL_POSTGRES, sql, T, m, 8), 7);
	for (size_t i = 0; i < 7; i++) {
		assert_memory_equal(sql + m[i].start, T, sizeof T - 1);
		assert_int_equal(m[i].len, sizeof T - 1);
		assert_int_equal(m[i].code, wanted[i].code);
		assert_int_equal(m[i].column, wanted[i].column);
		assert_int_equal(m[i].definition, wanted[i].definition);
	}
	assert_int_equal(sql_mentions(SQL_POSTGRES, sql, E, m, 8), 0);
	assert_int_equal(sql_mentions(SQL_POSTGRES, sql, "", m, 8), 0);
	assert_int_equal(sql_mentions(SQL_POSTGRES, "-- an.t an.t2 (can.t) an.t.x AN.T", "an.t", m, 8), 2);
	assert_int_equal(sql_mentions(SQL_POSTGRES, "from AN.T, an.t2, an.t", "an.t", m, 8), 2);
	(void)state;
}

static void literal(enum time_type type, int64_t us, const char *wanted)
{
	auto_strbuf b = STRBUF_INIT;
	assert_int_equal(time_literal(type, us, &b, NULL), 0);
	assert_string_equal(b.str, wanted);
}

static void test_literals(void **state)
{
	const int64_t hour = INT64_C(3600000000);
	auto_strbuf b = STRBUF_INIT;
	struct error err;

	literal(TIME_TIMESTAMPTZ, day_start, "TIMESTAMPTZ '2020-01-01 00:00:00.000000+00'");
	literal(TIME_TIMESTAMP, day_start + 1, "TIMESTAMP '2020-01-01 00:00:00.000001'");
	literal(TIME_DATE, day_start, "DATE '2020-01-01'");
	literal(TIME_TEXT, day_start, "'2020-01-01'");
	literal(TIME_TEXT, day_start + hour, "'2020-01-01 01:00:00'");
	literal(TIME_TEXT, day_start + 500000, "'2020-01-01 00:00:00.5'");
	literal(TIME_TEXT, day_start - 1, "'2019-12-31 23:59:59.999999'");
	literal(TIME_TEXT, CALENDAR_END_US, "'9999-12-31 24:00:00'");
	literal(TIME_EPOCH, day_start, "1577836800");
	literal(TIME_EPOCH, day_start + 1, "1577836801");
	literal(TIME_EPOCH, -1, "0");
	literal(TIME_EPOCH, -1000000, "-1");
	assert_int_equal(time_literal(TIME_DATE, day_start + hour, &b, &err), -EINVAL);
	assert_non_null(strstr(err.text, "2020-01-01T01:00:00Z"));
	assert_int_equal(time_literal(TIME_UNKNOWN, 0, &b, NULL), -EINVAL);
	assert_int_equal(time_literal(TIME_UNSUPPORTED, 0, &b, NULL), -EINVAL);
	assert_string_equal(b.str, "");
	assert_string_equal(time_type_name(TIME_EPOCH), "integer");
	assert_null(time_type_name(TIME_UNKNOWN));
	(void)state;
}

/* Whatever way a value of the two forms is written, byte order must tell the side of the boundary it is on.
 */
static void test_text_boundaries(void **state)
{
	static const char *const values[] = {
		"2019-12-31",
		"2019-12-31 23:59:59",
		"2019-12-31 23:59:59.999999",
		"2020-01-01",
		"2020-01-01 00:00:00",
		"2020-01-01 00:00:00.000000",
		"2020-01-01 00:00:00.000001",
		"2020-01-01 00:59:59.999999",
		"2020-01-01 01:00:00",
		"2020-01-01 01:00:00.000000",
		"2020-01-01 01:00:00.000001",
		"2020-01-01 23:59:59",
		"2020-01-02",
		"2020-01-02 00:00:00.000",
		"9999-12-31 23:59:59.999999",
	};
	const int64_t boundaries[] = {day_start, day_start + INT64_C(3600000000), day_end, day_start + 1,
				      CALENDAR_END_US};

	for (size_t i = 0; i < sizeof boundaries / sizeof *boundaries; i++) {
		auto_strbuf b = STRBUF_INIT;
		assert_int_equal(time_literal(TIME_TEXT, boundaries[i], &b, NULL), 0);
		b.str[b.len - 1] = '\0';
		for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
			int64_t us;
			int32_t offset;
			assert_true(calendar_parse_time(values[j], &us, &offset));
			if ((us >= boundaries[i]) != (strcmp(values[j], b.str + 1) >= 0))
				fail_msg("'%s' is on the wrong side of %s", values[j], b.str);
		}
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lexer),
		cmocka_unit_test(test_mentions),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_text_boundaries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
