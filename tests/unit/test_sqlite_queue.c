/* SPDX-License-Identifier: Apache-2.0 */
/* The queue as a store by itself, for a builder whose rows are elsewhere. */
#include "tests/unit/sqlite_fixture.h"

#include "backend/sqlite/queue/queue.h"

static const struct engine engine_queue = {.name = "queue", .store = &queue_store};

static int queue_new(void **state)
{
	int r = fixture_new(state);
	if (r == 0)
		((struct fixture *)*state)->engine = &engine_queue;
	return r;
}

/* open, enlist, and load into f->seen */
static void open_queue(struct fixture *f)
{
	disconnect(f);
	GOOD(queue_store.open(&f->config, &f->store, &f->err));
	GOOD(queue_store.enlist(f->store, f->models, f->target, f->n_models, &f->err));
	struct store_sink sink = sink_of(f);
	GOOD(queue_store.load(f->store, &sink, &f->err));
}

static int settle_done(struct fixture *f, ordinal batch, uint32_t attempt)
{
	struct store_outcome o = {.kind = SETTLE_DONE,
				  .batch = batch,
				  .attempt = attempt,
				  .started = 1000,
				  .finished = 3000,
				  .rows_deleted = 2,
				  .rows_inserted = 5,
				  .rows_outside = -1,
				  .sqlstate = "",
				  .message = ""};
	GOOD(queue_store.settle(f->store, &o, 1, &f->err));
	return o.result;
}

static void done_is_settled(void **state)
{
	struct fixture *f = *state;
	open_queue(f);
	assert_int_equal(f->seen.n, 0);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 2));
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 1);
	assert_int_equal(settle_done(f, day(f, 0), 2), -ESTALE);
	assert_int_equal(settle_done(f, day(f, 0), 1), 0);
	assert_int_equal(settle_done(f, day(f, 0), 1), -ESTALE);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 1), 1, "no"), 0);
	open_queue(f);
	const struct store_state *st = state_of(f, day(f, 0));
	assert_int_equal(st->run, ROW_IDLE);
	assert_int_equal(st->outcome, OUTCOME_DONE);
	assert_int_equal(st->attempt, 1);
	assert_int_equal(st->started, 1000);
	assert_int_equal(st->finished, 3000);
	assert_int_equal(st->built, 3000);
	assert_int_equal(st->rows_deleted, 2);
	assert_int_equal(st->rows_inserted, 5);
	assert_int_equal(st->rows_outside, -1);
	assert_int_equal(st->served, r.seq);
	assert_string_equal(f->seen.code[0], f->model[0].code);
	st = state_of(f, day(f, 1));
	assert_int_equal(st->outcome, OUTCOME_FAILED);
	assert_int_equal(st->built, 0);
	assert_int_equal(st->rows_inserted, -1);
}

/* It was built once: a failure does not take that away, and a compare-and-swap sees the failure. */
static void failed_after_it_was_done(void **state)
{
	struct fixture *f = *state;
	open_queue(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 1));
	claim(f, &r);
	assert_int_equal(settle_done(f, day(f, 0), 1), 0);
	r = ask(f, 2, day(f, 0), day(f, 1));
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 2);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 0), 2, "no"), 0);
	open_queue(f);
	const struct store_state *st = state_of(f, day(f, 0));
	assert_int_equal(st->outcome, OUTCOME_FAILED);
	assert_int_equal(st->built, 3000);
	assert_int_equal(st->rows_inserted, -1);
	struct store_request retry = {.batches = {day(f, 0), day(f, 1)},
				      .expected = BATCH_FAILED,
				      .expected_attempt = 2,
				      .uuid = {9},
				      .command = ""};
	GOOD(queue_store.request(f->store, &retry, 1, NULL, &f->err));
	assert_int_equal(retry.result, 0);
	run = claim(f, &retry);
	assert_int_equal(settle_done(f, day(f, 0), run.attempt[0]), 0);
	open_queue(f);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
	assert_string_equal(f->seen.message[0], "");
}

static void killed_while_it_ran(void **state)
{
	struct fixture *f = *state;
	char path[128];
	open_queue(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 1));
	claim(f, &r);
	/* Another owner: what a killed mount leaves. The row is what counts. */
	shell(f, "UPDATE state SET owner = 5");
	snprintf(path, sizeof path, "%s.lock", f->file);
	assert_int_equal(access(path, F_OK), 0);
	open_queue(f);
	assert_int_equal(state_of(f, day(f, 0))->run, ROW_REQUEUED);
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 2);
}

/* What a model with the same name writes elsewhere is another target. */
static void the_relation_is_the_target(void **state)
{
	struct fixture *f = *state;
	open_queue(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 1));
	claim(f, &r);
	assert_int_equal(settle_done(f, day(f, 0), 1), 0);
	f->model[0].relation.rendered = (char *)"\"w\".\"another\".\"out\"";
	open_queue(f);
	assert_int_equal(f->seen.n, 0);
}

struct told {
	size_t n;
	struct ended_attempt a[4];
	char outcome[4][16], message[4][64], command[4][16];
};

