/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges that are answered without being built, as one row, in the SQLite engine. */
#include "tests/unit/seen_attempts.h"
#include "tests/unit/sqlite_fixture.h"

/* Of FILE-queue. */
static int64_t queue(struct fixture *f, const char *sql)
{
	char text[512];
	snprintf(text, sizeof text, "ATTACH '%s-queue' AS q; %s", f->file, sql);
	return shell(f, text);
}

static struct store_outcome answer(struct fixture *f, int first, int end, enum settle_kind kind,
				   const struct store_request *r)
{
	struct store_outcome o = {.kind = kind,
				  .batch = day(f, first),
				  .count = (uint32_t)(end - first),
				  .wanted = r->seq,
				  .lowest = r->seq,
				  .request = r->id,
				  .started = 1000,
				  .finished = 2001000,
				  .sqlstate = "",
				  .message = kind == SETTLE_SKIPPED ? "what it reads failed" : ""};
	GOOD(f->engine->store->settle(f->store, &o, 1, &f->err));
	return o;
}

static void a_range_may_have_failed(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 4));
	answer(f, 0, 4, SETTLE_UNBUILDABLE, &r);
	connect_all(f);
	assert_int_equal(f->seen.answers[0].outcome, OUTCOME_FAILED);
	assert_int_equal(queue(f, "SELECT count(*) FROM q.attempt WHERE outcome = 'failed'"), 1);
	struct store_request again = ask(f, 2, day(f, 1), day(f, 2));
	answer(f, 1, 2, SETTLE_UNBUILDABLE, &again);
	assert_int_equal(queue(f, "SELECT outcome FROM q.state"), OUTCOME_FAILED);
}

static void a_range_is_one_row(void **state)
{
	struct fixture *f = *state;
	struct seen_attempts s = {.first = day(f, 0), .text = STRBUF_INIT};
	events(f);
	connect_all(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 4));
	struct store_outcome o = answer(f, 0, 4, SETTLE_SKIPPED, &r);
	assert_int_equal(o.result, 0);
	assert_int_equal(o.count, 4);
	assert_int_equal(o.next, day(f, 4));
	assert_int_equal(queue(f, "SELECT count(*) FROM q.answer"), 1);
	assert_int_equal(queue(f, "SELECT count(*) FROM q.attempt"), 1);
	assert_int_equal(queue(f, "SELECT count(*) FROM q.state"), 0);
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0] + run.attempt[3], 0);
	connect_all(f);
	assert_int_equal(f->seen.n, 0);
	assert_int_equal(f->seen.n_answers, 1);
	const struct store_answer *a = &f->seen.answers[0];
	assert_int_equal(a->outcome, OUTCOME_SKIPPED);
	assert_int_equal(a->id, o.id);
	assert_int_equal(a->batches.first, day(f, 0));
	assert_int_equal(a->batches.end, day(f, 4));
	assert_int_equal(a->served, r.seq);
	assert_int_equal(a->request, r.id);
	assert_int_equal(a->at, 2001000);
	assert_string_equal(f->seen.why[0], "what it reads failed");
	GOOD(f->engine->builder->history(f->worker, 0, 100, &s.cursor, see_attempt, &s, &f->err));
	assert_non_null(
		strstr(s.text.str, "0:0#0 skipped/-1/7/because/what it reads failed, 0:1#0 skipped/"));
	assert_non_null(strstr(s.text.str, "0:3#0 skipped/"));
	assert_null(strstr(s.text.str, "0:4#0 skipped/"));
	seen_attempts_fini(&s);
}

/* By its name, and then taken out of the queue again: it is what it was. */
static void what_was_skipped_is_asked_for_again(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 4));
	answer(f, 0, 4, SETTLE_SKIPPED, &r);
	struct store_request again = {
		.batches = {day(f, 2), day(f, 3)}, .expected = BATCH_PENDING, .uuid = {8}, .command = ""};
	GOOD(f->engine->store->request(f->store, &again, 1, NULL, &f->err));
	assert_int_equal(again.result, -ENOENT);
	again.expected = BATCH_SKIPPED;
	GOOD(f->engine->store->request(f->store, &again, 1, NULL, &f->err));
	assert_int_equal(again.result, 0);
	struct build_run run = claim(f, &again);
	assert_int_equal(run.attempt[0], 1);
	assert_int_equal(settle(f, SETTLE_CANCELLED, day(f, 2), 1, ""), 0);
	connect_all(f);
	const struct store_state *st = state_of(f, day(f, 2));
	assert_int_equal(st->outcome, OUTCOME_SKIPPED);
	assert_true(st->served >= again.seq);
	assert_string_equal(f->seen.message[0], "what it reads failed");
	assert_int_equal(f->seen.n_answers, 1);
	GOOD(f->engine->store->forget_answers(f->store, &f->seen.answers[0].id, 1, &f->err));
	assert_int_equal(queue(f, "SELECT count(*) FROM q.answer"), 0);
}

static void what_another_has_taken_parts_it(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 4)), one = r;
	one.batches = (struct ordinal_range){day(f, 1), day(f, 2)};
	assert_int_equal(claim(f, &one).attempt[0], 1);
	struct store_outcome o = answer(f, 0, 4, SETTLE_CANCELLED, &r);
	assert_int_equal(o.result, 0);
	assert_int_equal(o.count, 1);
	assert_int_equal(o.next, day(f, 2));
	o = answer(f, 2, 4, SETTLE_CANCELLED, &r);
	assert_int_equal(o.count, 2);
	assert_int_equal(o.next, day(f, 4));
	/* Twice is once. */
	o = answer(f, 2, 4, SETTLE_CANCELLED, &r);
	assert_int_equal(o.result, -ESTALE);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.next, day(f, 4));
	/* Everything that is taken in a row is passed at once. */
	o = answer(f, 1, 4, SETTLE_CANCELLED, &r);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.next, day(f, 4));
	assert_int_equal(queue(f, "SELECT count(*) FROM q.answer"), 2);
}

/* Known by the request that it answers, as long as that may be claimed for. */
static void what_was_cancelled_goes_with_its_request(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	struct store_request r = ask(f, 1, day(f, 0), day(f, 4));
	answer(f, 0, 4, SETTLE_CANCELLED, &r);
	assert_int_equal(claim(f, &r).attempt[0], 0);
	connect_all(f);
	assert_int_equal(f->seen.n_answers, 1);
	assert_int_equal(f->seen.answers[0].outcome, OUTCOME_NONE);
	struct store_request again = {
		.batches = {day(f, 2), day(f, 3)}, .expected = BATCH_PENDING, .uuid = {8}, .command = ""};
	GOOD(f->engine->store->request(f->store, &again, 1, NULL, &f->err));
	assert_int_equal(again.result, 0);
	assert_int_equal(claim(f, &again).attempt[0], 1);
	GOOD(f->engine->store->retire(f->store, &r.id, 1, &f->err));
	assert_int_equal(queue(f, "SELECT count(*) FROM q.answer"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_range_is_one_row),
		TEST(a_range_may_have_failed),
		TEST(what_was_skipped_is_asked_for_again),
		TEST(what_another_has_taken_parts_it),
		TEST(what_was_cancelled_goes_with_its_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
