/* SPDX-License-Identifier: Apache-2.0 */
/* What the SQL of a model and the triggers on its table must not reach, and state rows that were damaged. */
#include "tests/unit/sqlite_fixture.h"

#define EVENTS "\"w\".\"main\".\"events\""

static int64_t queue(struct fixture *f, const char *sql)
{
	char text[512];
	snprintf(text, sizeof text, "ATTACH '%s-queue' AS q; %s", f->file, sql);
	return shell(f, text);
}

/* Asks for day n, builds it and settles a failure; its reason, NULL: it is done. */
static const char *build_day(struct fixture *f, int n)
{
	static unsigned char uuid = 100;
	struct store_request r = ask(f, uuid++, day(f, n), day(f, n + 1));
	struct build_run run = claim(f, &r);
	assert_true(run.attempt[0] > 0);
	GOOD(build(f, &run));
	if (last(f)->outcome == BUILD_DONE)
		return NULL;
	const char *why = f->reports.err[f->reports.n - 1].text;
	assert_int_equal(last(f)->outcome, BUILD_FAILED);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, n), run.attempt[0], why), 0);
	return why;
}

static void fails_with(struct fixture *f, int n, const char *part)
{
	const char *why = build_day(f, n);
	if (!why || !strstr(why, part))
		fail_msg("'%s' is not in: %s", part, why ? why : "(it was built)");
}

static int64_t states(struct fixture *f)
{
	return shell(f, "SELECT count(*) FROM batchfs_state WHERE attempt = 1 AND finished > 0");
}

static void triggers_of_the_table(void **state)
{
	static const struct {
		const char *trigger, *why;
	} all[] = {
		{"AFTER INSERT ON out BEGIN DELETE FROM batchfs_state; END",
		 "write the table batchfs_state, by way of bad"},
		{"BEFORE INSERT ON out BEGIN UPDATE batchfs_state SET attempt = 9; END",
		 "write the table batchfs_state"},
		{"AFTER INSERT ON out BEGIN DELETE FROM batchfs_model; END", "write the table batchfs_model"},
		{"AFTER DELETE ON out BEGIN DELETE FROM batchfs_attempt; END",
		 "write the table batchfs_attempt"},
		{"AFTER INSERT ON out BEGIN UPDATE batchfs_meta SET value = 9; END",
		 "write the table batchfs_meta"},
		{"AFTER UPDATE ON batchfs_state BEGIN DELETE FROM batchfs_state; END",
		 "a trigger must not change"},
		{"AFTER INSERT ON batchfs_attempt BEGIN DELETE FROM batchfs_state; END",
		 "a trigger must not change"},
	};
	struct fixture *f = *state;
	events(f);
	build_days(f, 2);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		char sql[256];
		snprintf(sql, sizeof sql, "CREATE TRIGGER bad %s", all[i].trigger);
		shell(f, sql);
		fails_with(f, 0, all[i].why);
		assert_int_equal(states(f), 2);
		assert_int_equal(shell(f, "SELECT count(*) FROM out"), 3);
		shell(f, "DROP TRIGGER bad");
	}
	/* The reason is gone. */
	assert_null(build_day(f, 0));
	connect_all(f);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
}

static void a_trigger_may_write_other_tables(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	shell(f, "CREATE TABLE log(id INTEGER, what TEXT);"
		 "CREATE TRIGGER d AFTER DELETE ON out BEGIN INSERT INTO log VALUES (old.id, 'gone'); END;"
		 "CREATE TRIGGER i AFTER INSERT ON out BEGIN INSERT INTO log VALUES (new.id, 'come'); END");
	assert_null(build_day(f, 0));
	assert_int_equal(shell(f, "SELECT count(*) FROM log WHERE what = 'gone'"), 2);
	assert_int_equal(shell(f, "SELECT count(*) FROM log WHERE what = 'come'"), 2);
}

