/* SPDX-License-Identifier: Apache-2.0 */
/* How far a full refresh has come, by what is reported of its batches. */
#include "tests/unit/ledger_fixture.h"

#define DAYS 4

static struct store_refresh refresh(enum refresh_phase phase, int64_t build_at)
{
	return (struct store_refresh){.id = 8,
				      .phase = phase,
				      .batches = {first_day, first_day + DAYS},
				      .since = BEGIN,
				      .build_at = build_at,
				      .command = "touch",
				      .error = ""};
}

static void put(struct ledger *l, enum refresh_phase phase, int64_t build_at)
{
	struct store_refresh r = refresh(phase, build_at);
	assert_int_equal(ledger_put_refresh(l, &r), 0);
}

static void end(struct ledger *l, ordinal n, enum row_outcome outcome, int64_t at)
{
	struct store_state s = done(n, 2);
	s.outcome = outcome;
	s.started = s.finished = at;
	s.built = outcome == OUTCOME_DONE ? at : 0;
	s.served = 8;
	assert_int_equal(ledger_put_state(l, &s), 0);
}

static ordinal next(struct ledger *l, ordinal from)
{
	return ledger_refresh_next(l, 0, first_day + from) - first_day;
}

static void it_is_over_when_all_have_ended(void **state)
{
	struct ledger *l = *state;
	int64_t at = BEGIN + 1000000;
	for (ordinal n = 0; n < DAYS; n++)
		end(l, n, OUTCOME_DONE, BEGIN);
	ask(l, 0, 8, 0, DAYS);
	put(l, REFRESH_BUILD, at);
	assert_int_equal(next(l, 0), 0);
	assert_int_equal(ledger_refresh_count(l, 0).done, 0);
	ledger_claimed(l, 0, first_day, 3, 8, 8);
	/* Its request waits for it no more, and it has not ended. */
	assert_int_equal(next(l, 0), 0);
	end(l, 0, OUTCOME_DONE, at + 1);
	assert_int_equal(next(l, 0), 1);
	end(l, 1, OUTCOME_FAILED, at + 1);
	end(l, 3, OUTCOME_DONE, at + 1);
	assert_int_equal(next(l, 0), 2);
	/* What is asked for anew once it was built is not waited for. */
	ask(l, 0, 9, 0, 1);
	ledger_claimed(l, 0, first_day, 4, 9, 9);
	assert_int_equal(next(l, 0), 2);
	/* Cancelled: it is as it was, and not rebuilt. */
	ledger_withdraw(l, 0, (struct ordinal_range){first_day + 2, first_day + 3}, 10);
	assert_int_equal(next(l, 0), DAYS);
	struct refresh_count c = ledger_refresh_count(l, 0);
	assert_int_equal(c.batches, DAYS);
	assert_int_equal(c.done, 2);
	assert_int_equal(c.failed, 1);
	assert_int_equal(c.first_failed, first_day + 1);
	assert_int_equal(c.first_left, first_day + 2);
}

static void what_others_want_is_theirs(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 8, 0, DAYS);
	put(l, REFRESH_BUILD, BEGIN + 1);
	ask(l, 0, 9, 1, 2);
	assert_true(ledger_refresh_alone(l, 0, first_day));
	assert_false(ledger_refresh_alone(l, 0, first_day + 1));
	assert_false(ledger_refresh_alone(l, 0, first_day + DAYS));
	ledger_claimed(l, 0, first_day, 1, 8, 8);
	assert_true(ledger_refresh_alone(l, 0, first_day));
	ask(l, 0, 10, 0, 1);
	assert_false(ledger_refresh_alone(l, 0, first_day));
	/* Claimed for the other one. */
	ledger_claimed(l, 0, first_day + 1, 1, 10, 9);
	assert_false(ledger_refresh_alone(l, 0, first_day + 1));
}

static bool none_is_ours(void *ctx, slot model, ordinal batch)
{
	return false;
}

static void what_is_not_reported_again_is_void(void **state)
{
	struct ledger *l = *state;
	put(l, REFRESH_CLEAR, 0);
	ledger_refresh_cleared(l, 0, 5, 7);
	assert_int_equal(ledger_refresh(l, 0)->rows_outside, 5);
	ledger_set_reason(l, 8, "why");
	assert_string_equal(ledger_refresh(l, 0)->by->reason, "why");
	ledger_restart(l);
	/* Until the end nothing looks as if there had never been one. */
	assert_int_equal(ledger_refresh(l, 0)->phase, REFRESH_CLEAR);
	put(l, REFRESH_BUILD, BEGIN);
	ledger_restarted(l, none_is_ours, NULL);
	assert_int_equal(ledger_refresh(l, 0)->phase, REFRESH_BUILD);
	ledger_restart(l);
	ledger_restarted(l, none_is_ours, NULL);
	assert_int_equal(ledger_refresh(l, 0)->id, 0);
	assert_int_equal(ledger_refresh(l, 0)->phase, REFRESH_OVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_over_when_all_have_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_others_want_is_theirs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_reported_again_is_void, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
