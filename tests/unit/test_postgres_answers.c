/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges that are answered without being built, as one row, against a private server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/batch_state.h"
#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"
#include "tests/unit/seen_attempts.h"

static struct store_outcome answer(struct world *w, int first, int end, enum settle_kind kind, int64_t seq)
{
	struct error err = {0};
	struct store_outcome o = {.kind = kind,
				  .batch = day(first),
				  .count = (uint32_t)(end - first),
				  .wanted = seq,
				  .lowest = seq,
				  .request = 1,
				  .started = BEGIN + DAY,
				  .finished = BEGIN + DAY,
				  .sqlstate = "",
				  .message = kind == SETTLE_SKIPPED ? "it reads x" : ""};
	if (engine_postgres.store->settle(w->store, &o, 1, &err))
		fail_msg("%s", err.text);
	return o;
}

static void load_again(struct world *w)
{
	world_close(w);
	memset(w->states, 0, sizeof w->states);
	w->n_answers = 0;
	world_open(w);
}

static int64_t count(const char *what)
{
	char text[200];
	snprintf(text, sizeof text, "select count(*) from batchfs.%s", what);
	return strtoll(sql("%s", text), NULL, 10);
}

/* Whether one of the days is granted for requests up to that one. */
static bool granted(struct world *w, int first, int end, int64_t wanted)
{
	struct error err = {0};
	struct store_claim c = {.first = day(first),
				.count = (uint32_t)(end - first),
				.request = 1,
				.wanted = wanted,
				.started = BEGIN + DAY};
	assert_int_equal(engine_postgres.store->claim(w->store, &c, 1, &err), 0);
	bool any = false;
	for (uint32_t i = 0; i < c.count; i++)
		any |= c.attempt[i] != 0;
	return any;
}

/* Asked for by the name that says so, it is as it was, and a claim makes rows of it. */
static void a_range_may_have_failed(void **state)
{
	struct world *w = *state;
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 5, -1, 0, &seq), 0);
	assert_int_equal(answer(w, 0, 5, SETTLE_UNBUILDABLE, seq).result, 0);
	load_again(w);
	assert_int_equal(w->last_answer.outcome, OUTCOME_FAILED);
	assert_string_equal(sql("select string_agg(distinct outcome, '') from batchfs.attempt"), "failed");
	assert_int_equal(request_days(w, 0, 1, 2, BATCH_SKIPPED, 0, &seq), -ENOENT);
	assert_int_equal(request_days(w, 0, 1, 2, BATCH_FAILED, 0, &seq), 0);
	assert_int_equal(answer(w, 1, 2, SETTLE_CANCELLED, seq).result, 0);
	assert_string_equal(sql("select string_agg(outcome::text, '') from batchfs.state"), "2");
}

static void a_range_is_one_row(void **state)
{
	struct world *w = *state;
	struct seen_attempts s = {.first = day(0), .text = STRBUF_INIT};
	struct error err = {0};
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 5, -1, 0, &seq), 0);
	struct store_outcome o = answer(w, 0, 5, SETTLE_SKIPPED, seq);
	assert_int_equal(o.result, 0);
	assert_int_equal(o.count, 5);
	assert_int_equal(o.next, day(5));
	assert_int_equal(count("answer"), 1);
	assert_int_equal(count("attempt"), 1);
	assert_int_equal(count("state"), 0);
	assert_false(granted(w, 0, 5, seq));
	load_again(w);
	assert_int_equal(w->n_answers, 1);
	assert_int_equal(w->last_answer.outcome, OUTCOME_SKIPPED);
	assert_int_equal(w->last_answer.id, o.id);
	assert_int_equal(w->last_answer.batches.first, day(0));
	assert_int_equal(w->last_answer.batches.end, day(5));
	assert_int_equal(w->last_answer.served, seq);
	assert_int_equal(w->last_answer.at, BEGIN + DAY);
	assert_string_equal(w->why, "it reads x");
	assert_int_equal(
		engine_postgres.builder->history(w->worker, 0, 100, &s.cursor, see_attempt, &s, &err), 0);
	assert_non_null(strstr(s.text.str, "0:0#0 skipped/-1/7//it reads x, 0:1#0 skipped/"));
	assert_non_null(strstr(s.text.str, "0:4#0 skipped/"));
	assert_null(strstr(s.text.str, "0:5#0 skipped/"));
	seen_attempts_fini(&s);
}

