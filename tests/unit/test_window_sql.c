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
#define C "\"w\".\"an\".\"cats\""
#define E "__dbt__cte__eph"

/* Of T, C and the ephemeral E, for the first day of 2020 in timestamptz. */
#define WINDOW(column)                                                                                       \
	column " >= TIMESTAMPTZ '2020-01-01 00:00:00.000000+00' and " column                                 \
	       " < TIMESTAMPTZ '2020-01-02 00:00:00.000000+00'"
#define SUB(rel) "(select * from " rel " where " WINDOW("et") ")"
#define T_	 SUB(T) " as \"t\""
#define E_	 SUB(E) " as \"" E "\""

static const int64_t day_start = INT64_C(1577836800000000), day_end = INT64_C(1577923200000000);

static struct input input_of(const char *rendered, const char *event_time, bool ephemeral,
			     const char *mentions)
{
	return (struct input){.relation.rendered = (char *)(uintptr_t)rendered,
			      .event_time = event_time,
			      .ephemeral = ephemeral,
			      .mentions = mentions};
}

/* Renders into b; the text of a failure where there is one. */
static int render(enum sql_dialect dialect, const char *sql, const struct input *inputs, size_t n,
		  const char *const *native, struct strbuf *b)
{
	static const enum time_type types[] = {TIME_TIMESTAMPTZ, TIME_TIMESTAMPTZ, TIME_TIMESTAMPTZ,
					       TIME_TIMESTAMPTZ};
	const struct model model = {.compiled = sql, .inputs = inputs, .n_inputs = n};
	struct sql_template *t;
	struct error err = {0};
	int rc = window_sql_parse(dialect, &model, native, &t, &err);

	if (rc == 0) {
		rc = window_sql_render(t, types, day_start, day_end, b, &err);
		window_sql_free(t);
	}
	if (rc < 0) {
		assert_int_equal(err.err, -rc);
		strbuf_clear(b);
		strbuf_puts(b, err.text);
	}
	return rc;
}

static void expect(enum sql_dialect dialect, const struct input *inputs, size_t n, const char *const *native,
		   const char *sql, const char *wanted)
{
	auto_strbuf b = STRBUF_INIT;
	auto_strbuf w = STRBUF_INIT;

	if (render(dialect, sql, inputs, n, native, &b) < 0)
		fail_msg("%s\n  was refused: %s", sql, b.str);
	strbuf_puts(&w, wanted);
	strbuf_putc(&w, '\n');
	if (strcmp(b.str, w.str) != 0)
		fail_msg("%s\n  gave %s\n  not  %s", sql, b.str, wanted);
}

/* T and E have an event_time, C has none; every mention is filtered. */
static void pg(const char *sql, const char *wanted)
{
	const struct input inputs[] = {input_of(T, "et", false, NULL), input_of(C, NULL, false, NULL),
				       input_of(E, "et", true, NULL)};
	expect(SQL_POSTGRES, inputs, 3, NULL, sql, wanted);
}

static void refused(enum sql_dialect dialect, const char *sql, const char *why)
{
	const struct input inputs[] = {input_of(T, "et", false, NULL), input_of(C, NULL, false, NULL),
				       input_of(E, "et", true, NULL)};
	auto_strbuf b = STRBUF_INIT;

	if (render(dialect, sql, inputs, 3, NULL, &b) != -EINVAL)
		fail_msg("%s\n  was not refused but gave %s", sql, b.str);
	if (!strstr(b.str, why))
		fail_msg("%s\n  was refused with '%s', not '%s'", sql, b.str, why);
}

static void test_alias(void **state)
{
	pg("select * from " T, "select * from " T_);
	pg("select * from " T " as x", "select * from " SUB(T) " as x");
	pg("select * from " T " x where 1=1", "select * from " SUB(T) " x where 1=1");
	pg("select * from " T " \"X y\"", "select * from " SUB(T) " \"X y\"");
	pg("select * from " T " as x(a, b)", "select * from " SUB(T) " as x(a, b)");
	pg("select * from " T " -- as c\n /* d */ x", "select * from " SUB(T) " -- as c\n /* d */ x");
	pg("select * from " T " -- as c", "select * from " T_ " -- as c");
	pg("select * from " T " values", "select * from " SUB(T) " values");
	(void)state;
}

