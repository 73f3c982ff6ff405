/* SPDX-License-Identifier: Apache-2.0 */
/* What the SQLite engine makes of a model's SQL and of what an event_time holds. */
#include "tests/unit/sqlite_fixture.h"

#include <pthread.h>

/* Makes the model and builds its first n batches from `first`; the last outcome. */
static const struct build_report *build_first(struct fixture *f, ordinal first, ordinal n)
{
	connect_all(f);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
	struct store_request r = ask(f, 1, first, first + n);
	struct build_run run = claim(f, &r);
	GOOD(build(f, &run));
	return last(f);
}

static void rows_outside_are_left_out(void **state)
{
	struct fixture *f = *state;
	events(f);
	/* A day late, no time at all, a time that is none; and one that the query leaves out itself. */
	f->model[0].compiled = "select id, ts from \"w\".\"main\".\"events\""
			       " union all select 5, '2024-09-09' union all select 6, null"
			       " union all select 7, '2024-09-01T05:00:00'"
			       " union all select 9, '2024-09-09' where 0";
	f->model[0].outside_dropped = true;
	const struct build_report *r = build_first(f, day(f, 0), 1);
	assert_int_equal(r->outcome, BUILD_DONE);
	assert_int_equal(r->rows_inserted, 2);
	assert_int_equal(r->rows_outside, 3);
	assert_int_equal(shell(f, "SELECT sum(id) FROM out"), 3);
}

/* No other batch yields them: all that the query reads is filtered to this one. */
static void rows_outside_fail_where_all_is_filtered(void **state)
{
	struct fixture *f = *state;
	events(f);
	f->model[0].compiled = "select id, ts from \"w\".\"main\".\"events\""
			       " union all select 5, '2024-09-09' union all select 6, null";
	const struct build_report *r = build_first(f, day(f, 0), 1);
	assert_int_equal(r->outcome, BUILD_FAILED);
	assert_non_null(strstr(f->reports.err[f->reports.n - 1].text,
			       "2 rows that the query yields have no event_time"));
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 0);
}

/* None of its rows would be in any window: that is no batch of 0 rows. */
static void times_of_another_type(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *target, *query, *says;
	} cases[] = {
		{"TEXT", "select 1 as id, 1725148800 as ts",
		 "query of out yields its event_time ts as integer, and the table out holds it as text"},
		{"INTEGER", "select 1 as id, '2024-09-01' as ts",
		 "query of out yields its event_time ts as text, and the table out holds it as integer"},
		{"TEXT", "select 1 as id, '2024-09-01' as ts union all select 2, 1725148800", "as integer"},
	};
	events(f);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char sql[128];
		snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS out; CREATE TABLE out(id, ts %s)",
			 cases[i].target);
		shell(f, sql);
		f->model[0].compiled = cases[i].query;
		f->model[0].n_inputs = 0;
		connect_all(f);
		struct store_sink sink = sink_of(f);
		GOOD(f->engine->builder->look(f->worker, 0, LOOK_FIRST, &sink, &f->err));
		struct store_request r = ask(f, (unsigned char)(i + 1), day(f, 0), day(f, 1));
		struct build_run run = claim(f, &r);
		GOOD(build(f, &run));
		assert_int_equal(last(f)->outcome, BUILD_FAILED);
		assert_non_null(strstr(f->reports.err[f->reports.n - 1].text, cases[i].says));
		assert_int_equal(shell(f, "SELECT count(*) FROM out"), 0);
	}
}

static void query_filters_before_rows_are_counted(void **state)
{
	struct fixture *f = *state;
	events(f);
	shell(f, "CREATE TABLE wanted(id); INSERT INTO wanted VALUES (1)");
	f->model[0].outside_dropped = true;
	f->model[0].compiled = "select id, date(ts, '+1 day') as ts from \"w\".\"main\".\"events\" e"
			       " where exists (select 1 from wanted w where w.id = e.id) -- the end";
	const struct build_report *r = build_first(f, day(f, 0), 1);
	assert_int_equal(r->rows_inserted, 0);
	assert_int_equal(r->rows_outside, 1);
}

static void hours(void **state)
{
	struct fixture *f = *state;
	shell(f, "CREATE TABLE events(id INTEGER, ts TEXT);"
		 "INSERT INTO events VALUES (1, '2024-09-01'), (2, '2024-09-01 00:59:59.999999'), (3, "
		 "'2024-09-01 01:00:00'),"
		 " (4, '2024-09-01 01:00:00.5'), (5, '2024-09-01 02:00:00')");
	f->model[0].batch_size = BATCH_HOUR;
	ordinal first = calendar_ordinal(BATCH_HOUR, DAY_2024_09_01);
	build_first(f, first, 2);
	assert_int_equal(f->reports.list[1].rows_inserted, 2);
	assert_int_equal(f->reports.list[3].rows_inserted, 2);
	assert_int_equal(shell(f, "SELECT sum(id) FROM out"), 10);
}