/* A model for each; what it must not do fails it, and the model after it builds what it always builds. */
static void queries(void **state)
{
	static const struct {
		const char *sql, *why;
	} all[] = {
		{"select id, ts from " EVENTS " where batchfs_outside(ts) = 0",
		 "call the function batchfs_outside"},
		{"select id, ts from " EVENTS " where batchfs_start(ts, 1) > 0",
		 "call the function batchfs_start"},
		{"select load_extension('x') as id, ts from " EVENTS, "call the function load_extension"},
		{"select id, ts from " EVENTS ", pragma_optimize", "use the pragma optimize"},
		{"select id, ts from " EVENTS ", pragma_journal_mode", "use the pragma journal_mode"},
		{"select id, ts from " EVENTS ", pragma_integrity_check", "use the pragma integrity_check"},
		{"select id, ts from " EVENTS ") limit -1) as m where 1 /*", ""},
		{"select id, ts from (select * from " EVENTS
		 ")) union all select 9, '2024-09-01' from (select 1",
		 ""},
		{"select id, ts from " EVENTS " where id <> $1", "the parameter $1"},
		{"select id, ts from " EVENTS " where id <> ?", "the parameter ?"},
		{"insert into out select id, ts from " EVENTS, ""},
		{"pragma journal_mode = delete; select id, ts from " EVENTS, ""},
		{"select id, ts from " EVENTS "; attach 'x.db' as x", ""},
		{"select id, ts from " EVENTS "; create temp table events (id, ts)", ""},
	};
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	f->n_models = 2;
	f->model[1].dir = f->model[1].name = f->model[1].unique_id = "bad";
	f->model[1].relation.identifier = (char *)"bad";
	shell(f, "CREATE TABLE bad(id INTEGER, ts TEXT)");
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		f->model[1].compiled = all[i].sql;
		connect_all(f);
		if (f->target[1].why_not.err) {
			assert_string_equal(all[i].why,
					    ""); /* the template's lexer is stricter than SQLite */
			continue;
		}
		struct store_sink sink = sink_of(f);
		if (f->target[1].look)
			GOOD(f->engine->builder->look(f->worker, 1, LOOK_FIRST, &sink, &f->err));
		unsigned char uuid[16] = {200, (unsigned char)i};
		struct store_request r = {.kind = REQUEST_BUILD,
					  .model = 1,
					  .batches = {day(f, 0), day(f, 1)},
					  .expected = -1,
					  .command = "",
					  .at = DAY_2024_09_01};
		memcpy(r.uuid, uuid, sizeof uuid);
		GOOD(f->engine->store->request(f->store, &r, 1, NULL, &f->err));
		struct store_claim c = {
			.model = 1, .first = day(f, 0), .count = 1, .request = r.id, .wanted = r.seq};
		GOOD(f->engine->store->claim(f->store, &c, 1, &f->err));
		struct build_run run = {.model = 1, .first = c.first, .count = 1, .request = r.id};
		memcpy(run.attempt, c.attempt, sizeof run.attempt);
		GOOD(build(f, &run));
		if (last(f)->outcome != BUILD_FAILED)
			fail_msg("it was built: %s", all[i].sql);
		const char *why = f->reports.err[f->reports.n - 1].text;
		if (!strstr(why, all[i].why))
			fail_msg("%s: %s", all[i].sql, why);
		assert_int_equal(shell(f, "SELECT count(*) FROM bad"), 0);
		assert_null(build_day(f, 0));
		assert_int_equal(shell(f, "SELECT count(*) FROM out"), 2);
	}
}

static void a_query_may_read_the_schema(void **state)
{
	struct fixture *f = *state;
	events(f);
	f->model[0].compiled =
		"select id, ts from " EVENTS " where (select count(*) from pragma_table_info('events')) = 2"
		" and (select count(*) from sqlite_master) > 0 and exists (select 1 from pragma_user_version)";
	build_days(f, 1);
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 2);
}