static void test_words_that_are_no_alias(void **state)
{
	static const char *const after[] = {
		"where true",
		"WHERE true",
		"on true",
		"left join " C " on true",
		"Cross join " C,
		"natural join " C,
		"inner join " C " using (id)",
		"full join " C " on true",
		"right join " C " on true",
		"join " C " using (id)",
		"union all select 1",
		"except select 1",
		"intersect select 1",
		"group by id",
		"having true",
		"order by id",
		"limit 1",
		"offset 1",
		"fetch first 1 rows only",
		"for update",
		"window w as (order by id)",
		"tablesample system (1)",
	};
	auto_strbuf sql = STRBUF_INIT;
	auto_strbuf wanted = STRBUF_INIT;

	for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
		strbuf_clear(&sql);
		strbuf_clear(&wanted);
		strbuf_printf(&sql, "select * from " T " %s", after[i]);
		strbuf_printf(&wanted, "select * from " T_ " %s", after[i]);
		pg(sql.str, wanted.str);
	}
	(void)state;
}

static void test_columns(void **state)
{
	pg("select " T ".id, " T ". \"x\", " T ".* from " T " where " T ".id > 1",
	   "select \"t\".id, \"t\". \"x\", \"t\".* from " T_ " where \"t\".id > 1");
	pg("select " C ".id from " T " join " C " on " C ".id=" T ".id",
	   "select " C ".id from " T_ " join " C " on " C ".id=\"t\".id");
	pg("select count(" T ".*) from " T, "select count(\"t\".*) from " T_);
	(void)state;
}

static void test_unquoted_relation(void **state)
{
	const struct input inputs[] = {input_of("w.an.Order_s", "et", false, NULL)};
	static const char sub[] =
		"select 1 from " SUB("W.An.order_S") " as \"order_s\" where \"order_s\".a=1";

	expect(SQL_POSTGRES, inputs, 1, NULL, "select 1 from W.An.order_S where w.an.order_s.a=1", sub);
	expect(SQL_POSTGRES, inputs, 1, NULL,
	       "select 1 from \"w\".an.order_s, w.an.order_s2, xw.an.order_s, w.an",
	       "select 1 from \"w\".an.order_s, w.an.order_s2, xw.an.order_s, w.an");
	(void)state;
}

/* The shapes of sample models that dbt's own aliases break, or that a plain replacement would. */
static void test_sample_shapes(void **state)
{
	pg("\nselect e.id, c.label from " T " as e left join " C " c on c.id = e.id",
	   "\nselect e.id, c.label from " SUB(T) " as e left join " C " c on c.id = e.id");
	pg("select a.id\nfrom " T " a, " C " b\nwhere b.id = a.id",
	   "select a.id\nfrom " SUB(T) " a, " C " b\nwhere b.id = a.id");
	pg("select 1 from " C ", " T ", (select 1 from " T ") x",
	   "select 1 from " C ", " T_ ", (select 1 from " T_ ") x");
	pg("/* a /* nested */ " T " */ select 'from " T "' as \"Größe in €\", $q$ " T " $q$, E'it''s \\' " T
	   "'\nfrom " T "  -- " T,
	   "/* a /* nested */ " T " */ select 'from " T "' as \"Größe in €\", $q$ " T " $q$, E'it''s \\' " T
	   "'\nfrom " T_ "  -- " T);
	pg("with t as (\n select * from " T
	   "  -- once\n), u as (select id from t)\nselect t.id from t join u on 1=1",
	   "with t as (\n select * from " T_
	   "  -- once\n), u as (select id from t)\nselect t.id from t join u on 1=1");
	(void)state;
}

static void test_two_inputs_of_one_relation(void **state)
{
	const struct input inputs[] = {input_of(C, NULL, false, NULL), input_of(T, NULL, false, "ff-"),
				       input_of(T, "et", false, "ff-")};

	expect(SQL_POSTGRES, inputs, 3, NULL,
	       "select * from (select 1 from " T " union all select 2 from " T
	       ") b where 1 in (select 1 from " T ")",
	       "select * from (select 1 from " T_ " union all select 2 from " T_
	       ") b where 1 in (select 1 from " T ")");
	(void)state;
}

static void test_ephemerals(void **state)
{
	pg("with " E " as (\nselect * from " T " where f(')')\n) select id, (select max(et) from " T
	   ") from " E " where " E ".id > 1",
	   "with " E " as (\nselect * from " T " where f(')')\n) select id, (select max(et) from " T_
	   ") from " E_ " where \"" E "\".id > 1");
	pg("with " E " as (select 1), __dbt__cte__b as not materialized (select (1) from " E " join " T
	   " on " T ".a=1), c as (select * from " E ") select * from __dbt__cte__b, c",
	   "with " E " as (select 1), __dbt__cte__b as not materialized (select (1) from " E " join " T
	   " on " T ".a=1), c as (select * from " E_ ") select * from __dbt__cte__b, c");
	pg("with " E " as (select 1) select * from " E " x",
	   "with " E " as (select 1) select * from " SUB(E) " x");
	(void)state;
}