static void seconds_since_1970(void **state)
{
	struct fixture *f = *state;
	shell(f,
	      "CREATE TABLE events(id, ts INTEGER);"
	      "INSERT INTO events VALUES (1, 1725148799), (2, 1725148800), (3, 1725235199), (4, 1725235200)");
	const struct build_report *r = build_first(f, day(f, 0), 1);
	assert_int_equal(f->target[0].event_time_type, TIME_EPOCH);
	assert_int_equal(r->rows_inserted, 2);
	assert_int_equal(shell(f, "SELECT sum(id) FROM out"), 5);
	connect_all(f);
	assert_int_equal(f->target[0].event_time_type, TIME_EPOCH);
}

static void unfit_times_are_refused_by_name(void **state)
{
	struct fixture *f = *state;
	static const char *const values[] = {"'2024-09-01T00:00:00'", "'2024-09-01 00:00:00+02'",
					     "'2024-09-01 00:00'",    "'2024-02-30'",
					     "'01.09.2024'",	      "1725148800.5",
					     "1725148800000",	      "x'00'"};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char sql[256];
		shell(f, "DROP TABLE IF EXISTS out");
		snprintf(sql, sizeof sql, "CREATE TABLE out(id, ts); INSERT INTO out VALUES (1, %s)",
			 values[i]);
		shell(f, sql);
		connect_all(f);
		assert_int_equal(f->target[0].event_time_type, TIME_UNSUPPORTED);
		assert_int_equal(f->target[0].why_not.err, EOPNOTSUPP);
		assert_non_null(strstr(f->target[0].why_not.text, "\"out\": ts holds"));
	}
}

static void unfit_values_that_come_later(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_first(f, day(f, 0), 1);
	/* Neither the smallest nor the largest: seen when its window is built. */
	shell(f, "INSERT INTO events VALUES (9, '2024-09-01T05:00:00')");
	struct store_request r = ask(f, 2, day(f, 0), day(f, 2));
	struct build_run run = claim(f, &r);
	GOOD(build(f, &run));
	assert_int_equal(f->reports.list[1].outcome, BUILD_FAILED);
	assert_non_null(strstr(f->reports.err[1].text, "events: ts holds '2024-09-01T05:00:00'"));
	run.attempt[0] = 0;
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 3);
}

/* Each must fail, and leave the rows of day 0 and the state as they were. */
static void sql_that_must_not_run(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {
		"select id, ts from \"w\".\"main\".\"events\"; COMMIT; DELETE FROM out",
		"select id, ts from events) m; COMMIT; --",
		"select id, ts from events) LIMIT -1) AS m; COMMIT; SELECT * FROM (SELECT * FROM (select 1",
		"select id, ts from nowhere",
		"select id, \"nothing\" as ts from events where ts >",
		"select id from events",
		"attach 'x' as y",
	};
	events(f);
	build_first(f, day(f, 0), 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		f->model[0].compiled = bad[i];
		connect_all(f);
		if (f->target[0].why_not.err)
			continue; /* cannot even be taken apart */
		struct store_request r = ask(f, (unsigned char)(10 + i), day(f, 0), day(f, 1));
		struct build_run run = claim(f, &r);
		GOOD(build(f, &run));
		if (last(f)->outcome != BUILD_FAILED)
			fail_msg("%s: %d", bad[i], last(f)->outcome);
		assert_int_equal(shell(f, "SELECT count(*) FROM out"), 2);
		assert_int_equal(shell(f, "SELECT attempt FROM batchfs_state"), 1);
		assert_int_equal(settle(f, SETTLE_FAILED, day(f, 0), last(f)->attempt, "x"), 0);
	}
}

static void *interrupt_main(void *arg)
{
	struct fixture *f = arg;
	f->engine->builder->interrupt(f->worker);
	return NULL;
}

static pthread_t interrupter;

/* From another thread, while the batch runs. */
static void start_interrupt(void *arg)
{
	assert_int_equal(pthread_create(&interrupter, NULL, interrupt_main, arg), 0);
}

