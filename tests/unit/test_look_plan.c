/* SPDX-License-Identifier: Apache-2.0 */
/* What is unknown until a table has been looked at, and what bringing models up to date takes in. */
#include "tests/unit/ledger_fixture.h"

static void test_a_set_of_batches(void **state)
{
	(void)state;
	struct batch_set s, copy;
	assert_int_equal(batch_set_init(&s, (struct ordinal_range){100, 233}), 0);
	assert_int_equal(batch_set_next(&s, 0).first, 233);
	static const ordinal in[] = {100, 101, 131, 132, 163, 164, 165, 232};
	for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
		batch_set_add(&s, in[i]);
		batch_set_add(&s, in[i]);
	}
	assert_int_equal(s.n, 8);
	assert_false(batch_set_has(&s, 99) || batch_set_has(&s, 102) || batch_set_has(&s, 233));
	static const struct ordinal_range runs[] = {{100, 102}, {131, 133}, {163, 166}, {232, 233}};
	assert_int_equal(batch_set_copy(&copy, &s), 0);
	struct ordinal_range r = {0, 0};
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
		r = batch_set_next(&copy, r.end);
		assert_int_equal(r.first, runs[i].first);
		assert_int_equal(r.end, runs[i].end);
	}
	r = batch_set_next(&copy, r.end);
	assert_true(r.first == 233 && r.end == 233);
	batch_set_fini(&s);
	batch_set_fini(&copy);
	assert_int_equal(batch_set_init(&s, (struct ordinal_range){7, 7}), 0);
	assert_int_equal(batch_set_next(&s, 7).first, 7);
	batch_set_fini(&s);
}

static enum batch_state state_of(struct ledger *l, ordinal day)
{
	return ledger_state(l, 0, first_day + day);
}

static void test_unknown_until_somebody_has_looked(void **state)
{
	struct ledger *l = *state;
	struct store_state s = done(0, 1);
	assert_false(ledger_remembers(l, 0));
	assert_int_equal(ledger_put_state(l, &s), 0);
	assert_true(ledger_remembers(l, 0) && ledger_looked(l, 0));
	ledger_set_looked(l, 0, false);
	assert_int_equal(state_of(l, 0), BATCH_UNKNOWN);
	assert_int_equal(state_of(l, 1), BATCH_UNKNOWN);
	/* The other model's table is another one. */
	assert_int_equal(ledger_state(l, 1, first_day), BATCH_PENDING);
	ask(l, 0, 1, 1, 2);
	assert_int_equal(state_of(l, 1), BATCH_QUEUED);
	s = done(2, 1);
	s.outcome = OUTCOME_FAILED;
	assert_int_equal(ledger_put_state(l, &s), 0);
	assert_int_equal(state_of(l, 2), BATCH_FAILED);
	ledger_set_looked(l, 0, true);
	assert_int_equal(state_of(l, 0), BATCH_DONE);
	assert_int_equal(state_of(l, 3), BATCH_PENDING);
}

static void test_what_is_void_leaves_what_goes_on(void **state)
{
	struct ledger *l = *state;
	struct store_state s;
	struct batch_info info;
	for (ordinal day = 0; day < 3; day++) {
		s = done(day, 1);
		assert_int_equal(ledger_put_state(l, &s), 0);
	}
	ask(l, 0, 1, 1, 3);
	ledger_claimed(l, 0, first_day + 1, 2, 1, 1);
	ledger_started(l, 0, first_day + 1, BEGIN);
	ledger_forget(l, 0);
	assert_int_equal(state_of(l, 0), BATCH_PENDING);
	assert_int_equal(state_of(l, 1), BATCH_RUNNING);
	assert_int_equal(state_of(l, 2), BATCH_QUEUED);
	assert_int_equal(ledger_running(l, 0), 1);
	ledger_info(l, 0, first_day + 1, &info);
	assert_int_equal(info.attempt, 2);
	assert_int_equal(info.built, 0);
	/* Its end is the new table's. */
	s = done(1, 2);
	s.served = 1;
	assert_int_equal(ledger_settled(l, &s), 0);
	assert_int_equal(state_of(l, 1), BATCH_DONE);
}

static void test_a_table_that_has_gone_keeps_its_failures(void **state)
{
	struct ledger *l = *state;
	struct store_state s = done(0, 1), failed = done(1, 2);
	failed.outcome = OUTCOME_FAILED;
	assert_int_equal(ledger_put_state(l, &s), 0);
	assert_int_equal(ledger_put_state(l, &failed), 0);
	ledger_forget_built(l, 0);
	assert_int_equal(state_of(l, 0), BATCH_PENDING);
	assert_int_equal(state_of(l, 1), BATCH_FAILED);
	struct batch_info info;
	ledger_info(l, 0, first_day + 1, &info);
	assert_int_equal(info.built, 0);
}