static void test_marks(void **state)
{
	const struct input marked[] = {input_of(T, "et", false, "--f-")};
	const struct input opted_out[] = {input_of(T, "et", false, "-")};
	const struct input few[] = {input_of(T, "et", false, "f")};
	auto_strbuf b = STRBUF_INIT;

	expect(SQL_POSTGRES, marked, 1, NULL,
	       "-- " T "\nselect '" T "' from " T ", (select 1 from " T " where "
	       "1=1) x",
	       "-- " T "\nselect '" T "' from " T_ ", (select 1 from " T " where 1=1) x");
	expect(SQL_POSTGRES, opted_out, 1, NULL, "select * from " T " for share",
	       "select * from " T " for share");
	assert_int_equal(render(SQL_POSTGRES, "select 1 from " T " --" T, few, 1, NULL, &b), -EINVAL);
	assert_non_null(strstr(b.str, "named 2 times in the compiled SQL and 1 time "));
	(void)state;
}

static void test_longer_chains(void **state)
{
	const struct input inputs[] = {input_of("\"an\".\"t\"", "et", false, NULL)};
	static const char *const untouched[] = {
		"select 1 from \"w\".\"an\".\"t\"",   "select 1 from w . \"an\".\"t\"",
		"select 1 from \"an\".\"t\".\"x\".y", "select \"an\".\"t\"(1), \"an\".\"t\" (2)",
		"select 1 from \"an\".t, an.\"t\"",   "select 1 from \"AN\".\"t\"",
		"select 1 from \"an\".\"t\"\"\"",
	};

	for (size_t i = 0; i < sizeof untouched / sizeof *untouched; i++)
		expect(SQL_POSTGRES, inputs, 1, NULL, untouched[i], untouched[i]);
	expect(SQL_POSTGRES, inputs, 1, NULL, "select \"an\".\"t\".\"x\" from \"an\".\"t\"",
	       "select \"t\".\"x\" from " SUB("\"an\".\"t\"") " as \"t\"");
	(void)state;
}

static void test_statement_end(void **state)
{
	pg("select 1 from " T " ; ", "select 1 from " T_ " ");
	pg("select 1 from " T ";\n-- bye " T "\n/* ; */", "select 1 from " T_);
	pg("select ';' as \";\", $$;$$ -- ;", "select ';' as \";\", $$;$$ -- ;");
	refused(SQL_POSTGRES, "select 1;\nselect 2", "line 2: a model is one statement");
	refused(SQL_POSTGRES, "select 1; commit; --", "goes on after a ';'");
	refused(SQL_POSTGRES, "select 1;;", "goes on after a ';'");
	refused(SQL_POSTGRES, " -- nothing\n", "no statement");
	refused(SQL_POSTGRES, "", "no statement");
	refused(SQL_POSTGRES, ";", "no statement");
	(void)state;
}

static void test_what_cannot_be_taken_apart(void **state)
{
	refused(SQL_POSTGRES, "select\n'it", "line 2: the string");
	refused(SQL_POSTGRES, "select E'it\\'", "line 1: the string");
	refused(SQL_POSTGRES, "select $a$ $b$", "the string");
	refused(SQL_POSTGRES, "select \"a", "the identifier");
	refused(SQL_POSTGRES, "select /* /* */ 1", "the comment");
	refused(SQL_SQLITE, "select [a", "the identifier");
	refused(SQL_SQLITE, "select `a", "the identifier");
	refused(SQL_POSTGRES, "select 1) x; delete from y", "a ')' without a '('");
	refused(SQL_POSTGRES, "select ((1)", "line 1: a '(' without its ')'");
	(void)state;
}

