/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that are answered without being built, in the SQLite engine. */
#include "tests/unit/sqlite_fixture.h"

static int answer(struct fixture *f, ordinal batch, enum settle_kind kind, uint32_t attempt, int64_t wanted)
{
	struct store_outcome o = {.kind = kind,
				  .batch = batch,
				  .attempt = attempt,
				  .wanted = wanted,
				  .request = 77,
				  .started = 1000,
				  .finished = 2001000,
				  .sqlstate = "",
				  .message = kind == SETTLE_SKIPPED ? "what it reads failed" : ""};
	GOOD(f->engine->store->settle(f->store, &o, 1, &f->err));
	return o.result;
}

/* Of FILE-queue. */
static int64_t queue(struct fixture *f, const char *sql)
{
	char text[512];
	snprintf(text, sizeof text, "ATTACH '%s-queue' AS q; %s", f->file, sql);
	return shell(f, text);
}

static int64_t told(struct fixture *f, const char *outcome)
{
	char text[128];
	snprintf(text, sizeof text, "SELECT count(*) FROM q.attempt WHERE outcome = '%s'", outcome);
	return queue(f, text);
}

static void skipped_without_a_row(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 2));
	assert_int_equal(answer(f, day(f, 1), SETTLE_SKIPPED, 0, r.seq), 0);
	assert_int_equal(answer(f, day(f, 1), SETTLE_SKIPPED, 0, r.seq), -ESTALE);
	assert_int_equal(told(f, "skipped"), 1);
	assert_int_equal(queue(f, "SELECT count(*) FROM q.attempt WHERE seconds IS NULL AND request = 77"),
			 1);
	connect_all(f);
	assert_int_equal(f->seen.n, 1);
	const struct store_state *st = state_of(f, day(f, 1));
	assert_int_equal(st->run, ROW_IDLE);
	assert_int_equal(st->outcome, OUTCOME_SKIPPED);
	assert_int_equal(st->served, r.seq);
	assert_int_equal(st->attempt, 0);
	assert_int_equal(st->built, 0);
	assert_int_equal(st->started, 2001000);
	assert_int_equal(st->finished, 2001000);
	assert_string_equal(f->seen.message[0], "what it reads failed");
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 1);
	assert_int_equal(run.attempt[1], 0); /* answered */
	struct store_request retry = {
		.batches = {day(f, 1), day(f, 2)}, .expected = BATCH_SKIPPED, .uuid = {9}, .command = ""};
	GOOD(f->engine->store->request(f->store, &retry, 1, NULL, &f->err));
	assert_int_equal(retry.result, 0);
	run = claim(f, &retry);
	assert_int_equal(run.attempt[0], 1);
}

/* Skipped after attempt n, which FILE has as done; then built again. */
static void skipped_after_it_was_done(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	int64_t built = last(f)->finished;
	struct store_request r = ask(f, 2, day(f, 0), day(f, 1));
	assert_int_equal(answer(f, day(f, 0), SETTLE_SKIPPED, 0, r.seq), 0);
	connect_all(f);
	const struct store_state *st = state_of(f, day(f, 0));
	assert_int_equal(st->outcome, OUTCOME_SKIPPED);
	assert_int_equal(st->attempt, 1);
	assert_int_equal(st->built, built);
	assert_int_equal(st->rows_inserted, -1);
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 2);
	r = ask(f, 3, day(f, 0), day(f, 1));
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 2);
	GOOD(build(f, &run));
	connect_all(f);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
	assert_string_equal(f->seen.message[0], "");
}

static void skipped_when_adopted(void **state)
{
	struct fixture *f = *state;
	events(f);
	shell(f, "CREATE TABLE out AS SELECT * FROM events");
	connect_all(f);
	struct store_sink sink = sink_of(f);
	GOOD(f->engine->builder->look(f->worker, 0, LOOK_FIRST, &sink, &f->err));
	assert_true(state_of(f, day(f, 0))->adopted);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 1));
	assert_int_equal(answer(f, day(f, 0), SETTLE_SKIPPED, 0, r.seq), 0);
	connect_all(f);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_SKIPPED);
	assert_int_equal(state_of(f, day(f, 1))->outcome, OUTCOME_DONE);
}

