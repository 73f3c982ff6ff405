/* SPDX-License-Identifier: Apache-2.0 */
/* What a look makes of a table that others have written to. */
#include "tests/unit/seen_attempts.h"
#include "tests/unit/sqlite_fixture.h"

static const char *history(struct fixture *f, struct seen_attempts *s)
{
	s->first = day(f, 0);
	if (!s->text.str)
		s->text = (struct strbuf)STRBUF_INIT;
	strbuf_clear(&s->text);
	GOOD(f->engine->builder->history(f->worker, 0, 100, &s->cursor, see_attempt, s, &f->err));
	return s->text.len ? s->text.str : "";
}

/* A letter for each of the first days as it was last reported: a adopted, d done, q requeued, r running. */
static const char *shown(const struct fixture *f)
{
	static char text[8];
	for (int i = 0; i < 7; i++) {
		text[i] = '.';
		for (size_t k = 0; k < f->seen.n; k++) {
			const struct store_state *s = &f->seen.states[k];
			if (s->batch == day(f, i))
				text[i] = s->run == ROW_RUNNING		 ? 'r'
					  : s->run == ROW_REQUEUED	 ? 'q'
					  : s->outcome == OUTCOME_FAILED ? 'f'
					  : s->outcome != OUTCOME_DONE	 ? '.'
					  : s->adopted			 ? 'a'
									 : 'd';
		}
	}
	return text;
}

static int look(struct fixture *f, enum look_kind kind)
{
	struct store_sink sink = sink_of(f);
	return f->engine->builder->look(f->worker, 0, kind, &sink, &f->err);
}

/* What is recorded, as the next mount sees it. */
static const char *recorded(struct fixture *f)
{
	connect_all(f);
	return shown(f);
}

/* Neighbours are a row of the history, whatever their number; each is a line. */
static void first(void **state)
{
	struct fixture *f = *state;
	struct seen_attempts s = {0};
	events(f);
	shell(f,
	      "CREATE TABLE out(id, ts); INSERT INTO out VALUES (1, '2024-09-01'), (2, '2024-09-02 01:00:00'),"
	      " (3, '2024-09-03'), (4, '2024-09-05'), (5, '2024-08-31'), (6, '2999-01-01'), (7, NULL)");
	connect_all(f);
	assert_true(f->target[0].look);
	GOOD(look(f, LOOK_FIRST));
	assert_string_equal(shown(f), "aaa.a..");
	assert_true(f->seen.states[0].finished > DAY_2024_09_01);
	assert_int_equal(f->seen.states[0].started, f->seen.states[0].finished);
	assert_string_equal(history(f, &s),
			    "0:0#0 adopted/-1/-1//, 0:1#0 adopted/-1/-1//, 0:2#0 adopted/-1/-1//,"
			    " 0:4#0 adopted/-1/-1//");
	assert_int_equal(s.us, -1);
	assert_int_equal(shell(f, "SELECT count(*) FROM batchfs_attempt"), 2);
	assert_string_equal(recorded(f), "aaa.a..");
	seen_attempts_fini(&s);
}

/* An index leads with event_time: the same windows, whatever type the times have. */
static void by_an_index(void **state)
{
	struct fixture *f = *state;
	static const char *const tables[] = {
		"CREATE TABLE out(id, ts TEXT); CREATE INDEX i ON out(ts); INSERT INTO out VALUES (1, '2024-09-01'),"
		" (2, '2024-09-03 00:00:00'), (3, '2024-09-03 23:59:59.999999'), (4, '2024-08-31'), (5, NULL)",
		"CREATE TABLE out(id, ts INTEGER); CREATE INDEX i ON out(ts); INSERT INTO out VALUES (1, 1725148800),"
		" (2, 1725321600), (3, 1725407999), (4, 1725148799), (5, NULL)",
		/* Of what is no time nobody can say where it lies. */
		"CREATE TABLE out(id, ts TEXT); CREATE INDEX i ON out(ts); INSERT INTO out VALUES (1, '2024-09-01'),"
		" (2, '2024-09-02T00:00:00'), (3, '2024-09-03'), (4, '2024-09-02x')",
	};
	events(f);
	for (size_t i = 0; i < 3; i++) {
		shell(f, "DROP TABLE IF EXISTS out");
		shell(f, tables[i]);
		connect_all(f);
		assert_string_equal(f->target[0].notes, "");
		GOOD(look(f, LOOK_FIRST));
		assert_string_equal(shown(f), "a.a....");
	}
}

