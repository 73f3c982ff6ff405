/* SPDX-License-Identifier: Apache-2.0 */
/* What is frozen, in memory. */
#include "tests/unit/ledger_fixture.h"

#define DAYS 40

static int freeze(struct ledger *l, ordinal from, ordinal to, uint32_t uid)
{
	struct store_freeze f = {
		.batches = days(from, to), .uid = uid, .command = "chmod", .at = BEGIN + uid};
	return ledger_freeze(l, 0, &f);
}

static uint32_t frozen_by(const struct ledger *l, ordinal day)
{
	int64_t at = 0;
	const struct requester *by = ledger_frozen(l, 0, first_day + day, &at);
	if (!by)
		return 0;
	assert_string_equal(by->command, "chmod");
	assert_int_equal(at, BEGIN + by->uid);
	return by->uid;
}

static void first_to_freeze_stays(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	assert_int_equal(freeze(l, 3, 5, 1), 0);
	assert_int_equal(freeze(l, 0, 8, 2), 0);
	assert_int_equal(frozen_by(l, 2), 2);
	assert_int_equal(frozen_by(l, 3), 1);
	assert_int_equal(frozen_by(l, 4), 1);
	assert_int_equal(frozen_by(l, 7), 2);
	assert_int_equal(frozen_by(l, 8), 0);
	ledger_info(l, 0, first_day + 3, &i);
	assert_int_equal(i.frozen->uid, 1);
	assert_int_equal(i.frozen_at, BEGIN + 1);
	assert_int_equal(i.state, BATCH_PENDING);
	ledger_info(l, 0, first_day + 8, &i);
	assert_null(i.frozen);
	/* Neighbours are one stretch, whoever froze them. */
	struct ordinal_range found = ledger_next_frozen(l, 0, days(2, 20));
	assert_int_equal(found.first, first_day + 2);
	assert_int_equal(found.end, first_day + 8);
	found = ledger_next_frozen(l, 0, days(8, 20));
	assert_int_equal(found.first, first_day + 20);
}

static void thaw_cuts(void **state)
{
	struct ledger *l = *state;
	assert_int_equal(freeze(l, 0, 10, 1), 0);
	assert_int_equal(ledger_thaw(l, 0, days(4, 6)), 0);
	assert_int_equal(frozen_by(l, 3), 1);
	assert_int_equal(frozen_by(l, 4), 0);
	assert_int_equal(frozen_by(l, 5), 0);
	assert_int_equal(frozen_by(l, 6), 1);
	assert_int_equal(ledger_thaw(l, 0, days(20, 30)), 0);
	assert_int_equal(ledger_thaw(l, 0, days(0, 100)), 0);
	for (ordinal d = 0; d < 10; d++)
		assert_int_equal(frozen_by(l, d), 0);
}

/* Against an array with who froze each day. */
static void any_order(void **state)
{
	struct ledger *l = *state;
	uint32_t truth[DAYS] = {0};
	unsigned seed = 1;
	for (uint32_t step = 1; step < 5000; step++) {
		ordinal from = (ordinal)(rand_r(&seed) % DAYS);
		ordinal to = from + 1 + (ordinal)(rand_r(&seed) % (int)(DAYS - from));
		bool thaw = rand_r(&seed) % 2;
		assert_int_equal(
			thaw ? ledger_thaw(l, 0, days(from, to)) : freeze(l, from, to, step % 50 + 1), 0);
		for (ordinal d = from; d < to; d++)
			truth[d] = thaw ? 0 : truth[d] ? truth[d] : step % 50 + 1;
		for (ordinal d = 0; d < DAYS; d++)
			if (frozen_by(l, d) != truth[d])
				fail_msg("step %u, day %u: %u, not %u", step, d, frozen_by(l, d), truth[d]);
		struct ordinal_range found = ledger_next_frozen(l, 0, days(from, DAYS));
		while (from < DAYS && !truth[from])
			from++;
		assert_int_equal(found.first, first_day + from);
		while (from < DAYS && truth[from])
			from++;
		assert_int_equal(found.end, first_day + from);
	}
}

static void the_store_has_the_last_word(void **state)
{
	struct ledger *l = *state;
	int64_t at;
	struct store_freeze list[] = {
		{.uid = 9, .command = "chmod", .at = 99}, /* the model */
		{.batches = days(1, 3), .uid = 7, .command = "chmod", .at = BEGIN + 7},
		{.batches = days(5, 6), .uid = 8, .command = "chmod", .at = BEGIN + 8},
	};
	assert_int_equal(freeze(l, 0, 2, 1), 0);
	assert_null(ledger_protected(l, 0, NULL));
	assert_int_equal(ledger_put_freezes(l, 0, list, 3), 0);
	assert_int_equal(frozen_by(l, 0), 0);
	assert_int_equal(frozen_by(l, 1), 7);
	assert_int_equal(frozen_by(l, 5), 8);
	assert_int_equal(ledger_protected(l, 0, &at)->uid, 9);
	assert_int_equal(at, 99);
	assert_null(ledger_protected(l, 1, NULL));
	ledger_unprotect(l, 0);
	assert_null(ledger_protected(l, 0, NULL));
	assert_int_equal(ledger_put_freezes(l, 0, NULL, 0), 0);
	assert_int_equal(frozen_by(l, 1), 0);
}

static void frozen_is_never_ready(void **state)
{
	struct ledger *l = *state;
	struct plan_gate gates[2] = {{.open = true}, {.open = true}};
	size_t turn = 0;
	ask(l, 0, 1, 0, 3);
	assert_int_equal(freeze(l, 0, 2, 1), 0);
	struct plan_next n = plan_next(l, known, gates, 1, &turn);
	assert_int_equal(n.run.first, first_day + 2);
	assert_int_equal(n.run.count, 1);
	assert_int_equal(ledger_thaw(l, 0, days(1, 2)), 0);
	assert_int_equal(plan_next(l, known, gates, 1, &turn).run.first, first_day + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_to_freeze_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(thaw_cuts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(any_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_store_has_the_last_word, set_up, tear_down),
		cmocka_unit_test_setup_teardown(frozen_is_never_ready, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("freezes", tests, NULL, NULL);
}
