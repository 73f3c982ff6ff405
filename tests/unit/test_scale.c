/* SPDX-License-Identifier: Apache-2.0 */
/* How much planning looks at, counted in words of 32 batches: the same for one batch that waits and for
 * 60,000. */
#include "backend/ledger/cells.h"
#include "tests/unit/ledger_fixture.h"

#define MANY 60000
/* A look through all of MANY is 1,875 words: what comes next may cost a few of them, not one for each batch.
 */
#define WORDS (4 * MANY / CELLS_A_CHUNK)

static struct plan_gate open_gates[2] = {{.open = true}, {.open = true}};

static void read_by_second(const struct upstream *upstream)
{
	models[1].upstreams = upstream;
	models[1].n_upstreams = upstream ? 1 : 0;
	models_free(known);
	known = models_of(&catalog);
}

static uint64_t cost(struct ledger *l, slot expected)
{
	size_t turn = 1;
	uint64_t before = l->looked_at;
	assert_int_equal(plan_next(l, known, open_gates, 2, &turn).model, expected);
	return l->looked_at - before;
}

static void what_reads_without_a_window(void **state)
{
	static const struct upstream upstream = {.place = 0};
	struct ledger *l = *state;
	read_by_second(&upstream);
	ask(l, 0, 1, 30000, MANY);
	ask(l, 1, 2, 0, MANY);
	assert_true(cost(l, 0) < 2 * WORDS);
	read_by_second(NULL);
}

static void what_reads_its_own_window(void **state)
{
	static const struct upstream upstream = {.place = 0, .windowed = true};
	struct ledger *l = *state;
	read_by_second(&upstream);
	ask(l, 0, 1, 0, MANY);
	ask(l, 1, 2, 0, MANY);
	assert_true(cost(l, 0) < 2 * WORDS);
	/* Only the last one may start. */
	for (int i = 0; i < 2; i++) {
		struct store_state s = done(MANY - 1, 1);
		s.served = 1;
		ledger_put_state(l, &s);
		assert_true(cost(l, 1) < 2 * WORDS);
	}
	read_by_second(NULL);
}

static void what_reads_itself(void **state)
{
	struct ledger *l = *state;
	size_t turn = 0;
	models[0].reads_itself = true;
	models_free(known);
	known = models_of(&catalog);
	ask(l, 0, 1, 100, MANY);
	ask(l, 0, 2, 0, 100);
	ask(l, 0, 3, 50, 60);
	uint64_t before = l->looked_at;
	struct plan_next n = plan_next(l, known, open_gates, 2, &turn);
	assert_int_equal(n.run.first, first_day);
	assert_true(l->looked_at - before < 2 * WORDS);
	models[0].reads_itself = false;
	models_free(known);
	known = models_of(&catalog);
}

/* A shell's glob: each batch is a request of its own. */
static void what_was_asked_for_one_by_one(void **state)
{
	static const struct upstream upstream = {.place = 0, .windowed = true};
	struct ledger *l = *state;
	read_by_second(&upstream);
	ask(l, 0, 1, 0, MANY);
	for (ordinal d = 0; d < MANY; d++)
		ask(l, 1, 2 + d, d, d + 1);
	assert_true(cost(l, 0) < 2 * WORDS);
	int64_t request, wanted;
	for (ordinal d = 0; d < MANY; d++) {
		assert_true(ledger_waits(l, 1, first_day + d, &request, &wanted));
		assert_int_equal(wanted, 2 + d);
	}
	read_by_second(NULL);
}

static void what_was_frozen_or_made_for_other_code(void **state)
{
	struct ledger *l = *state;
	struct store_freeze f = {.batches = days(0, MANY - 1), .command = "chmod"};
	struct store_request_row r = {
		.id = 9, .seq = 9, .batches = days(0, MANY), .command = "touch", .code = "c2", .open = true};
	ask(l, 0, 1, 0, MANY);
	assert_int_equal(ledger_freeze(l, 0, &f), 0);
	assert_true(cost(l, 0) < WORDS);
	assert_int_equal(ledger_put_request(l, &r), 0);
	ledger_thaw(l, 0, days(0, MANY));
	assert_true(cost(l, -1) < WORDS);
}

static void stale_is_found_where_something_was_built(void **state)
{
	static const struct upstream upstream = {.place = 0, .windowed = true};
	struct ledger *l = *state;
	read_by_second(&upstream);
	struct store_state old = done(7, 1), newer = done(7, 2);
	newer.finished += DAY_US;
	newer.built += DAY_US;
	old.model = 1;
	assert_int_equal(ledger_put_state(l, &old), 0);
	old.model = 0;
	old.finished -= 3000000;
	old.started -= 3000000;
	old.built -= 3000000;
	assert_int_equal(ledger_put_state(l, &old), 0);
	assert_int_equal(plan_state(l, known, 1, first_day + 7), BATCH_DONE);
	assert_int_equal(ledger_next_built(l, 0, days(0, MANY), old.built), first_day + MANY);
	assert_int_equal(ledger_put_state(l, &newer), 0);
	assert_int_equal(plan_state(l, known, 1, first_day + 7), BATCH_STALE);
	assert_int_equal(ledger_next_built(l, 0, days(0, MANY), old.built), first_day + 7);
	assert_int_equal(ledger_next_built(l, 0, days(8, MANY), old.built), first_day + MANY);
	read_by_second(NULL);
}

/* The cause of a skip, which a listing asks for of each skipped batch. */
static void what_went_wrong_is_found_at_once(void **state)
{
	struct ledger *l = *state;
	struct store_state s = done(MANY - 1, 1);
	s.outcome = OUTCOME_FAILED;
	assert_int_equal(ledger_put_state(l, &s), 0);
	uint64_t before = l->looked_at;
	assert_int_equal(ledger_next_wrong(l, 0, days(0, MANY)), first_day + MANY - 1);
	assert_true(l->looked_at - before < WORDS);
	/* Asked for again it is wrong no more, and built even less. */
	ask(l, 0, 1, MANY - 1, MANY);
	assert_int_equal(ledger_next_wrong(l, 0, days(0, MANY)), first_day + MANY);
	struct store_state built = done(MANY - 1, 2);
	built.served = 1;
	assert_int_equal(ledger_put_state(l, &built), 0);
	assert_int_equal(ledger_next_wrong(l, 0, days(0, MANY)), first_day + MANY);
	ask(l, 0, 2, 0, 40);
	struct store_answer a = {
		.id = 1, .outcome = OUTCOME_SKIPPED, .batches = days(3, 40), .served = 2, .message = ""};
	assert_int_equal(ledger_put_answer(l, &a), 0);
	assert_int_equal(ledger_next_wrong(l, 0, days(0, MANY)), first_day + 3);
	ledger_forget(l, 0);
	assert_int_equal(ledger_next_wrong(l, 0, days(0, MANY)), first_day + MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_reads_without_a_window, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_reads_its_own_window, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_reads_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_asked_for_one_by_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_frozen_or_made_for_other_code, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stale_is_found_where_something_was_built, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_went_wrong_is_found_at_once, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