/* What was built into a table that has gone is void; what another one holds instead is adopted. */
static void another_table(void **state)
{
	struct fixture *f = *state;
	struct seen_attempts s = {0};
	events(f);
	build_days(f, 3);
	shell(f, "DROP TABLE out");
	assert_string_equal(recorded(f), ".......");
	assert_true(f->target[0].look);
	assert_false(f->target[0].exists);
	assert_string_equal(history(f, &s), "0:0#1 done/2/7/because/, 0:1#1 done/1/7/because/,"
					    " 0:2#1 done/1/7/because/");
	GOOD(look(f, LOOK_FIRST));
	assert_int_equal(f->seen.forgotten, 1);
	assert_string_equal(history(f, &s), "0:0#1 gone/-1/-1//, 0:1#1 gone/-1/-1//, 0:2#1 gone/-1/-1//");
	GOOD(look(f, LOOK_FIRST));
	assert_string_equal(history(f, &s), "");
	shell(f, "CREATE TABLE out(id, ts); INSERT INTO out VALUES (1, '2024-09-02')");
	assert_string_equal(recorded(f), ".......");
	assert_true(f->target[0].look);
	GOOD(look(f, LOOK_FIRST));
	assert_string_equal(history(f, &s), "0:1#0 adopted/-1/-1//");
	assert_string_equal(recorded(f), ".a.....");
	assert_false(f->target[0].look);
	seen_attempts_fini(&s);
}

/* What others have written and deleted is found, told, and recorded; nothing else is touched. */
static void again(void **state)
{
	struct fixture *f = *state;
	struct seen_attempts s = {0};
	events(f);
	build_days(f, 4); /* the 4th has no rows: it is done, and not gone */
	struct store_request asked = ask(f, 2, day(f, 4), day(f, 6));
	history(f, &s);
	shell(f, "DELETE FROM out WHERE ts < '2024-09-02'; INSERT INTO out VALUES (7, '2024-09-05'),"
		 " (8, '2024-09-06'), (9, '2024-09-07')");
	GOOD(look(f, LOOK_ASKED));
	assert_string_equal(shown(f), "......a");
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_NONE);
	assert_int_equal(state_of(f, day(f, 0))->attempt, 1);
	assert_int_equal(f->seen.n, 2);
	assert_int_equal(f->seen.forgotten, 0);
	assert_string_equal(history(f, &s), "0:0#1 gone/-1/-1//, 0:6#0 adopted/-1/-1//");
	/* What runs, and what waits, was asked for. */
	struct build_run run = claim(f, &asked);
	GOOD(look(f, LOOK_ASKED));
	assert_int_equal(f->seen.n, 0);
	assert_int_equal(settle(f, SETTLE_CANCELLED, day(f, 4), run.attempt[0], ""), 0);
	GOOD(look(f, LOOK_ASKED));
	assert_string_equal(shown(f), "....a..");
	assert_int_equal(state_of(f, day(f, 4))->attempt, 1);
	assert_int_equal(settle(f, SETTLE_UNSTARTED, day(f, 5), run.attempt[1], ""), 0);
	assert_string_equal(recorded(f), ".dddaqa");
	/* What was adopted, and built again, can go. */
	struct store_request r = ask(f, 3, day(f, 0), day(f, 1));
	run = claim(f, &r);
	GOOD(build(f, &run));
	shell(f, "DELETE FROM out");
	GOOD(look(f, LOOK_ASKED));
	assert_string_equal(recorded(f), "...d.q.");
	/* And comes back when it is built. */
	r = ask(f, 4, day(f, 0), day(f, 1));
	run = claim(f, &r);
	assert_int_equal(run.attempt[0], 3);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	assert_string_equal(recorded(f), "d..d.q.");
	seen_attempts_fini(&s);
}