static void test_an_open_window_is_adopted_as_partial(void **state)
{
	struct ledger *l = *state;
	int64_t noon = calendar_start(BATCH_DAY, first_day + 1) + DAY_US / 2;
	struct store_state closed = adopted_state(0, first_day, noon);
	struct store_state open = adopted_state(0, first_day + 1, noon);
	assert_int_equal(ledger_put_state(l, &closed), 0);
	assert_int_equal(ledger_put_state(l, &open), 0);
	assert_int_equal(state_of(l, 0), BATCH_DONE);
	assert_int_equal(state_of(l, 1), BATCH_PARTIAL);
	assert_string_equal(plan_run_reason(&models[0], BATCH_PARTIAL, first_day + 1, first_day + 9),
			    "partial");
	assert_null(plan_run_reason(&models[0], BATCH_UNKNOWN, first_day + 9, first_day + 9));
}

/* a is read by b; both are built, b last. */
static struct upstream reads_a = {.place = 0, .windowed = true};

static int set_up_chain(void **state)
{
	models[1] = (struct model){0};
	int r = set_up(state);
	models_free(known);
	models[1].upstreams = &reads_a;
	models[1].n_upstreams = 1;
	known = models_of(&catalog);
	for (slot m = 0; m < 2; m++)
		for (ordinal day = 0; day < 10; day++) {
			struct store_state s = done(day, 1);
			s.model = m;
			s.started += 20 * DAY_US + m * INT64_C(60000000);
			s.finished = s.built = s.started + 1000000;
			assert_int_equal(ledger_put_state(*state, &s), 0);
		}
	return r;
}

static void spread(struct ledger *l, struct batch_set *a, struct batch_set *b)
{
	struct batch_set *sets[] = {a, b};
	plan_run_spread(l, known, sets);
}

static void test_a_run_takes_in_what_it_makes_stale(void **state)
{
	struct ledger *l = *state;
	int64_t now = calendar_start(BATCH_DAY, first_day + 9) + 1;
	struct batch_set a, b;
	size_t frozen = 0;
	models[0].lookback = 3;
	models[1].lookback = 1;
	assert_int_equal(plan_run_part(l, known, 0, days(0, 10), now, &a, &frozen), 0);
	assert_int_equal(plan_run_part(l, known, 1, days(0, 10), now, &b, &frozen), 0);
	assert_int_equal(a.n, 4);
	assert_int_equal(b.n, 2);
	spread(l, &a, &b);
	assert_int_equal(a.n, 4);
	assert_int_equal(b.n, 4);
	assert_true(batch_set_has(&b, first_day + 6) && !batch_set_has(&b, first_day + 5));
	batch_set_fini(&a);
	batch_set_fini(&b);
	/* What is frozen is not built, so nothing gets stale because of it. */
	struct store_freeze f = {.batches = days(7, 8), .command = "chmod"};
	assert_int_equal(frozen, 0);
	assert_int_equal(ledger_freeze(l, 0, &f), 0);
	assert_int_equal(plan_run_part(l, known, 0, days(0, 10), now, &a, &frozen), 0);
	assert_int_equal(plan_run_part(l, known, 1, days(0, 10), now, &b, &frozen), 0);
	assert_int_equal(frozen, 1);
	spread(l, &a, &b);
	assert_int_equal(b.n, 3);
	batch_set_fini(&a);
	batch_set_fini(&b);
}

static void test_a_run_takes_in_what_is_on_its_way(void **state)
{
	struct ledger *l = *state;
	struct batch_set b;
	ask(l, 0, 1, 2, 4);
	assert_int_equal(batch_set_init(&b, days(0, 10)), 0);
	spread(l, NULL, &b);
	struct ordinal_range found = batch_set_next(&b, 0);
	assert_int_equal(found.first, first_day + 2);
	assert_int_equal(found.end, first_day + 4);
	assert_int_equal(b.n, 2);
	batch_set_fini(&b);
	/* What is frozen stays as it is. */
	struct store_freeze f = {.batches = days(2, 3), .command = "chmod"};
	assert_int_equal(ledger_freeze(l, 1, &f), 0);
	assert_int_equal(batch_set_init(&b, days(0, 10)), 0);
	spread(l, NULL, &b);
	assert_int_equal(b.n, 1);
	batch_set_fini(&b);
}

static void test_averages_come_with_what_is_recorded(void **state)
{
	struct ledger *l = *state;
	assert_int_equal(ledger_average_rows(l, 0), -1);
	struct store_state s = done(0, 1), adopted = adopted_state(0, first_day + 1, BEGIN + 9 * DAY_US);
	assert_int_equal(ledger_put_state(l, &s), 0);
	assert_int_equal(ledger_put_state(l, &adopted), 0);
	assert_int_equal(ledger_average_rows(l, 0), 7);
	assert_int_equal(ledger_average_us(l, 0), 2500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_set_of_batches),
		cmocka_unit_test_setup_teardown(test_unknown_until_somebody_has_looked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_void_leaves_what_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_table_that_has_gone_keeps_its_failures, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_an_open_window_is_adopted_as_partial, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_run_takes_in_what_it_makes_stale, set_up_chain,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_run_takes_in_what_is_on_its_way, set_up_chain,
						tear_down),
		cmocka_unit_test_setup_teardown(test_averages_come_with_what_is_recorded, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