static void tell(void *ctx, const struct ended_attempt *a)
{
	struct told *t = ctx;
	assert_true(t->n < 4);
	t->a[t->n] = *a;
	snprintf(t->outcome[t->n], sizeof t->outcome[0], "%s", a->outcome);
	snprintf(t->message[t->n], sizeof t->message[0], "%s", a->message);
	snprintf(t->command[t->n++], sizeof t->command[0], "%s", a->command);
}

static void history_has_what_was_done(void **state)
{
	struct fixture *f = *state;
	auto_free char *cursor = NULL;
	struct told told = {0};
	open_queue(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 2));
	claim(f, &r);
	assert_int_equal(settle_done(f, day(f, 0), 1), 0);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 1), 1, "no"), 0);
	sqlite3 *db = NULL;
	bool abandoned = false;
	struct patience patience = {.abandoned = &abandoned};
	GOOD(queue_connect(f->store, &patience, &db, &f->err));
	GOOD(queue_history(f->store, db, NULL, 0, 10, &cursor, tell, &told, &f->err));
	assert_int_equal(told.n, 2);
	assert_string_equal(told.outcome[0], "done");
	assert_int_equal(told.a[0].rows_deleted, 2);
	assert_int_equal(told.a[0].rows_inserted, 5);
	assert_int_equal(told.a[0].us, 2000);
	assert_string_equal(told.command[0], "touch");
	assert_string_equal(told.outcome[1], "failed");
	assert_int_equal(told.a[1].rows_inserted, -1);
	assert_string_equal(told.message[1], "no");
	GOOD(queue_history(f->store, db, NULL, 0, 10, &cursor, tell, &told, &f->err));
	assert_int_equal(told.n, 2);
	sqlite3_close(db);
}

static void settle_unknown_rows(struct fixture *f, ordinal batch, uint32_t attempt)
{
	struct store_outcome o = {.kind = SETTLE_DONE,
				  .batch = batch,
				  .attempt = attempt,
				  .started = 1000,
				  .finished = 3000,
				  .rows_deleted = -1,
				  .rows_inserted = -1,
				  .rows_outside = -1,
				  .sqlstate = "",
				  .message = ""};
	GOOD(queue_store.settle(f->store, &o, 1, &f->err));
	assert_int_equal(o.result, 0);
}

/* What a look at a table that is elsewhere finds: all that was unknown is adopted, what lost its rows is
 * pending. */
static void a_look_is_recorded(void **state)
{
	struct fixture *f = *state;
	open_queue(f);
	assert_false(queue_model_of(f->store, 0).looked);
	sqlite3 *db = NULL;
	struct patience patience = {.abandoned = &f->store->abandoned, .wait_us = 1000000};
	struct store_sink sink = sink_of(f);
	ordinal first[] = {day(f, 1), day(f, 2), day(f, 4)};
	struct found_windows found = {.batches = first, .n = 3, .there = true, .began = 500};
	GOOD(queue_connect(f->store, &patience, &db, &f->err));
	GOOD(queue_adopt(f->store, db, 0, LOOK_FIRST, &found, &sink, &f->err));
	assert_int_equal(f->seen.n, 3);
	assert_true(state_of(f, day(f, 4))->adopted);
	/* One is built with rows, one with nobody knows how many, both before the next look. */
	struct store_request r = ask(f, 1, day(f, 5), day(f, 7));
	struct build_run run = claim(f, &r);
	assert_int_equal(settle_done(f, day(f, 5), run.attempt[0]), 0);
	settle_unknown_rows(f, day(f, 6), run.attempt[1]);
	ordinal second[] = {day(f, 0), day(f, 2)};
	found = (struct found_windows){.batches = second, .n = 2, .there = true, .began = INT64_MAX};
	f->seen.n = 0;
	GOOD(queue_adopt(f->store, db, 0, LOOK_ASKED, &found, &sink, &f->err));
	assert_int_equal(f->seen.n, 4);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
	assert_int_equal(state_of(f, day(f, 1))->outcome, OUTCOME_NONE);
	assert_int_equal(state_of(f, day(f, 4))->outcome, OUTCOME_NONE);
	assert_int_equal(state_of(f, day(f, 5))->outcome, OUTCOME_NONE);
	/* With the table all of it goes; what a look that began earlier did not see stays. */
	found = (struct found_windows){.began = 2000};
	f->seen.n = 0;
	GOOD(queue_adopt(f->store, db, 0, LOOK_ASKED, &found, &sink, &f->err));
	assert_int_equal(f->seen.n, 0);
	found.began = INT64_MAX;
	GOOD(queue_adopt(f->store, db, 0, LOOK_ASKED, &found, &sink, &f->err));
	assert_int_equal(f->seen.n, 3);
	sqlite3_close(db);
	open_queue(f);
	assert_true(queue_model_of(f->store, 0).looked);
}