/* An outcome that is older than a build that is gone does not come to light again. */
static void an_older_failure(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 0);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 1));
	struct build_run run = claim(f, &r);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 0), run.attempt[0], "no"), 0);
	r = ask(f, 3, day(f, 0), day(f, 1));
	run = claim(f, &r);
	GOOD(build(f, &run));
	shell(f, "DELETE FROM out");
	GOOD(look(f, LOOK_ASKED));
	assert_string_equal(recorded(f), ".......");
	/* A failure that is the last word stays, whatever the table holds. */
	r = ask(f, 4, day(f, 0), day(f, 1));
	run = claim(f, &r);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 0), run.attempt[0], "no"), 0);
	shell(f, "INSERT INTO out VALUES (7, '2024-09-01')");
	GOOD(look(f, LOOK_ASKED));
	assert_string_equal(recorded(f), "f......");
}

/* By the clock nothing is read where nobody has written, or where all of the table would be read. */
static void by_the_clock(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	GOOD(look(f, LOOK_CLOCK));
	shell(f, "INSERT INTO out VALUES (7, '2024-09-03')");
	GOOD(look(f, LOOK_CLOCK));
	assert_string_equal(shown(f), "..a....");
	/* That it is cancelled is no write: were the table read all the same, its rows would be found. */
	struct store_request r = ask(f, 2, day(f, 4), day(f, 5));
	struct build_run run = claim(f, &r);
	shell(f, "INSERT INTO out VALUES (8, '2024-09-05')");
	GOOD(look(f, LOOK_CLOCK));
	assert_int_equal(settle(f, SETTLE_CANCELLED, day(f, 4), run.attempt[0], ""), 0);
	GOOD(look(f, LOOK_CLOCK));
	assert_int_equal(f->seen.n, 0);
	/* Not for ever, though. */
	for (int i = 0; i < 10 && !f->seen.n; i++)
		GOOD(look(f, LOOK_CLOCK));
	assert_string_equal(shown(f), "....a..");
	shell(f, "INSERT INTO out VALUES (7, '2024-09-04')");
	char sql[160] = "";
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT name FROM pragma_index_list('out')", -1, &stmt, NULL),
			 0);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	snprintf(sql, sizeof sql, "DROP INDEX \"%s\"", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	shell(f, sql);
	GOOD(look(f, LOOK_CLOCK));
	assert_int_equal(f->seen.n, 0);
	GOOD(look(f, LOOK_ASKED));
	assert_string_equal(shown(f), "...a...");
}

/* Another table is no business of theirs; a file that somebody writes to is waited for for a second. */
static void in_the_way(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	shell(f, "INSERT INTO out VALUES (7, '2024-09-03')");
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(look(f, LOOK_CLOCK), -EBUSY);
	sqlite3_close(db);
	GOOD(look(f, LOOK_CLOCK));
	assert_string_equal(shown(f), "..a....");
	shell(f, "ALTER TABLE out RENAME TO gone; CREATE TABLE out(id, ts)");
	assert_int_equal(look(f, LOOK_ASKED), -EAGAIN);
	shell(f, "DROP TABLE out");
	assert_int_equal(look(f, LOOK_ASKED), -EAGAIN);
}

/* -o ro: told, and not written; what has gone again is told, too. */
static void read_only(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 2);
	disconnect(f);
	f->config.read_only = true;
	connect_all(f);
	shell(f, "DELETE FROM out WHERE ts < '2024-09-02'; INSERT INTO out VALUES (7, '2024-09-04')");
	GOOD(look(f, LOOK_ASKED));
	assert_string_equal(shown(f), ".d.a...");
	GOOD(look(f, LOOK_ASKED));
	assert_int_equal(f->seen.n, 0);
	shell(f, "DELETE FROM out WHERE ts > '2024-09-03'");
	GOOD(look(f, LOOK_ASKED));
	assert_string_equal(shown(f), ".d.....");
	assert_int_equal(shell(f, "SELECT count(*) FROM batchfs_attempt WHERE outcome <> 'done'"), 0);
}