static void test_places_where_no_subquery_stands(void **state)
{
	refused(SQL_POSTGRES, "select * from only " T, "line 1: " T " stands where");
	refused(SQL_POSTGRES, "select * from only (" T ")", "stands where");
	refused(SQL_POSTGRES, "table " T, "stands where");
	refused(SQL_POSTGRES, "select " E " from " E, "stands where");
	refused(SQL_POSTGRES, "select count(" E ") from " E, "stands where");
	refused(SQL_POSTGRES, "select 1, " E " from " E, "stands where");
	refused(SQL_POSTGRES, "select 1 from " E " where a = " E, "stands where");
	refused(SQL_POSTGRES, "select 1 from a group by b, " E, "stands where");
	refused(SQL_POSTGRES, "select x in (" T ")", "stands where");
	pg("select 1 from (" T " join " C " using (id)), lateral (select 2 from " T " x where x.a=1) y",
	   "select 1 from (" T_ " join " C
	   " using (id)), lateral (select 2 from " SUB(T) " x where x.a=1) y");
	pg("select 1 from f(1, 2), a as x(b, c), " T " where (select 1 from " T ") in (1, 2)",
	   "select 1 from f(1, 2), a as x(b, c), " T_ " where (select 1 from " T_ ") in (1, 2)");
	pg("select 1 as select, x.where from a, " T, "select 1 as select, x.where from a, " T_);
	(void)state;
}

static void test_sqlite(void **state)
{
	const struct input inputs[] = {input_of(T, "et", false, NULL), input_of(C, NULL, false, NULL),
				       input_of(E, "et", true, NULL)};
	static const char *const native[] = {"\"an_t\"", "\"an_cats\"", "ignored"};
	static const struct {
		const char *sql, *wanted;
	} cases[] = {
		{"select " T ".a, " C ".b from " T " join " C,
		 "select \"t\".a, \"cats\".b from " SUB("\"an_t\"") " as \"t\" join \"an_cats\" as \"cats\""},
		{"select 1 from " T " 'x', " C " y", "select 1 from " SUB("\"an_t\"") " 'x', \"an_cats\" y"},
		{"select a in " T ", b in " C ", '" C "' from " C " not indexed",
		 "select a in " SUB("\"an_t\"") ", b in \"an_cats\", '" C
						"' from \"an_cats\" as \"cats\" not indexed"},
		{"with " E " as (select " T ".a from " T ") select [" C "], `" C "` from " E,
		 "with " E " as (select \"t\".a from \"an_t\" as \"t\") select [" C "], `" C "` from " E_},
		{"select x'00', E'\\' from " C " where /* /* */ 1",
		 "select x'00', E'\\' from \"an_cats\" as \"cats\" where /* /* */ 1"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect(SQL_SQLITE, inputs, 3, native, cases[i].sql, cases[i].wanted);
	(void)state;
}

static void test_overlapping_relations(void **state)
{
	const struct input inputs[] = {input_of("an.t", "et", false, NULL),
				       input_of("AN.T", "et", false, NULL)};
	auto_strbuf b = STRBUF_INIT;

	assert_int_equal(render(SQL_POSTGRES, "select 1 from an.t", inputs, 2, NULL, &b), -EINVAL);
	assert_non_null(strstr(b.str, "this may be"));
	(void)state;
}

static void test_render_names_the_input(void **state)
{
	const struct input inputs[] = {input_of(C, NULL, false, NULL), input_of(T, "lower(et)", false, NULL)};
	const enum time_type types[] = {TIME_UNKNOWN, TIME_DATE};
	const struct model model = {.compiled = "select 1 from " T, .inputs = inputs, .n_inputs = 2};
	struct sql_template *t;
	struct error err;
	auto_strbuf b = STRBUF_INIT;

	assert_int_equal(window_sql_parse(SQL_POSTGRES, &model, NULL, &t, &err), 0);
	assert_int_equal(window_sql_render(t, types, day_start + 1, day_end, &b, &err), -EINVAL);
	assert_non_null(strstr(err.text, "input " T ", event_time lower(et): a column of type date"));
	strbuf_clear(&b);
	assert_int_equal(window_sql_render(t, types, day_start, day_end, &b, &err), 0);
	assert_string_equal(b.str,
			    "select 1 from (select * from " T " where lower(et) >= DATE '2020-01-01' and "
			    "lower(et) < DATE '2020-01-02') as \"t\"\n");
	window_sql_free(t);
	window_sql_free(NULL);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alias),
		cmocka_unit_test(test_words_that_are_no_alias),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_unquoted_relation),
		cmocka_unit_test(test_sample_shapes),
		cmocka_unit_test(test_two_inputs_of_one_relation),
		cmocka_unit_test(test_ephemerals),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_longer_chains),
		cmocka_unit_test(test_statement_end),
		cmocka_unit_test(test_what_cannot_be_taken_apart),
		cmocka_unit_test(test_places_where_no_subquery_stands),
		cmocka_unit_test(test_sqlite),
		cmocka_unit_test(test_overlapping_relations),
		cmocka_unit_test(test_render_names_the_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
