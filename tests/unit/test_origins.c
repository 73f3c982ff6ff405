/* SPDX-License-Identifier: Apache-2.0 */
/* Who asked and why, error texts, numbers of attempts: as many as there are, and no longer than something
 * names them. */
#include <stdio.h>

#include "backend/ledger/origins.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/requesters.h"
#include "tests/unit/ledger_fixture.h"

#define MANY 70000

static void put_closed(struct ledger *l, ordinal day, const char *reason)
{
	struct store_request_row r = {.id = 1 + day,
				      .seq = 1 + day,
				      .batches = days(day, day + 1),
				      .uid = 1000 + day,
				      .command = "touch",
				      .reason = reason,
				      .code = "c1"};
	assert_int_equal(ledger_put_request(l, &r), 0);
}

static void put_built(struct ledger *l, ordinal day, int64_t request, const char *code)
{
	struct store_state s = done(day, 1);
	s.request = request;
	s.code = code;
	assert_int_equal(ledger_put_state(l, &s), 0);
}

static void more_than_65535_lose_nobody(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	char reason[32], code[32];
	for (ordinal d = 0; d < MANY; d++) {
		snprintf(reason, sizeof reason, "reason %u", d);
		put_closed(l, d, reason);
	}
	for (ordinal d = 0; d < MANY; d++) {
		snprintf(code, sizeof code, "code %u", d);
		put_built(l, d, 1 + d, code);
	}
	ledger_forget_closed(l);
	for (ordinal d = 0; d < MANY; d++) {
		snprintf(reason, sizeof reason, "reason %u", d);
		snprintf(code, sizeof code, "code %u", d);
		ledger_info(l, 0, first_day + d, &i);
		assert_int_equal(i.by->uid, 1000 + d);
		assert_string_equal(i.by->reason, reason);
		assert_string_equal(i.code, code);
	}
	/* One request for all of them, and the others are named by nothing any more. */
	ask(l, 0, MANY + 1, 0, MANY);
	for (ordinal d = 0; d < MANY; d++)
		put_built(l, d, MANY + 1, "c1");
	ledger_forget_closed(l);
	assert_int_equal(HASH_COUNT(l->codes), 1);
	assert_int_equal(HASH_COUNT(l->by_key), 1);
	assert_true(HASH_COUNT(l->recorded) < MANY / 4);
	assert_true(HASH_COUNT(l->requesters) <= HASH_COUNT(l->recorded) + 1);
	ledger_forget(l, 0);
	assert_int_equal(HASH_COUNT(l->codes), 1); /* the requests' own */
	assert_int_equal(HASH_COUNT(l->by_key), 0);
}

static void what_runs_or_was_put_back_keeps_its_request(void **state)
{
	struct ledger *l = *state;
	for (ordinal d = 0; d < 2; d++) {
		ask(l, 0, 1 + d, d, d + 1);
		ledger_claimed(l, 0, first_day + d, 1, 1 + d, 1 + d);
	}
	ledger_requeued(l, 0, first_day);
	for (ordinal d = 2; d < MANY; d++)
		put_closed(l, d, NULL);
	ledger_forget_closed(l);
	assert_true(HASH_COUNT(l->recorded) < MANY / 4);
	assert_int_equal(next_run(l, 1).request, 1);
	struct store_state s = done(1, 1);
	assert_int_equal(ledger_settled(l, &s), 0);
	struct batch_info i;
	ledger_info(l, 0, first_day + 1, &i);
	assert_int_equal(i.by->uid, 1000);
}

static void a_reason_that_comes_late_replaces_the_former_one(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	ask(l, 0, 1, 0, 3);
	struct store_state s = done(0, 1);
	s.request = s.served = 1;
	assert_int_equal(ledger_put_state(l, &s), 0);
	ledger_claimed(l, 0, first_day + 1, 1, 1, 1);
	ledger_started(l, 0, first_day + 1, BEGIN);
	ledger_set_reason(l, 1, "why");
	for (ordinal d = 0; d < 2; d++) {
		ledger_info(l, 0, first_day + d, &i);
		assert_string_equal(i.by->reason, "why");
	}
	assert_int_equal(HASH_COUNT(l->requesters), 1);
}

static void attempts_do_not_end(void **state)
{
	struct ledger *l = *state;
	uint32_t attempt;
	int64_t built;
	size_t text;
	struct store_state s = done(0, MANY);
	assert_int_equal(ledger_put_state(l, &s), 0);
	assert_int_equal(ledger_glance(l, 0, first_day, &attempt, &built, &text), BATCH_DONE);
	assert_int_equal(attempt, MANY);
	ask(l, 0, 1, 0, 1);
	ledger_answered(l, 0, first_day, MANY, 1);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_DONE);
}

/* The newest texts are kept; of the others the states, the last build and the numbers. */
static void texts_are_bounded(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	for (ordinal d = 0; d < MANY; d++) {
		struct store_state s = done(d, 7);
		s.outcome = OUTCOME_FAILED;
		s.rows_deleted = s.rows_inserted = s.rows_outside = -1;
		s.sqlstate = "22012";
		s.message = "division by zero";
		assert_int_equal(ledger_put_state(l, &s), 0);
	}
	assert_true(HASH_COUNT(l->details) <= 10000);
	ledger_info(l, 0, first_day, &i);
	assert_int_equal(i.state, BATCH_FAILED);
	assert_string_equal(i.message, "");
	assert_int_equal(i.attempt, 7);
	assert_int_equal(i.built, done(0, 7).finished);
	assert_int_equal(i.rows_inserted, -1);
	ledger_info(l, 0, first_day + MANY - 1, &i);
	assert_string_equal(i.message, "division by zero");
	assert_string_equal(i.sqlstate, "22012");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(more_than_65535_lose_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_runs_or_was_put_back_keeps_its_request, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_reason_that_comes_late_replaces_the_former_one, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(attempts_do_not_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(texts_are_bounded, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