static void what_was_skipped_is_asked_for_again(void **state)
{
	struct world *w = *state;
	struct error err = {0};
	int64_t seq, again;
	assert_int_equal(request_days(w, 0, 0, 5, -1, 0, &seq), 0);
	int64_t id = answer(w, 0, 5, SETTLE_SKIPPED, seq).id;
	assert_int_equal(request_days(w, 0, 2, 3, BATCH_PENDING, 0, &again), -ENOENT);
	assert_int_equal(request_days(w, 0, 2, 3, BATCH_SKIPPED, 0, &again), 0);
	struct store_claim c = {.first = day(2), .count = 1, .request = 2, .wanted = again, .skipped = true};
	c.started = BEGIN + DAY;
	assert_int_equal(engine_postgres.store->claim(w->store, &c, 1, &err), 0);
	assert_int_equal(c.attempt[0], 1);
	assert_int_equal(settle_day(w, 0, 2, 1, SETTLE_CANCELLED), 0);
	load_again(w);
	assert_int_equal(state_of(w, 0, 2)->s.outcome, OUTCOME_SKIPPED);
	assert_string_equal(state_of(w, 0, 2)->message, "it reads x");
	assert_true(state_of(w, 0, 2)->s.served >= again);
	assert_int_equal(engine_postgres.store->forget_answers(w->store, &id, 1, &err), 0);
	assert_int_equal(count("answer"), 0);
}

static void what_another_has_taken_parts_it(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 5, -1, 0, &seq), 0);
	assert_int_equal(claim_days(w, 0, 1, 1, &c), 1);
	struct store_outcome o = answer(w, 0, 5, SETTLE_SKIPPED, seq);
	assert_int_equal(o.count, 1);
	assert_int_equal(o.next, day(2));
	o = answer(w, 2, 5, SETTLE_SKIPPED, seq);
	assert_int_equal(o.count, 3);
	assert_int_equal(o.next, day(5));
	o = answer(w, 2, 5, SETTLE_SKIPPED, seq);
	assert_int_equal(o.result, -ESTALE);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.next, day(5));
	/* Everything that is taken in a row is passed at once, claimed or answered. */
	o = answer(w, 1, 5, SETTLE_SKIPPED, seq);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.next, day(5));
	assert_int_equal(count("answer"), 2);
}

static void what_another_has_claimed_is_passed_at_once(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 8, -1, 0, &seq), 0);
	assert_int_equal(claim_days(w, 0, 0, 3, &c), 3);
	assert_int_equal(claim_days(w, 0, 5, 1, &c), 1);
	struct store_outcome o = answer(w, 0, 8, SETTLE_CANCELLED, seq);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.next, day(3));
	o = answer(w, 3, 8, SETTLE_CANCELLED, seq);
	assert_int_equal(o.count, 2);
	assert_int_equal(o.next, day(6));
	o = answer(w, 6, 8, SETTLE_CANCELLED, seq);
	assert_int_equal(o.count, 2);
	assert_int_equal(o.next, day(8));
}

/* Kept until nothing may be claimed for a request that it answers. */
/* The numbers of requests that were lost with a server's former life are given again. */
static void what_was_lost_answers_nothing_that_comes(void **state)
{
	struct world *w = *state;
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 3, -1, 0, &seq), 0);
	assert_int_equal(answer(w, 0, 1, SETTLE_CANCELLED, seq + 5).result, 0);
	assert_int_equal(answer(w, 1, 3, SETTLE_CANCELLED, seq + 5).count, 2);
	assert_false(granted(w, 0, 3, seq));
	assert_int_equal(request_days(w, 0, 0, 3, -1, 0, &seq), 0);
	for (int n = 0; n < 3; n++)
		assert_true(granted(w, n, n + 1, seq));
}