static void cancelled_in_the_queue(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 2));
	assert_int_equal(answer(f, day(f, 0), SETTLE_CANCELLED, 0, r.seq), 0);
	assert_int_equal(answer(f, day(f, 1), SETTLE_CANCELLED, 0, r.seq), 0);
	assert_int_equal(answer(f, day(f, 1), SETTLE_CANCELLED, 0, r.seq), -ESTALE);
	assert_int_equal(told(f, "cancelled"), 2);
	connect_all(f);
	const struct store_state *done = state_of(f, day(f, 0)), *pending = state_of(f, day(f, 1));
	assert_int_equal(done->outcome, OUTCOME_DONE);
	assert_int_equal(done->rows_inserted, 2);
	assert_int_equal(done->served, r.seq);
	assert_int_equal(pending->outcome, OUTCOME_NONE);
	assert_int_equal(pending->run, ROW_IDLE);
	assert_int_equal(pending->served, r.seq);
}

static void cancelled_after_it_was_put_back(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 1));
	struct build_run run = claim(f, &r);
	assert_int_equal(settle(f, SETTLE_REQUEUED, day(f, 0), run.attempt[0], "locked"), 0);
	assert_int_equal(answer(f, day(f, 0), SETTLE_CANCELLED, 0, 0), 0);
	assert_int_equal(answer(f, day(f, 0), SETTLE_CANCELLED, 0, 0), -ESTALE);
	connect_all(f);
	assert_int_equal(state_of(f, day(f, 0))->run, ROW_IDLE);
}

static void cancelled_while_it_runs(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 1);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 1));
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 2);
	assert_int_equal(answer(f, day(f, 0), SETTLE_CANCELLED, 0, r.seq + 1),
			 -ESTALE); /* not in the queue */
	assert_int_equal(answer(f, day(f, 0), SETTLE_SKIPPED, 0, r.seq + 1), -ESTALE);
	assert_int_equal(answer(f, day(f, 0), SETTLE_CANCELLED, 3, r.seq), -ESTALE);
	assert_int_equal(told(f, "cancelled") + told(f, "skipped"), 0);
	struct store_request again = ask(f, 3, day(f, 0), day(f, 1));
	assert_int_equal(answer(f, day(f, 0), SETTLE_CANCELLED, 2, again.seq), 0);
	assert_int_equal(queue(f, "SELECT seconds FROM q.attempt WHERE outcome = 'cancelled'"), 2);
	GOOD(build(f, &run));
	connect_all(f);
	const struct store_state *st = state_of(f, day(f, 0));
	assert_int_equal(st->run, ROW_IDLE);
	assert_int_equal(st->outcome, OUTCOME_DONE);
	assert_int_equal(st->served, again.seq);
}

static void a_failure_ends_the_run(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 0);
	shell(f,
	      "CREATE TRIGGER few BEFORE INSERT ON out WHEN new.ts >= '2024-09-02' AND new.ts < '2024-09-03'"
	      " BEGIN SELECT raise(ABORT, 'no'); END");
	struct store_request r = ask(f, 2, day(f, 0), day(f, 4));
	struct build_run run = claim(f, &r);
	GOOD(build(f, &run));
	assert_int_equal(f->reports.n, 6);
	assert_int_equal(f->reports.list[1].outcome, BUILD_DONE);
	assert_int_equal(f->reports.list[3].outcome, BUILD_FAILED);
	assert_int_equal(f->reports.list[4].outcome, BUILD_UNSTARTED);
	assert_int_equal(f->reports.list[5].outcome, BUILD_UNSTARTED);
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(skipped_without_a_row),
		TEST(skipped_after_it_was_done),
		TEST(skipped_when_adopted),
		TEST(cancelled_in_the_queue),
		TEST(cancelled_after_it_was_put_back),
		TEST(cancelled_while_it_runs),
		TEST(a_failure_ends_the_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
