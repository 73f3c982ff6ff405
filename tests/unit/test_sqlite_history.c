/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/seen_attempts.h"
#include "tests/unit/sqlite_fixture.h"

#define ALWAYS INT64_C(4000000000000000) /* the year 2096: everything is older */

static const char *history(struct fixture *f, slot model, size_t most, struct seen_attempts *s)
{
	s->first = day(f, 0);
	if (!s->text.str)
		s->text = (struct strbuf)STRBUF_INIT;
	strbuf_clear(&s->text);
	GOOD(f->engine->builder->history(f->worker, model, most, &s->cursor, see_attempt, s, &f->err));
	return s->text.len ? s->text.str : "";
}

/* The same of FILE-queue. */
static int64_t queue(struct fixture *f, const char *sql)
{
	struct fixture other = {0};
	snprintf(other.file, sizeof other.file, "%s/w.db-queue", f->dir);
	return shell(&other, sql);
}

static void every_outcome(void **state)
{
	struct fixture *f = *state;
	struct seen_attempts s = {0};
	events(f);
	build_days(f, 1);
	assert_string_equal(history(f, 0, 100, &s), "0:0#1 done/2/7/because/");
	struct store_request r = ask(f, 2, day(f, 1), day(f, 5));
	struct build_run run = claim(f, &r);
	assert_string_equal(history(f, 0, 100, &s), ""); /* a claim is no attempt that has ended */
	settle(f, SETTLE_FAILED, day(f, 1), run.attempt[0], "no");
	settle(f, SETTLE_UNSTARTED, day(f, 2), run.attempt[1], "");
	settle(f, SETTLE_INTERRUPTED, day(f, 3), run.attempt[2], "");
	settle(f, SETTLE_CANCELLED, day(f, 4), run.attempt[3], "");
	/* The reason comes after the attempt has ended. */
	queue(f, "UPDATE request SET reason = 'INC-1'");
	assert_string_equal(history(f, 0, 100, &s),
			    "0:1#1 failed/-1/7/INC-1/no, 0:3#1 interrupted/-1/7/INC-1/,"
			    " 0:4#1 cancelled/-1/7/INC-1/");
	assert_int_equal(s.us, 1000);
	assert_string_equal(history(f, 0, 100, &s), "");
	seen_attempts_fini(&s);
	assert_string_equal(history(f, -1, 1, &s), "0:4#1 cancelled/-1/7/INC-1/, 0:0#1 done/2/7/INC-1/");
	seen_attempts_fini(&s);
}

static void killed(void **state)
{
	struct fixture *f = *state;
	struct seen_attempts s = {0};
	events(f);
	build_days(f, 0);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 1));
	claim(f, &r);
	queue(f, "UPDATE state SET owner = 1");
	connect_all(f);
	assert_string_equal(history(f, 0, 100, &s), "0:0#1 interrupted/-1/7/because/interrupted 1 time");
	assert_true(s.us > 0);
	seen_attempts_fini(&s);
}

static void it_outlives_an_adoption(void **state)
{
	struct fixture *f = *state;
	struct seen_attempts s = {0};
	events(f);
	build_days(f, 1);
	shell(f, "CREATE TABLE other AS SELECT * FROM out; DROP TABLE out; ALTER TABLE other RENAME TO out");
	connect_all(f);
	assert_true(f->target[0].look);
	struct store_sink sink = sink_of(f);
	GOOD(f->engine->builder->look(f->worker, 0, LOOK_FIRST, &sink, &f->err));
	assert_string_equal(history(f, 0, 100, &s), "0:0#1 done/2/7/because/, 0:0#0 adopted/-1/-1//");
	seen_attempts_fini(&s);
}

static void read_only(void **state)
{
	struct fixture *f = *state;
	struct seen_attempts s = {0};
	events(f);
	build_days(f, 1);
	disconnect(f);
	f->config.read_only = true;
	connect_all(f);
	assert_string_equal(history(f, 0, 100, &s), "0:0#1 done/2/7/because/");
	seen_attempts_fini(&s);
}

static void old_ones_are_forgotten(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	for (unsigned char i = 0; i < 4; i++) {
		struct store_request r = ask(f, (unsigned char)(10 + i), day(f, 0), day(f, 1));
		struct build_run run = claim(f, &r);
		GOOD(build(f, &run));
		r = ask(f, (unsigned char)(20 + i), day(f, 1), day(f, 2));
		run = claim(f, &r);
		settle(f, SETTLE_FAILED, day(f, 1), run.attempt[0], "no");
	}
	queue(f, "UPDATE request SET open = 0");
	GOOD(f->engine->builder->prune(f->worker, 0, 2, 1, &f->err)); /* all are younger */
	assert_int_equal(shell(f, "SELECT count(*) FROM batchfs_attempt"), 5);
	assert_int_equal(queue(f, "SELECT count(*) FROM request"), 9);
	GOOD(f->engine->builder->prune(f->worker, 0, 2, ALWAYS, &f->err));
	assert_int_equal(shell(f, "SELECT count(*) * 100 + min(attempt) FROM batchfs_attempt"), 204);
	assert_int_equal(queue(f, "SELECT count(*) * 100 + min(attempt) FROM attempt"), 203);
	/* From the first that a build which is kept was asked for by. */
	assert_int_equal(queue(f, "SELECT count(*) FROM request"), 4);
	assert_int_equal(queue(f, "SELECT count(*) FROM request r WHERE id IN (SELECT request FROM state)"),
			 2);
}

/* A batch holds FILE for as long as it takes. */
static void a_build_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	sqlite3 *other = NULL;
	events(f);
	build_days(f, 2);
	assert_int_equal(sqlite3_open(f->file, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(f->engine->builder->prune(f->worker, 0, 1, ALWAYS, &f->err), -EBUSY);
	struct seen_attempts s = {0};
	assert_true(strlen(history(f, 0, 100, &s)) > 0);
	sqlite3_close(other);
	GOOD(f->engine->builder->prune(f->worker, 0, 1, ALWAYS, &f->err));
	assert_int_equal(shell(f, "SELECT count(*) FROM batchfs_attempt"), 1);
	seen_attempts_fini(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_outcome),	       TEST(killed),
		TEST(it_outlives_an_adoption), TEST(read_only),
		TEST(old_ones_are_forgotten),  TEST(a_build_is_not_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