static void what_was_cancelled_goes_with_its_request(void **state)
{
	struct world *w = *state;
	struct error err = {0};
	int64_t seq, again, id;
	assert_int_equal(request_days(w, 0, 0, 5, -1, 0, &seq), 0);
	answer(w, 0, 5, SETTLE_CANCELLED, seq);
	assert_false(granted(w, 0, 5, seq));
	assert_int_equal(request_days(w, 0, 2, 3, BATCH_PENDING, 0, &again), 0);
	id = strtoll(sql("select min(id) from batchfs.request"), NULL, 10);
	assert_int_equal(engine_postgres.store->retire(w->store, &id, 1, &err), 0);
	for (int i = 0; i < 100 && count("answer") > 0; i++)
		assert_int_equal(engine_postgres.store->follow(w->store, 1000, &w->sink, &err), 0);
	assert_int_equal(count("answer"), 0);
	load_again(w);
	assert_int_equal(w->n_answers, 0);
}

/* Neighbours that wait for requests of different age: what another mount asked for between those, unheard of,
 * stays. */
static void what_others_have_asked_for_meanwhile_parts_it(void **state)
{
	struct world *w = *state;
	struct world *other = world_another();
	struct error err = {0};
	int64_t first, between, last;
	assert_int_equal(request_days(w, 0, 0, 5, -1, 0, &first), 0);
	assert_int_equal(request_days(other, 0, 1, 2, -1, 0, &between), 0);
	assert_int_equal(request_days(w, 0, 4, 5, -1, 0, &last), 0);
	struct store_outcome o = {.kind = SETTLE_SKIPPED,
				  .batch = day(0),
				  .count = 5,
				  .wanted = last,
				  .lowest = first,
				  .known = first,
				  .request = 1,
				  .started = BEGIN + DAY,
				  .finished = BEGIN + DAY,
				  .sqlstate = "",
				  .message = "it reads x"};
	assert_int_equal(engine_postgres.store->settle(w->store, &o, 1, &err), 0);
	assert_int_equal(o.count, 1);
	assert_int_equal(o.next, day(2));
	o.batch = day(2);
	o.count = 3;
	assert_int_equal(engine_postgres.store->settle(w->store, &o, 1, &err), 0);
	assert_int_equal(o.count, 3);
	assert_false(granted(w, 0, 1, last));
	assert_true(granted(other, 1, 2, between));
	assert_false(granted(w, 2, 5, last));
	world_another_gone(other);
}

/* Another mount hears of the range, and of what is newer in it. */
static void others_see_it(void **state)
{
	struct world *w = *state;
	struct world *other = world_another();
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 5, -1, 0, &seq), 0);
	answer(w, 0, 5, SETTLE_SKIPPED, seq);
	while (!other->n_answers) {
		world_follow_both(w, other);
	}
	assert_int_equal(other->last_answer.outcome, OUTCOME_SKIPPED);
	assert_int_equal(other->last_answer.batches.end, day(5));
	assert_false(state_of(other, 0, 0)->known);
	world_another_gone(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN_WORLD_TEST(a_range_is_one_row),
		OPEN_WORLD_TEST(a_range_may_have_failed),
		OPEN_WORLD_TEST(what_was_skipped_is_asked_for_again),
		OPEN_WORLD_TEST(what_another_has_taken_parts_it),
		OPEN_WORLD_TEST(what_another_has_claimed_is_passed_at_once),
		OPEN_WORLD_TEST(what_was_lost_answers_nothing_that_comes),
		OPEN_WORLD_TEST(what_was_cancelled_goes_with_its_request),
		OPEN_WORLD_TEST(what_others_have_asked_for_meanwhile_parts_it),
		OPEN_WORLD_TEST(others_see_it),
	};
	return server_run(tests);
}
