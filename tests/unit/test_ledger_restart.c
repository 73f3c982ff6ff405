/* SPDX-License-Identifier: Apache-2.0 */
/* What is recorded was lost in part: all is reported again, and the rest is void. */
#include "tests/unit/ledger_fixture.h"

static bool none_is_ours(void *ctx, slot model, ordinal batch)
{
	return false;
}

static bool the_third_is_ours(void *ctx, slot model, ordinal batch)
{
	return model == 0 && batch == first_day + 2;
}

static void put_done(struct ledger *l, ordinal n, uint32_t attempt, int64_t served)
{
	struct store_state s = done(n, attempt);
	s.served = served;
	assert_int_equal(ledger_put_state(l, &s), 0);
}

static void what_is_not_reported_again_is_void(void **state)
{
	struct ledger *l = *state;
	for (ordinal n = 0; n < 3; n++)
		put_done(l, n, 4, 0);
	ledger_restart(l);
	/* Until the end nothing looks as if it had never been built. */
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_DONE);
	put_done(l, 0, 3, 0);
	ledger_restarted(l, none_is_ours, NULL);
	struct batch_info i;
	ledger_info(l, 0, first_day, &i);
	assert_int_equal(i.state, BATCH_DONE);
	assert_int_equal(i.attempt, 3);
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_PENDING);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_PENDING);
}

/* The seqs of the new life begin where the old one's were long over, and its ids are others'. */
static void requests_are_those_of_the_new_life(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 8, 0, 3);
	put_done(l, 0, 1, 8);
	ask(l, 0, 9, 5, 6);
	assert_int_equal(ledger_queued(l, 0), 3);
	assert_int_equal(ledger_open(l), 2);
	ledger_restart(l);
	ask(l, 0, 8, 0, 1);
	assert_int_equal(ledger_queued(l, 0),
			 2); /* the first, and that of 9, of which nothing is known yet */
	put_done(l, 0, 1, 7);
	ledger_restarted(l, none_is_ours, NULL);
	assert_int_equal(ledger_queued(l, 0), 1);
	assert_int_equal(ledger_open(l), 1);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_QUEUED);
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_PENDING);
	assert_int_equal(ledger_state(l, 0, first_day + 5), BATCH_PENDING);
	int64_t ids[4];
	put_done(l, 0, 2, 8);
	assert_int_equal(ledger_open(l), 0);
	assert_int_equal(ledger_take_finished(l, ids, 4), 1);
	assert_int_equal(ids[0], 8);
}

/* What had been finished, and is open again in the new life, is built again; nothing is retired by an old id.
 */
static void what_is_open_again_is_wanted_again(void **state)
{
	struct ledger *l = *state;
	int64_t ids[4];
	ask(l, 0, 8, 0, 1);
	put_done(l, 0, 1, 8);
	ledger_restart(l);
	assert_int_equal(ledger_take_finished(l, ids, 4), 0);
	ask(l, 0, 8, 0, 1);
	ledger_restarted(l, none_is_ours, NULL);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_QUEUED);
	assert_int_equal(next_run(l, 4).count, 1);
}

static void what_runs_here_stays(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 8, 0, 4);
	for (ordinal n = 0; n < 4; n++)
		ledger_claimed(l, 0, first_day + n, 1, 8, 8);
	ledger_started(l, 0, first_day + 2, BEGIN + 1);
	ledger_restart(l);
	ledger_restarted(l, the_third_is_ours, NULL);
	assert_int_equal(ledger_running(l, 0), 1);
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_PENDING);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_RUNNING);
	struct store_state s = done(2, 1);
	assert_int_equal(ledger_settled(l, &s), 0);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_DONE);
	assert_int_equal(ledger_running(l, 0), 0);
}

/* A worker tells the end of its batch from a thread of its own, while a load is under way that has read the
 * row before. Where the end was lost, the row is what there is. */
static void a_row_that_was_read_before_the_end_says_nothing(void **state)
{
	struct ledger *l = *state;
	struct store_state ended = done(0, 1), running = done(0, 1);
	running.run = ROW_RUNNING;
	ask(l, 0, 8, 0, 1);
	ledger_claimed(l, 0, first_day, 1, 8, 8);
	assert_int_equal(ledger_put_state(l, &running), 0);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_RUNNING);
	assert_int_equal(ledger_settled(l, &ended), 0);
	assert_int_equal(ledger_put_state(l, &running), 0);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_DONE);
	assert_int_equal(ledger_running(l, 0), 0);
	running.attempt = 2;
	running.started = ended.finished + 1;
	assert_int_equal(ledger_put_state(l, &running), 0);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_RUNNING);
	ended = done(0, 2);
	assert_int_equal(ledger_settled(l, &ended), 0);
	ledger_restart(l);
	assert_int_equal(ledger_put_state(l, &running), 0);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_not_reported_again_is_void, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requests_are_those_of_the_new_life, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_open_again_is_wanted_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_runs_here_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_row_that_was_read_before_the_end_says_nothing, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
