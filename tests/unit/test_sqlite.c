/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a batch in the SQLite engine, and what is left of it after a kill. */
#include "tests/unit/sqlite_fixture.h"

#include <sys/wait.h>

static void whole_life(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	assert_false(f->target[0].exists);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
	assert_true(f->target[0].exists);
	assert_false(f->target[0].look);
	assert_int_equal(f->target[0].event_time_type, TIME_TEXT);
	assert_string_equal(f->target[0].notes, "");
	struct store_request r = ask(f, 1, day(f, 0), day(f, 3));
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 1);
	struct build_run again = claim(f, &r);
	assert_int_equal(again.attempt[0], 0); /* held */
	GOOD(build(f, &run));
	assert_int_equal(f->reports.n, 6);
	assert_int_equal(f->reports.list[0].outcome, BUILD_STARTED);
	assert_int_equal(f->reports.list[1].outcome, BUILD_DONE);
	assert_int_equal(f->reports.list[1].rows_inserted, 2);
	assert_int_equal(f->reports.list[1].rows_deleted, 0);
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 4);
	again = claim(f, &r);
	assert_int_equal(again.attempt[0], 0); /* answered */
	GOOD(f->engine->store->retire(f->store, &r.id, 1, &f->err));

	connect_all(f);
	assert_true(f->target[0].exists);
	assert_false(f->target[0].look);
	assert_int_equal(f->seen.n, 3);
	assert_int_equal(f->seen.requests, 1);
	assert_false(f->seen.request.open);
	const struct store_state *st = state_of(f, day(f, 0));
	assert_int_equal(st->run, ROW_IDLE);
	assert_int_equal(st->outcome, OUTCOME_DONE);
	assert_int_equal(st->attempt, 1);
	assert_int_equal(st->rows_inserted, 2);
	assert_int_equal(st->request, r.id);
	assert_int_equal(st->served, r.seq);
	assert_true(st->built > 0 && st->built == st->finished);
	assert_string_equal(f->seen.code[0], "0123456789abcdef");
}

static void rebuild_replaces(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 3);
	shell(f, "UPDATE events SET id = id + 10; DELETE FROM events WHERE id = 12");
	struct store_request r = ask(f, 2, day(f, 0), day(f, 1));
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 2);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->rows_deleted, 2);
	assert_int_equal(last(f)->rows_inserted, 1);
	assert_int_equal(shell(f, "SELECT group_concat(id) = '3,4,11' FROM (SELECT id FROM out ORDER BY id)"),
			 1);
}

static void failure_and_its_repair(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	shell(f, "ALTER TABLE events RENAME COLUMN id TO gone");
	struct store_request r = ask(f, 2, day(f, 0), day(f, 2));
	struct build_run run = claim(f, &r);
	GOOD(build(f, &run));
	assert_int_equal(f->reports.n, 3);
	assert_int_equal(f->reports.list[1].outcome, BUILD_FAILED);
	assert_int_equal(last(f)->outcome, BUILD_UNSTARTED); /* a failure ends the run */
	assert_non_null(strstr(f->reports.err[1].text, "no such column"));
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 0), run.attempt[0], "no such column: id"), 0);
	assert_int_equal(settle(f, SETTLE_UNSTARTED, day(f, 1), run.attempt[1], ""), 0);
	run = claim(f, &r);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_FAILED);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 1), run.attempt[1], "no such column: id"), 0);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 1), run.attempt[1], "twice"), -ESTALE);
	connect_all(f);
	const struct store_state *st = state_of(f, day(f, 0));
	assert_int_equal(st->outcome, OUTCOME_FAILED);
	assert_int_equal(st->attempt, 2);
	assert_true(st->built > 0); /* the rows of attempt 1 are still there */
	assert_string_equal(f->seen.message[0], "no such column: id");
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 2);

	/* touch X.failed: the first wins, the second finds it gone. */
	struct store_request retry[2] = {{.batches = {day(f, 1), day(f, 2)},
					  .expected = BATCH_FAILED,
					  .expected_attempt = 1,
					  .uuid = {3}},
					 {.batches = {day(f, 1), day(f, 2)},
					  .expected = BATCH_FAILED,
					  .expected_attempt = 1,
					  .uuid = {4}}};
	GOOD(f->engine->store->request(f->store, retry, 2, NULL, &f->err));
	assert_int_equal(retry[0].result, 0);
	assert_int_equal(retry[1].result, -ENOENT);
	shell(f, "ALTER TABLE events RENAME COLUMN gone TO id");
	run = claim(f, &retry[0]);
	assert_int_equal(run.attempt[0], 2);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	connect_all(f);
	assert_int_equal(state_of(f, day(f, 1))->outcome, OUTCOME_DONE);
}