static void look(struct fixture *f)
{
	sqlite3 *db = NULL;
	struct patience patience = {.abandoned = &f->store->abandoned, .wait_us = 1000000};
	struct store_sink sink = sink_of(f);
	struct found_windows found = {.there = true, .began = INT64_MAX};
	GOOD(queue_connect(f->store, &patience, &db, &f->err));
	GOOD(queue_adopt(f->store, db, 0, LOOK_FIRST, &found, &sink, &f->err));
	sqlite3_close(db);
}

/* The fifth day is built, with nobody knows how many rows; then the table is to be made anew, the begin moves
 * on to the third day, and that is claimed. */
static struct store_request begin_moved(struct fixture *f)
{
	open_queue(f);
	look(f);
	struct store_request r = ask(f, 1, day(f, 4), day(f, 5));
	settle_unknown_rows(f, day(f, 4), claim(f, &r).attempt[0]);
	struct store_request full = {.uuid = {2},
				     .kind = REQUEST_FULL,
				     .anew = true,
				     .batches = {day(f, 0), day(f, 6)},
				     .expected = -1,
				     .command = "touch",
				     .at = DAY_2024_09_01};
	GOOD(queue_store.request(f->store, &full, 1, NULL, &f->err));
	assert_int_equal(full.result, 0);
	f->model[0].begin = DAY_2024_09_01 + 2 * INT64_C(86400000000);
	open_queue(f);
	assert_int_equal(f->seen.refresh.phase, REFRESH_FIRST);
	full.batches = (struct ordinal_range){day(f, 2), day(f, 3)};
	assert_int_equal(claim(f, &full).attempt[0], 1);
	return full;
}

static void leave_first(struct fixture *f, int64_t id, enum refresh_phase to)
{
	struct store_sink sink = sink_of(f);
	struct refresh_step step = {.id = id,
				    .from = REFRESH_FIRST,
				    .to = to,
				    .first = day(f, 2),
				    .at = DAY_2024_09_01,
				    .result = REFRESH_FAILED,
				    .error = ""};
	GOOD(queue_store.refresh(f->store, &step, &sink, &f->err));
	assert_int_equal(step.taken, 0);
}

/* What the table was made anew with is in it, though the refresh was asked for from an earlier begin on. */
static void made_anew_after_the_begin_has_moved(void **state)
{
	struct fixture *f = *state;
	struct store_request full = begin_moved(f);
	settle_unknown_rows(f, day(f, 2), 1);
	look(f);
	assert_int_equal(state_of(f, day(f, 2))->outcome, OUTCOME_DONE);
	assert_int_equal(state_of(f, day(f, 4))->outcome, OUTCOME_NONE);
	leave_first(f, full.id, REFRESH_BUILD);
	open_queue(f);
	assert_int_equal(state_of(f, day(f, 2))->outcome, OUTCOME_DONE);
	assert_true(queue_model_of(f->store, 0).looked);
}

/* Whether the table is another one nobody knows: what may have held no row is not taken for built. */
static void given_up_after_the_begin_has_moved(void **state)
{
	struct fixture *f = *state;
	struct store_request full = begin_moved(f);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 2), 1, "no"), 0);
	leave_first(f, full.id, REFRESH_OVER);
	assert_false(queue_model_of(f->store, 0).looked);
	look(f);
	assert_int_equal(state_of(f, day(f, 2))->outcome, OUTCOME_FAILED);
	assert_int_equal(state_of(f, day(f, 4))->outcome, OUTCOME_NONE);
}

/* In the engine that has rows of its own: what another builder has settled counts beside them. */
static void two_builders_of_one_store(void **state)
{
	struct fixture *f = *state;
	f->engine = &engine_sqlite;
	events(f);
	build_days(f, 1);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 1));
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 2);
	struct store_outcome o = {.kind = SETTLE_DONE,
				  .batch = day(f, 0),
				  .attempt = 2,
				  .started = INT64_MAX - 2,
				  .finished = INT64_MAX - 1,
				  .rows_deleted = -1,
				  .rows_inserted = 9,
				  .rows_outside = -1,
				  .sqlstate = "",
				  .message = ""};
	GOOD(f->engine->store->settle(f->store, &o, 1, &f->err));
	assert_int_equal(o.result, 0);
	connect_all(f);
	const struct store_state *st = state_of(f, day(f, 0));
	assert_int_equal(st->outcome, OUTCOME_DONE);
	assert_int_equal(st->attempt, 2);
	assert_int_equal(st->rows_inserted, 9);
	assert_int_equal(st->built, INT64_MAX - 1);
	r = ask(f, 3, day(f, 0), day(f, 1));
	run = claim(f, &r);
	assert_int_equal(run.attempt[0], 3);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	connect_all(f);
	st = state_of(f, day(f, 0));
	assert_int_equal(st->attempt, 3);
	assert_int_equal(st->rows_inserted, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, queue_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(done_is_settled),
		TEST(failed_after_it_was_done),
		TEST(killed_while_it_ran),
		TEST(the_relation_is_the_target),
		TEST(history_has_what_was_done),
		TEST(a_look_is_recorded),
		TEST(two_builders_of_one_store),
		TEST(made_anew_after_the_begin_has_moved),
		TEST(given_up_after_the_begin_has_moved),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
