/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ledger_fixture.h"

static void models_take_turns(void **state)
{
	struct ledger *l = *state;
	struct plan_gate gates[2] = {{.open = true}, {.open = true}};
	size_t turn = 0;
	ask(l, 0, 1, 0, 100);
	ask(l, 1, 2, 0, 1);
	struct plan_next a = plan_next(l, known, gates, 2, &turn);
	struct plan_next b = plan_next(l, known, gates, 2, &turn);
	assert_int_equal(a.model, 0);
	assert_int_equal(a.run.count, 1); /* how long a batch takes is not known yet */
	assert_int_equal(b.model, 1);
}

static void serial_models_run_alone(void **state)
{
	struct ledger *l = *state;
	struct plan_gate gates[2] = {{.open = true}, {.open = true}};
	size_t turn = 0;
	models[0].concurrent_batches = TRI_FALSE;
	ask(l, 0, 1, 0, 10);
	struct plan_next n = plan_next(l, known, gates, 2, &turn);
	assert_int_equal(n.run.first, first_day);
	ledger_claimed(l, 0, first_day, 1, 1, 1);
	assert_int_equal(plan_next(l, known, gates, 2, &turn).model, -1);
	struct store_state s = done(0, 1);
	ledger_settled(l, &s);
	assert_int_equal(plan_next(l, known, gates, 2, &turn).run.first, first_day + 1);
}

/* Where a run costs seconds before its first batch, it is as long as its gate allows. */
static void runs_may_be_long(void **state)
{
	struct ledger *l = *state;
	struct plan_gate gates[2] = {{.open = true, .run_us = 60000000}, {.open = false}};
	size_t turn = 0;
	ask(l, 0, 1, 0, 1000);
	assert_int_equal(plan_next(l, known, gates, 1, &turn).run.count, 10); /* not measured yet */
	struct store_state s = done(0, 1);
	s.finished = s.started + 5000000;
	ledger_settled(l, &s);
	assert_int_equal(plan_next(l, known, gates, 1, &turn).run.count, 12);
	gates[0].run_most = 365;
	assert_int_equal(plan_next(l, known, gates, 1, &turn).run.count, 365);
	gates[0].run_most = 1000;
	assert_int_equal(plan_next(l, known, gates, 1, &turn).run.count, CLAIM_MAX);
}

/* What is claimed together others cannot build: quick batches need no more than that. */
static void runs_of_quick_batches_are_bounded(void **state)
{
	struct ledger *l = *state;
	struct plan_gate gates[2] = {{.open = true}, {.open = false}};
	size_t turn = 0;
	struct store_state s = done(0, 1);
	s.finished = s.started + 1;
	ledger_settled(l, &s);
	ask(l, 0, 1, 2, 1000);
	assert_int_equal(plan_next(l, known, gates, 1, &turn).run.count, 32);
}

static void unprepared_models_are_prepared_alone(void **state)
{
	struct ledger *l = *state;
	struct plan_gate gates[2] = {{.open = true, .unprepared = true}, {.open = false}};
	size_t turn = 0;
	ask(l, 0, 1, 0, 2);
	ask(l, 1, 2, 0, 2);
	struct plan_next n = plan_next(l, known, gates, 2, &turn);
	assert_true(n.prepare);
	assert_int_equal(n.model, 0);
}

/* Days before its begin have no batch of it to wait for, and cannot be read without its table all the same.
 */
static void a_missing_input_is_waited_for(void **state)
{
	struct ledger *l = *state;
	static const struct upstream upstream = {.place = 0, .windowed = true};
	struct plan_gate gates[2] = {{.open = true, .unprepared = true, .missing = true}, {.open = true}};
	size_t turn = 1;
	models[1].upstreams = &upstream;
	models[1].n_upstreams = 1;
	models_free(known);
	known = models_of(&catalog);
	ask(l, 0, 1, 5, 6);
	ask(l, 1, 2, 0, 1);
	struct plan_next n = plan_next(l, known, gates, 2, &turn);
	assert_int_equal(n.model, 0);
	assert_true(n.prepare);
	gates[0] = (struct plan_gate){.open = false, .missing = true};
	assert_int_equal(plan_next(l, known, gates, 2, &turn).model, -1);
	gates[0].missing = false;
	assert_int_equal(plan_next(l, known, gates, 2, &turn).model, 1);
	/* Nobody is about to make it. */
	gates[0].missing = true;
	ledger_claimed(l, 0, first_day + 5, 1, 1, 1);
	assert_int_equal(plan_next(l, known, gates, 2, &turn).model, -1);
	struct store_state s = done(5, 1);
	ledger_settled(l, &s);
	assert_int_equal(plan_next(l, known, gates, 2, &turn).model, 1);
	models[1].n_upstreams = 0;
}