static void expected_states(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	const struct {
		int day, expected;
		uint32_t attempt;
		int result;
	} cases[] = {
		{0, BATCH_FAILED, 1, -ENOENT},	{0, BATCH_PENDING, 1, -ENOENT}, {0, BATCH_DONE, 2, -ENOENT},
		{0, BATCH_RUNNING, 1, -ENOENT}, {0, BATCH_QUEUED, 1, -ENOENT},	{0, BATCH_PARTIAL, 1, 0},
		{0, BATCH_PARTIAL, 1, -ENOENT}, {0, BATCH_QUEUED, 1, 0},	{1, BATCH_FAILED, 0, -ENOENT},
		{1, BATCH_PENDING, 0, 0},	{1, BATCH_PENDING, 0, -ENOENT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct store_request r = {.batches = {day(f, cases[i].day), day(f, cases[i].day) + 1},
					  .expected = cases[i].expected,
					  .expected_attempt = cases[i].attempt,
					  .uuid = {(unsigned char)(20 + i)}};
		GOOD(f->engine->store->request(f->store, &r, 1, NULL, &f->err));
		if (r.result != cases[i].result)
			fail_msg("case %zu: %d", i, r.result);
	}
}

static void uuid_twice_and_reason(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	struct store_request a = ask(f, 9, day(f, 0), day(f, 1)), b = ask(f, 9, day(f, 0), day(f, 1));
	assert_int_equal(a.id, b.id);
	assert_int_equal(a.seq, b.seq);
	struct store_request c = ask(f, 10, day(f, 0), day(f, 1));
	assert_true(c.id > a.id && c.seq > a.seq);
	struct store_request why = {.kind = REQUEST_REASON, .uuid = {9}, .reason = "late data"};
	GOOD(f->engine->store->request(f->store, &why, 1, NULL, &f->err));
	assert_int_equal(why.id, a.id);
	why.uuid[0] = 99;
	GOOD(f->engine->store->request(f->store, &why, 1, NULL, &f->err));
	assert_int_equal(why.result, -ENOENT);
	GOOD(f->engine->store->retire(f->store, &c.id, 1, &f->err));
	connect_all(f);
	assert_int_equal(f->seen.requests, 2); /* the built one and the open one; nothing names the third */
	assert_true(f->seen.request.open);
	assert_int_equal(f->seen.request.batches.first, day(f, 0));
	assert_int_equal(f->seen.request.batches.end, day(f, 1));
}

/* What a mount does and is killed at: it claims days [0, 2), builds the first, and is gone. */
static void killed_mount(struct fixture *f, bool builds)
{
	disconnect(f);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		connect_all(f);
		struct store_claim c = {.first = day(f, 0), .count = 2, .wanted = INT64_MAX, .started = 1};
		int r = f->engine->store->claim(f->store, &c, 1, &f->err);
		struct build_run run = {.first = c.first, .count = 1, .attempt = {c.attempt[0]}};
		if (r == 0 && builds)
			r = build(f, &run);
		_exit(r == 0 && c.attempt[0] && c.attempt[1] ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void killed_and_mounted_again(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 0);
	killed_mount(f, true);
	connect_all(f);
	const struct store_state *done = state_of(f, day(f, 0)), *back = state_of(f, day(f, 1));
	assert_int_equal(done->run, ROW_IDLE);
	assert_int_equal(done->outcome, OUTCOME_DONE);
	assert_int_equal(done->attempt, 1);
	assert_int_equal(done->rows_inserted, 2);
	assert_int_equal(back->run, ROW_REQUEUED);
	assert_int_equal(back->outcome, OUTCOME_NONE);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 0), 1, "too late"), -ESTALE);
}

/* The log of the killed one is read as it lies there. */
static void killed_and_mounted_read_only(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 0);
	killed_mount(f, true);
	f->config.read_only = true;
	connect_all(f);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
	assert_int_equal(state_of(f, day(f, 1))->run, ROW_RUNNING);
}

static void interrupted_four_times(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 0);
	for (int i = 1; i <= 4; i++) {
		killed_mount(f, false);
		connect_all(f);
		const struct store_state *st = state_of(f, day(f, 1));
		assert_int_equal(st->attempt, i);
		assert_int_equal(st->run, i < 4 ? ROW_REQUEUED : ROW_IDLE);
		assert_int_equal(st->outcome, i < 4 ? OUTCOME_NONE : OUTCOME_FAILED);
	}
	assert_string_equal(f->seen.message[0], "interrupted 4 times");
}

static void orderly_end_is_no_interruption(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 1));
	for (int i = 1; i <= 6; i++) {
		struct build_run run = claim(f, &r);
		assert_int_equal(run.attempt[0], i);
		if (i % 2)
			assert_int_equal(settle(f, SETTLE_INTERRUPTED, day(f, 0), run.attempt[0], ""), 0);
		connect_all(f);
		assert_int_equal(state_of(f, day(f, 0))->run, ROW_REQUEUED);
		assert_int_equal(state_of(f, day(f, 0))->request, r.id);
	}
	struct build_run run = claim(f, &(struct store_request){.batches = {day(f, 0), day(f, 1)}});
	assert_int_equal(run.attempt[0], 7);
	assert_int_equal(settle(f, SETTLE_UNSTARTED, day(f, 0), 7, ""), 0);
	run = claim(f, &r);
	assert_int_equal(run.attempt[0], 7); /* one that never began does not count */
}

static void queue_lost(void **state)
{
	struct fixture *f = *state;
	char command[256];
	events(f);
	build_days(f, 2);
	disconnect(f);
	snprintf(command, sizeof command, "rm '%s'-queue*", f->file);
	assert_int_equal(system(command), 0);
	connect_all(f);
	assert_int_equal(f->seen.n, 2);
	assert_int_equal(state_of(f, day(f, 1))->outcome, OUTCOME_DONE);
	assert_int_equal(state_of(f, day(f, 1))->request, 0);
	struct store_request r = ask(f, 2, day(f, 1), day(f, 2));
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 2);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
}

static void fenced(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	struct build_run old = {.first = day(f, 0), .count = 1, .attempt = {1}};
	GOOD(build(f, &old));
	assert_int_equal(last(f)->outcome, BUILD_STALE);
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_life),
		TEST(rebuild_replaces),
		TEST(failure_and_its_repair),
		TEST(expected_states),
		TEST(uuid_twice_and_reason),
		TEST(killed_and_mounted_again),
		TEST(killed_and_mounted_read_only),
		TEST(interrupted_four_times),
		TEST(orderly_end_is_no_interruption),
		TEST(queue_lost),
		TEST(fenced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