static void interrupt_ends_a_long_query(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_first(f, day(f, 0), 1);
	f->model[0].compiled = "with recursive n(i) as (select 1 union all select i + 1 from n)"
			       " select i as id, '2024-09-01' as ts from n where i < 0";
	connect_all(f);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 2));
	struct build_run run = claim(f, &r);
	f->reports.on_started = start_interrupt;
	f->reports.arg = f;
	GOOD(build(f, &run));
	pthread_join(interrupter, NULL);
	f->reports.on_started = NULL;
	assert_int_equal(f->reports.n, 3);
	assert_int_equal(f->reports.list[1].outcome, BUILD_INTERRUPTED);
	assert_int_equal(f->reports.list[2].outcome, BUILD_UNSTARTED);
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 2);
	/* Between two builds it changes nothing. */
	f->model[0].compiled = "select id, ts from \"w\".\"main\".\"events\"";
	connect_all(f);
	f->engine->builder->interrupt(f->worker);
	r = ask(f, 3, day(f, 0), day(f, 1));
	run = claim(f, &r);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
}

static void abandon_from_a_thread(void *arg)
{
	struct fixture *f = arg;
	f->engine->store->abandon(f->store);
}

static void abandon_ends_everything(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_first(f, day(f, 0), 1);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 2));
	struct build_run run = claim(f, &r);
	f->reports.on_started = abandon_from_a_thread;
	f->reports.arg = f;
	build(f, &run);
	f->reports.on_started = NULL;
	assert_int_equal(f->reports.list[1].outcome, BUILD_INTERRUPTED);
	struct store_sink sink = sink_of(f);
	assert_int_equal(f->engine->store->follow(f->store, 60000, &sink, &f->err), -ECANCELED);
	assert_int_equal(f->engine->store->request(f->store, &r, 1, NULL, &f->err), -ECANCELED);
	assert_int_equal(build(f, &run), -ECANCELED);
	connect_all(f); /* what ran is back in the queue, in order */
	assert_int_equal(state_of(f, day(f, 0))->run, ROW_REQUEUED);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
}

static void follow_is_woken(void **state)
{
	struct fixture *f = *state;
	connect_all(f);
	struct store_sink sink = sink_of(f);
	f->engine->store->wake(f->store);
	GOOD(f->engine->store->follow(f->store, 3600000, &sink, &f->err));
	GOOD(f->engine->store->follow(f->store, 0, &sink, &f->err));
}

/* The file is written by somebody else's shell: it passes, it is no failure. */
static void locked_by_a_shell(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db = NULL;
	events(f);
	build_first(f, day(f, 0), 1);
	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 2)); /* does not wait */
	struct build_run run = claim(f, &r);
	GOOD(build(f, &run));
	assert_int_equal(f->reports.list[1].outcome, BUILD_PASSING);
	assert_int_equal(f->reports.list[2].outcome, BUILD_UNSTARTED);
	assert_int_equal(settle(f, SETTLE_REQUEUED, day(f, 0), run.attempt[0], "locked"), 0);
	assert_int_equal(settle(f, SETTLE_UNSTARTED, day(f, 1), run.attempt[1], ""), 0);
	sqlite3_close(db);
	run = claim(f, &r);
	assert_int_equal(run.attempt[0], 3);
	assert_int_equal(run.attempt[1], 1);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
}

static void statements_are_what_is_sent(void **state)
{
	struct fixture *f = *state;
	auto_strbuf text = STRBUF_INIT, before = STRBUF_INIT;
	events(f);
	connect_all(f);
	struct ordinal_range both = {day(f, 0), day(f, 2)};
	GOOD(f->engine->builder->statements(f->store, 0, both, &before, &f->err));
	build_first(f, day(f, 0), 1);
	GOOD(f->engine->builder->statements(f->store, 0, both, &text, &f->err));
	assert_string_equal(strstr(before.str, "DELETE"), strstr(text.str, "DELETE"));
	static const char *const parts[] = {
		"BEGIN IMMEDIATE;\n",
		"DELETE FROM \"main\".\"out\" WHERE ts >= '2024-09-01' AND ts < '2024-09-02';\n",
		"INSERT INTO \"main\".\"out\" (\"id\", \"ts\")", "COMMIT;\nBEGIN IMMEDIATE;\n",
		"ts < '2024-09-03';\n"};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (!strstr(text.str, parts[i]))
			fail_msg("%s\nnot in\n%s", parts[i], text.str);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_outside_are_left_out),
		TEST(rows_outside_fail_where_all_is_filtered),
		TEST(times_of_another_type),
		TEST(query_filters_before_rows_are_counted),
		TEST(hours),
		TEST(seconds_since_1970),
		TEST(unfit_times_are_refused_by_name),
		TEST(unfit_values_that_come_later),
		TEST(sql_that_must_not_run),
		TEST(interrupt_ends_a_long_query),
		TEST(abandon_ends_everything),
		TEST(follow_is_woken),
		TEST(locked_by_a_shell),
		TEST(statements_are_what_is_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