static void ask_other_code(struct ledger *l, int64_t id, ordinal from, ordinal to)
{
	struct store_request_row r = {.id = id,
				      .seq = id,
				      .batches = days(from, to),
				      .command = "touch",
				      .code = "c2",
				      .at = 77,
				      .open = true};
	assert_int_equal(ledger_put_request(l, &r), 0);
}

/* It is queued for all to see, and built here only when somebody asks for it here. */
static void other_code_is_left_to_others(void **state)
{
	struct ledger *l = *state;
	int64_t at, request, wanted;
	ask(l, 0, 1, 0, 2);
	ask_other_code(l, 2, 1, 3);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_QUEUED);
	assert_false(ledger_waits_for_other_code(l, 0, first_day, &at));
	assert_true(ledger_waits_for_other_code(l, 0, first_day + 1, &at));
	assert_int_equal(at, 77);
	assert_true(ledger_waits(l, 0, first_day + 2, &request, &wanted)); /* may be cancelled here */
	struct ledger_run run = next_run(l, 32);
	assert_int_equal(run.first, first_day);
	assert_int_equal(run.count, 1);
	ledger_claimed(l, 0, first_day, 1, 2, 1);
	assert_int_equal(next_run(l, 32).count, 0);
	ask(l, 0, 3, 2, 3);
	assert_int_equal(next_run(l, 32).first, first_day + 2);
	assert_false(ledger_waits_for_other_code(l, 0, first_day + 2, &at));
}

static void put_back_with_other_code_is_left_to_others(void **state)
{
	struct ledger *l = *state;
	ask_other_code(l, 1, 0, 1);
	struct store_state s = {.batch = first_day,
				.run = ROW_REQUEUED,
				.attempt = 1,
				.request = 1,
				.served = 1,
				.code = "",
				.sqlstate = "",
				.message = ""};
	assert_int_equal(ledger_put_state(l, &s), 0);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_QUEUED);
	assert_int_equal(next_run(l, 1).count, 0);
}

/* Where another mount builds without end, this one is made ready to help. */
static void prepared_while_others_build(void **state)
{
	struct ledger *l = *state;
	struct plan_gate gates[2] = {{.open = true, .unprepared = true}, {.open = false}};
	size_t turn = 0;
	ask(l, 0, 1, 0, 2);
	struct store_state s = {.batch = first_day,
				.run = ROW_RUNNING,
				.attempt = 1,
				.served = 1,
				.code = "",
				.sqlstate = "",
				.message = ""};
	assert_int_equal(ledger_put_state(l, &s), 0);
	assert_true(plan_next(l, known, gates, 1, &turn).prepare);
	gates[0].busy = true;
	assert_int_equal(plan_next(l, known, gates, 1, &turn).model, -1);
}

static void existing_ends_with_now(void **state)
{
	(void)state;
	struct ordinal_range r = plan_existing(&models[0], BEGIN + 5 * DAY_US + 1);
	assert_int_equal(r.first, first_day);
	assert_int_equal(r.end, first_day + 6);
	r = plan_existing(&models[0], BEGIN - 1);
	assert_int_equal(r.end - r.first, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(models_take_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(serial_models_run_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(runs_may_be_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(runs_of_quick_batches_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unprepared_models_are_prepared_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_missing_input_is_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_code_is_left_to_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(put_back_with_other_code_is_left_to_others, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(prepared_while_others_build, set_up, tear_down),
		cmocka_unit_test_setup_teardown(existing_ends_with_now, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
