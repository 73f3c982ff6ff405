/* SPDX-License-Identifier: Apache-2.0 */
/* Another manifest: begins move, and SQL changes, under a ledger that is full. */
#include <string.h>

#include "tests/unit/ledger_fixture.h"

static struct model with_begin(int days_later)
{
	struct model m = models[0];
	m.begin += days_later * DAY_US;
	return m;
}

static void a_begin_that_moves_back(void **state)
{
	struct ledger *l = *state;
	struct model earlier = with_begin(-40);
	struct store_state s = done(0, 1);
	ask(l, 0, 1, 2, 40);
	assert_int_equal(ledger_put_state(l, &s), 0);
	ledger_claimed(l, 0, first_day + 2, 1, 1, 1);
	ledger_started(l, 0, first_day + 2, BEGIN + 1);
	assert_int_equal(ledger_adapt(l, 0, &earlier), 0);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_DONE);
	assert_int_equal(ledger_state(l, 0, first_day - 40), BATCH_PENDING);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_RUNNING);
	assert_int_equal(ledger_state(l, 0, first_day + 39), BATCH_QUEUED);
	assert_int_equal(ledger_queued(l, 0), 37);
	struct ledger_run run = next_run(l, 1);
	assert_int_equal(run.first, first_day + 3);
	ask(l, 0, 2, (ordinal)-40, (ordinal)-38);
	assert_int_equal(ledger_state(l, 0, first_day - 39), BATCH_QUEUED);
	s = done(2, 1);
	assert_int_equal(ledger_settled(l, &s), 0);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_DONE);
	ledger_withdraw(l, 0, days((ordinal)-40, 100), INT64_MAX);
	assert_int_equal(ledger_queued(l, 0), 0);
}

static void a_begin_that_moves_on(void **state)
{
	struct ledger *l = *state;
	struct model later = with_begin(10);
	struct store_state s = done(0, 1);
	ask(l, 0, 1, 5, 20);
	assert_int_equal(ledger_put_state(l, &s), 0);
	assert_int_equal(ledger_adapt(l, 0, &later), 0);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_DONE);
	assert_int_equal(ledger_state(l, 0, first_day + 12), BATCH_QUEUED);
	assert_int_equal(ledger_adapt(l, 0, &models[0]), 0);
	assert_int_equal(ledger_state(l, 0, first_day + 5), BATCH_QUEUED);
}

static void nothing_was_known_before_the_begin(void **state)
{
	struct ledger *l = *state;
	struct model earlier = with_begin(-3);
	assert_int_equal(ledger_adapt(l, 0, &earlier), 0);
	ask(l, 0, 1, (ordinal)-3, (ordinal)-1);
	assert_int_equal(ledger_queued(l, 0), 2);
}

/* Another mount's manifest has an earlier begin: what lies between the two begins is that mount's to build.
 */
static void a_request_that_reaches_behind_the_begin_is_not_closed(void **state)
{
	struct ledger *l = *state;
	struct store_state s = done(0, 1);
	int64_t ids[4];
	ask(l, 0, 1, (ordinal)-5, 1);
	ask(l, 0, 2, 0, 1);
	assert_int_equal(ledger_queued(l, 0), 1);
	s.served = 2;
	assert_int_equal(ledger_put_state(l, &s), 0);
	assert_int_equal(ledger_queued(l, 0), 0);
	assert_int_equal(ledger_take_finished(l, ids, 4), 1);
	assert_int_equal(ids[0], 2);
	/* It stays done here, however often its row is reported and however many have come meanwhile. */
	for (int64_t id = 3; id < 5000; id++) {
		ask(l, 0, id, 1, 2);
		ledger_withdraw(l, 0, days(1, 2), INT64_MAX);
	}
	ledger_forget_closed(l);
	ask(l, 0, 1, (ordinal)-5, 1);
	assert_int_equal(ledger_queued(l, 0), 0);
}

static void other_sql(void **state)
{
	struct ledger *l = *state;
	struct model other = models[0];
	int64_t at;
	strcpy(other.code, "c2");
	ask(l, 0, 1, 0, 2);
	assert_false(ledger_waits_for_other_code(l, 0, first_day, &at));
	assert_false(ledger_may_wait_for_other_code(l, 0));
	assert_int_equal(ledger_adapt(l, 0, &other), 0);
	assert_true(ledger_waits_for_other_code(l, 0, first_day, &at));
	assert_true(ledger_may_wait_for_other_code(l, 0));
	assert_int_equal(next_run(l, 2).count, 0);
	/* The request is made for the SQL that is there now. */
	struct store_request_row r = {.id = 1,
				      .seq = 1,
				      .model = 0,
				      .batches = days(0, 2),
				      .uid = 1000,
				      .command = "touch",
				      .code = "c2",
				      .open = true};
	assert_int_equal(ledger_put_request(l, &r), 0);
	assert_int_equal(next_run(l, 2).count, 2);
	assert_int_equal(ledger_adapt(l, 0, &models[0]), 0);
	assert_int_equal(next_run(l, 2).count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_begin_that_moves_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_begin_that_moves_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_was_known_before_the_begin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_request_that_reaches_behind_the_begin_is_not_closed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(other_sql, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
