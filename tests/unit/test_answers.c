/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges that were answered without being built: one row for all of their batches. */
#include "backend/ledger/origins.h"
#include "tests/unit/ledger_fixture.h"

#define MANY 100000

static void skip_days(struct ledger *l, int64_t id, ordinal from, ordinal to, int64_t served)
{
	struct store_answer a = {.id = id,
				 .outcome = OUTCOME_SKIPPED,
				 .batches = days(from, to),
				 .served = served,
				 .request = served,
				 .at = BEGIN + id,
				 .message = "it reads"};
	assert_int_equal(ledger_put_answer(l, &a), 0);
}

static void a_range_is_skipped_as_one(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	int64_t id;
	ask(l, 0, 1, 0, MANY);
	skip_days(l, 5, 0, MANY, 1);
	assert_int_equal(ledger_queued(l, 0), 0);
	assert_int_equal(ledger_take_finished(l, &id, 1), 1);
	assert_int_equal(HASH_COUNT(l->details), 0);
	assert_int_equal(HASH_COUNT(l->by_key), 1);
	for (ordinal d = 0; d < MANY; d += MANY - 1) {
		ledger_info(l, 0, first_day + d, &i);
		assert_int_equal(i.state, BATCH_SKIPPED);
		assert_int_equal(i.finished, BEGIN + 5);
		assert_int_equal(i.by->uid, 1000);
		assert_string_equal(i.message, "it reads");
	}
	assert_int_equal(ledger_state(l, 0, first_day + MANY), BATCH_PENDING);
	assert_int_equal(ledger_take_unseen(l, &id, 1), 0);
	ledger_forget(l, 0);
	assert_int_equal(ledger_take_unseen(l, &id, 1), 1);
	assert_int_equal(id, 5);
}

/* What load reports: answers, then states, of which some are older and some newer. */
static void states_are_compared_with_the_answer(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	int64_t id;
	struct store_state older = done(0, 3), newer = done(1, 4);
	older.served = 6;
	newer.served = 7;
	skip_days(l, 5, 0, 2, 7);
	assert_int_equal(ledger_put_state(l, &older), 0);
	assert_int_equal(ledger_put_state(l, &newer), 0);
	ledger_info(l, 0, first_day, &i);
	assert_int_equal(i.state, BATCH_SKIPPED);
	assert_int_equal(i.attempt, 3);
	assert_int_equal(i.built, older.finished);
	assert_string_equal(i.code, "c1");
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_DONE);
	assert_true(ledger_in_answer(l, 0, first_day));
	assert_false(ledger_in_answer(l, 0, first_day + 1));
	/* Built here, by an attempt that tells no seq. */
	ask(l, 0, 8, 0, 1);
	ledger_claimed(l, 0, first_day, 4, 8, 8);
	ledger_started(l, 0, first_day, BEGIN);
	struct store_state built = done(0, 4);
	assert_int_equal(ledger_settled(l, &built), 0);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_DONE);
	assert_int_equal(ledger_take_unseen(l, &id, 1), 1);
}

/* All is read again after a while: what has gone on since stays what it is. */
static void the_same_answer_twice(void **state)
{
	struct ledger *l = *state;
	int64_t id;
	skip_days(l, 5, 0, 3, 1);
	struct store_state newer = done(1, 1);
	newer.served = 2;
	assert_int_equal(ledger_put_state(l, &newer), 0);
	skip_days(l, 5, 0, 3, 1);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_SKIPPED);
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_DONE);
	assert_int_equal(HASH_COUNT(l->shown), 1);
	assert_int_equal(ledger_take_unseen(l, &id, 1), 0);
}

static void what_runs_is_left_alone(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 1, 0, 3);
	ledger_claimed(l, 0, first_day + 1, 1, 1, 1);
	ledger_started(l, 0, first_day + 1, BEGIN);
	skip_days(l, 5, 0, 3, 1);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_SKIPPED);
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_RUNNING);
	assert_int_equal(ledger_queued(l, 0), 0);
}

static void a_cancel_is_one_pass(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	int64_t id;
	struct store_state s = done(0, 1);
	ledger_put_state(l, &s);
	ask(l, 0, 1, 0, MANY);
	ask(l, 0, 2, 10, 20);
	ask(l, 0, 4, 15, 16);
	struct ledger_waiting w = ledger_next_waiting(l, 0, days(1, MANY), false);
	assert_int_equal(w.batches.end, first_day + 10);
	assert_int_equal(w.wanted, 1);
	w = ledger_next_waiting(l, 0, days(10, MANY), false);
	assert_int_equal(w.batches.end, first_day + 15);
	assert_int_equal(w.wanted, 2);
	/* Of batches that were built once the numbers of their attempts differ. */
	assert_int_equal(ledger_next_waiting(l, 0, days(0, MANY), false).batches.end, first_day + 1);
	ledger_withdraw(l, 0, days(0, MANY), 3);
	assert_int_equal(ledger_queued(l, 0), 1);
	assert_int_equal(ledger_state(l, 0, first_day + 15), BATCH_QUEUED);
	ledger_info(l, 0, first_day, &i);
	assert_int_equal(i.state, BATCH_DONE);
	assert_int_equal(ledger_take_finished(l, &id, 1), 1);
	assert_int_equal(ledger_take_finished(l, &id, 1), 1);
	assert_int_equal(ledger_take_finished(l, &id, 1), 0);
}

static void what_was_put_back_is_cancelled_unless_it_is_wanted_anew(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 1, 0, 2);
	for (ordinal d = 0; d < 2; d++) {
		ledger_claimed(l, 0, first_day + d, 1, 1, 1);
		ledger_requeued(l, 0, first_day + d);
	}
	ask(l, 0, 5, 1, 2);
	assert_true(ledger_next_waiting(l, 0, days(0, 2), false).put_back);
	ledger_withdraw(l, 0, days(0, 2), 3);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_PENDING);
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_QUEUED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_range_is_skipped_as_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(states_are_compared_with_the_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_same_answer_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_runs_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cancel_is_one_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_put_back_is_cancelled_unless_it_is_wanted_anew,
						set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