/* In FILE: the batch fails, with what is to be done; the others are built. */
static void a_damaged_row_of_what_is_done(void **state)
{
	static const char *const values[] = {"2147483647", "'abc'", "4294967295", "-1", "1.5"};
	struct fixture *f = *state;
	events(f);
	build_days(f, 2);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char sql[128];
		snprintf(sql, sizeof sql, "UPDATE batchfs_state SET attempt = %s WHERE start = %lld",
			 values[i], (long long)DAY_2024_09_01);
		shell(f, sql);
		connect_all(f);
		assert_int_equal(f->seen.n, 2);
		assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_FAILED);
		assert_non_null(strstr(f->seen.message[0], "batchfs_state is damaged: attempt"));
		assert_int_equal(state_of(f, day(f, 1))->outcome, OUTCOME_DONE);
		if (i != 3 && i != 4) /* an attempt that is higher wins, and mends the row */
			fails_with(f, 0, "DELETE FROM batchfs_state");
		assert_null(build_day(f, 1));
	}
	shell(f, "DELETE FROM batchfs_state WHERE start = 1725148800000000");
	assert_null(build_day(f, 0));
	/* Any other column is written anew with the next build. */
	shell(f,
	      "UPDATE batchfs_state SET finished = 'yesterday', code = x'00' WHERE start = 1725148800000000");
	connect_all(f);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_FAILED);
	assert_null(build_day(f, 0));
	connect_all(f);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
}

/* In FILE-queue: it shows as failed, and asking again mends it. */
static void a_damaged_row_of_the_queue(void **state)
{
	static const char *const columns[] = {
		"attempt = 2147483647", "attempt = 'x'",  "run = 7",	   "run = 'x'",	      "outcome = 9",
		"served = 'x'",		"table_id = 'x'", "started = 1.5", "message = x'00'", "owner = 'x'"};
	struct fixture *f = *state;
	events(f);
	build_days(f, 2);
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		char sql[160];
		snprintf(sql, sizeof sql, "UPDATE q.state SET %s WHERE start = %lld", columns[i],
			 (long long)DAY_2024_09_01);
		queue(f, sql);
		connect_all(f);
		assert_int_equal(f->seen.n, 2);
		if (state_of(f, day(f, 0))->outcome != OUTCOME_FAILED)
			fail_msg("%s", columns[i]);
		assert_non_null(strstr(f->seen.message[0], "the queue is damaged"));
		assert_int_equal(state_of(f, day(f, 1))->outcome, OUTCOME_DONE);
		assert_null(build_day(f, 1));
		assert_null(build_day(f, 0));
		connect_all(f);
		assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
	}
}

/* Rows of no batch are shown for none, and nothing waits for them. */
static void rows_of_no_batch(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	shell(f,
	      "INSERT INTO batchfs_state SELECT model, s, attempt, 1, 1, 1, 1, 1, 0, '' FROM batchfs_state,"
	      " (SELECT 'x' AS s UNION ALL SELECT 5)");
	queue(f,
	      "UPDATE q.request SET open = 1, range_end = 'x';"
	      "INSERT INTO q.state SELECT model, start + 1, table_id, 1, 1, 1, 5, 1, 1, 0, 0, 0, 0, 0, '', '', 0, '', 0, 0, 0, 0"
	      " FROM q.state;"
	      "INSERT INTO q.state SELECT model, 'x', table_id, 1, 1, 1, 5, 1, 1, 0, 0, 0, 0, 0, '', '', 0, '', 0, 0, 0, 0"
	      " FROM q.state LIMIT 1");
	connect_all(f);
	assert_int_equal(f->seen.n, 1);
	assert_int_equal(f->seen.requests, 0);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
	assert_null(build_day(f, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(triggers_of_the_table),
		TEST(a_trigger_may_write_other_tables),
		TEST(queries),
		TEST(a_query_may_read_the_schema),
		TEST(a_damaged_row_of_what_is_done),
		TEST(a_damaged_row_of_the_queue),
		TEST(rows_of_no_batch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