/* Until a target was told of, at most so often. */
static bool follow_target(struct fixture *f, int most)
{
	struct store_sink sink = sink_of(f);
	for (int i = 0; i < most && !f->seen.targets; i++)
		GOOD(f->engine->store->follow(f->store, 100, &sink, &f->err));
	f->target[0] = f->seen.target;
	return f->seen.targets > 0;
}

/* However it comes: another table is noticed, and what was built into the former one is void. */
static void replaced_tables(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 2);
	assert_false(follow_target(f, 25)); /* what this mount makes itself is no news */
	shell(f, "DROP TABLE out");
	assert_true(follow_target(f, 100));
	assert_true(f->target[0].look && !f->target[0].exists);
	GOOD(look(f, LOOK_FIRST));
	assert_string_equal(shown(f), ".......");
	shell(f, "CREATE TABLE out(id, ts); INSERT INTO out VALUES (1, '2024-09-03')");
	assert_true(follow_target(f, 100));
	assert_true(f->target[0].look && f->target[0].exists);
	GOOD(look(f, LOOK_FIRST));
	assert_string_equal(shown(f), "..a....");
	shell(f,
	      "CREATE TABLE tmp AS SELECT 1 AS id, '2024-09-04' AS ts; BEGIN; ALTER TABLE out RENAME TO backup;"
	      " ALTER TABLE tmp RENAME TO out; DROP TABLE backup; COMMIT");
	assert_true(follow_target(f, 100));
	assert_true(f->target[0].look);
	GOOD(look(f, LOOK_FIRST));
	assert_string_equal(recorded(f), "...a...");
	shell(f, "ALTER TABLE out RENAME TO away; CREATE VIEW out AS SELECT * FROM away");
	assert_true(follow_target(f, 100));
	assert_false(f->target[0].lookable);
	assert_int_equal(f->target[0].why_not.err, EOPNOTSUPP);
	shell(f, "DROP VIEW out; ALTER TABLE away RENAME TO out");
	assert_true(follow_target(f, 100));
	assert_false(f->target[0].look); /* it is the one that was known */
	assert_string_equal(recorded(f), "...a...");
	assert_false(follow_target(f, 25));
}

/* What cannot be built here is looked at, and its batches are frozen, all the same. */
static void what_cannot_be_built(void **state)
{
	struct fixture *f = *state;
	static const struct need hook = {.kind = NEED_HOOK, .where = "pre_hook", .text = "select 1"};
	struct store_request freeze = {.kind = REQUEST_FREEZE, .expected = -1, .command = "chmod"};
	events(f);
	shell(f, "CREATE TABLE out(id, ts); INSERT INTO out VALUES (1, '2024-09-02')");
	f->model[0].needs = &hook;
	f->model[0].compiled = NULL;
	connect_all(f);
	assert_true(f->target[0].lookable && f->target[0].look);
	assert_int_equal(f->target[0].why_not.err, 0); /* the verdict says it */
	GOOD(look(f, LOOK_FIRST));
	assert_string_equal(shown(f), ".a.....");
	assert_string_equal(recorded(f), ".a.....");
	freeze.batches = (struct ordinal_range){day(f, 0), day(f, 2)};
	GOOD(f->engine->store->request(f->store, &freeze, 1, NULL, &f->err));
	assert_int_equal(freeze.result, 0);
	recorded(f);
	assert_int_equal(f->seen.freezes, 1);
	/* The one that can be built has the table's states. */
	f->model[1] = f->model[0];
	f->model[1].needs = NULL;
	f->model[1].compiled = "select id, ts from \"w\".\"main\".\"events\"";
	f->n_models = 2;
	connect_all(f);
	assert_false(f->target[0].lookable);
	assert_true(f->target[1].lookable);
	assert_int_equal(f->target[1].why_not.err, 0);
	/* Without an event_time nobody can tell what the table holds. */
	f->model[0].event_time = NULL;
	f->model[0].wrong = "no event_time";
	connect_all(f);
	assert_false(f->target[0].lookable);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(first),
					   TEST(by_an_index),
					   TEST(another_table),
					   TEST(again),
					   TEST(an_older_failure),
					   TEST(by_the_clock),
					   TEST(in_the_way),
					   TEST(read_only),
					   TEST(replaced_tables),
					   TEST(what_cannot_be_built)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
