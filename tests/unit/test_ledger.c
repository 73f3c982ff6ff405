/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/ledger.h"
#include "backend/ledger/private.h"
#include "backend/plan.h"

#define DAY_US INT64_C(86400000000)
#define BEGIN  INT64_C(1704067200000000) /* 2024-01-01 */

static struct model models[2];
static const struct catalog catalog = {.models = models, .n_models = 2};
static ordinal first_day;

static int set_up(void **state)
{
	models[0] = (struct model){.dir = "a",
				   .batch_size = BATCH_DAY,
				   .begin = BEGIN,
				   .lookback = 1,
				   .concurrent_batches = TRI_UNSET};
	models[1] = models[0];
	models[1].dir = "b";
	first_day = calendar_ordinal(BATCH_DAY, BEGIN);
	*state = ledger_new(&catalog);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	ledger_free(*state);
	return 0;
}

static struct ordinal_range days(ordinal from, ordinal to)
{
	return (struct ordinal_range){first_day + from, first_day + to};
}

static void ask(struct ledger *l, int model, int64_t id, ordinal from, ordinal to)
{
	struct store_request_row r = {.id = id,
				      .seq = id,
				      .model = model,
				      .batches = days(from, to),
				      .uid = 1000,
				      .command = "touch",
				      .code = "c1",
				      .open = true};
	assert_int_equal(ledger_put_request(l, &r), 0);
}

static struct store_state done(ordinal day, uint32_t attempt)
{
	ordinal b = first_day + day;
	int64_t end = calendar_start(BATCH_DAY, b + 1);
	return (struct store_state){.batch = b,
				    .outcome = OUTCOME_DONE,
				    .attempt = attempt,
				    .started = end + 1000000,
				    .finished = end + 3500000,
				    .built = end + 3500000,
				    .rows_deleted = 1,
				    .rows_inserted = 7,
				    .code = "c1",
				    .sqlstate = "",
				    .message = ""};
}

static void cells_are_small(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct cell), 24);
}

static void nothing_known_is_pending(void **state)
{
	struct batch_info i;
	ledger_info(*state, 0, first_day, &i);
	assert_int_equal(i.state, BATCH_PENDING);
	assert_int_equal(i.attempt, 0);
	assert_int_equal(i.rows_inserted, -1);
	assert_null(i.by);
}

static void request_claim_start_done(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	ask(l, 0, 5, 0, 3);
	assert_int_equal(ledger_queued(l, 0), 3);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_QUEUED);
	struct ledger_run run = ledger_next_run(l, 0, 2);
	assert_int_equal(run.first, first_day);
	assert_int_equal(run.count, 2);
	assert_int_equal(run.request, 5);
	ledger_claimed(l, 0, first_day, 1, 5, 5);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_QUEUED);
	assert_int_equal(ledger_running(l, 0), 1);
	ledger_started(l, 0, first_day, BEGIN + 1);
	ledger_info(l, 0, first_day, &i);
	assert_int_equal(i.state, BATCH_RUNNING);
	assert_int_equal(i.attempt, 1);
	assert_int_equal(i.started, BEGIN + 1);
	assert_string_equal(i.by->command, "touch");
	assert_false(i.requested_again);
	struct store_state s = done(0, 1);
	assert_int_equal(ledger_settled(l, &s), 0);
	ledger_info(l, 0, first_day, &i);
	assert_int_equal(i.state, BATCH_DONE);
	assert_int_equal(i.finished - i.started, 2500000);
	assert_int_equal(i.rows_inserted, 7);
	assert_int_equal(i.rows_deleted, 1);
	assert_int_equal(i.rows_outside, 0);
	assert_string_equal(i.by->command, "touch");
	assert_int_equal(ledger_queued(l, 0), 2);
	assert_int_equal(ledger_running(l, 0), 0);
	assert_int_equal(ledger_next_unsettled(l, 0, days(0, 3)), first_day + 1);
}

/* A request promises a build that starts after it. */
static void asked_again_while_running(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	ask(l, 0, 1, 0, 1);
	ledger_claimed(l, 0, first_day, 1, 1, 1);
	ledger_started(l, 0, first_day, BEGIN);
	ask(l, 0, 2, 0, 1);
	ledger_info(l, 0, first_day, &i);
	assert_int_equal(i.state, BATCH_RUNNING);
	assert_true(i.requested_again);
	assert_int_equal(ledger_next_run(l, 0, 32).count, 0);
	struct store_state s = done(0, 1);
	ledger_settled(l, &s);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_QUEUED);
	assert_int_equal(ledger_next_run(l, 0, 32).request, 2);
}

static void asked_twice_while_queued_is_built_once(void **state)
{
	struct ledger *l = *state;
	int64_t ids[4];
	ask(l, 0, 1, 0, 1);
	ask(l, 0, 2, 0, 1);
	assert_int_equal(ledger_queued(l, 0), 1);
	struct ledger_run run = ledger_next_run(l, 0, 32);
	assert_int_equal(run.wanted, 2);
	ledger_claimed(l, 0, first_day, 1, 2, run.request);
	struct store_state s = done(0, 1);
	ledger_settled(l, &s);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_DONE);
	assert_int_equal(ledger_queued(l, 0), 0);
	assert_int_equal(ledger_take_finished(l, ids, 4), 2);
	assert_int_equal(ledger_take_finished(l, ids, 4), 0);
}

static void failure_keeps_the_last_build(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	struct store_state s = done(4, 1);
	ledger_put_state(l, &s);
	int64_t built = s.built;
	s.outcome = OUTCOME_FAILED;
	s.attempt = 2;
	s.sqlstate = "22012";
	s.message = "division by zero";
	ledger_put_state(l, &s);
	ledger_info(l, 0, s.batch, &i);
	assert_int_equal(i.state, BATCH_FAILED);
	assert_int_equal(i.built, built);
	assert_string_equal(i.sqlstate, "22012");
	assert_string_equal(i.message, "division by zero");
	struct store_state again = done(4, 3);
	ledger_put_state(l, &again);
	ledger_info(l, 0, s.batch, &i);
	assert_int_equal(i.state, BATCH_DONE);
	assert_string_equal(i.message, "");
}

static void requeued_comes_again(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 1, 2, 3);
	ledger_claimed(l, 0, first_day + 2, 1, 1, 1);
	ledger_started(l, 0, first_day + 2, BEGIN);
	ledger_requeued(l, 0, first_day + 2);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_QUEUED);
	struct ledger_run run = ledger_next_run(l, 0, 32);
	assert_int_equal(run.first, first_day + 2);
	assert_int_equal(run.count, 1);
	assert_int_equal(run.request, 0);
}

/* What load reports: requests first, then states that answer them. */
static void states_answer_requests(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 3, 0, 4);
	for (ordinal d = 0; d < 2; d++) {
		struct store_state s = done(d, 1);
		s.served = 3;
		ledger_put_state(l, &s);
	}
	assert_int_equal(ledger_queued(l, 0), 2);
	assert_int_equal(ledger_next_run(l, 0, 32).first, first_day + 2);
}

static void partial_is_what_began_before_its_end(void **state)
{
	struct ledger *l = *state;
	struct store_state s = done(1, 1);
	s.started = calendar_start(BATCH_DAY, s.batch + 1) - 1;
	ledger_put_state(l, &s);
	assert_int_equal(ledger_state(l, 0, s.batch), BATCH_PARTIAL);
	s.started++;
	ledger_put_state(l, &s);
	assert_int_equal(ledger_state(l, 0, s.batch), BATCH_DONE);
}

static void forget_keeps_requests(void **state)
{
	struct ledger *l = *state;
	struct store_state s = done(1, 1);
	ledger_put_state(l, &s);
	ask(l, 0, 1, 0, 1);
	ask(l, 0, 2, 2, 3);
	ledger_claimed(l, 0, first_day + 2, 1, 2, 2);
	ledger_requeued(l, 0, first_day + 2);
	ledger_forget(l, 0);
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_PENDING);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_QUEUED);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_QUEUED);
	assert_int_equal(ledger_queued(l, 0), 2);
	assert_int_equal(ledger_running(l, 0), 0);
}

static void reason_reaches_what_was_built(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	ask(l, 0, 9, 0, 1);
	ledger_claimed(l, 0, first_day, 1, 9, 9);
	ledger_started(l, 0, first_day, BEGIN);
	ledger_set_reason(l, 9, "INC-4711");
	ledger_info(l, 0, first_day, &i);
	assert_string_equal(i.by->reason, "INC-4711");
	struct store_state s = done(0, 1);
	ledger_settled(l, &s);
	ledger_info(l, 0, first_day, &i);
	assert_string_equal(i.by->reason, "INC-4711");
}

static void reason_that_comes_after_the_build(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	ask(l, 0, 1, 1, 2);
	ask(l, 0, 9, 0, 1);
	for (ordinal d = 0; d < 2; d++) {
		ledger_claimed(l, 0, first_day + d, 1, 9, d ? 1 : 9);
		struct store_state s = done(d, 1);
		ledger_settled(l, &s);
	}
	ledger_set_reason(l, 9, "late data");
	ledger_info(l, 0, first_day, &i);
	assert_string_equal(i.by->reason, "late data");
	ledger_info(l, 0, first_day + 1, &i);
	assert_null(i.by->reason);
}

static void models_take_turns(void **state)
{
	struct ledger *l = *state;
	struct plan_gate gates[2] = {{.open = true}, {.open = true}};
	size_t turn = 0;
	ask(l, 0, 1, 0, 100);
	ask(l, 1, 2, 0, 1);
	struct plan_next a = plan_next(l, &catalog, gates, 2, &turn);
	struct plan_next b = plan_next(l, &catalog, gates, 2, &turn);
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
	struct plan_next n = plan_next(l, &catalog, gates, 2, &turn);
	assert_int_equal(n.run.first, first_day);
	ledger_claimed(l, 0, first_day, 1, 1, 1);
	assert_int_equal(plan_next(l, &catalog, gates, 2, &turn).model, -1);
	struct store_state s = done(0, 1);
	ledger_settled(l, &s);
	assert_int_equal(plan_next(l, &catalog, gates, 2, &turn).run.first, first_day + 1);
}

static void unprepared_models_are_prepared_alone(void **state)
{
	struct ledger *l = *state;
	struct plan_gate gates[2] = {{.open = true, .unprepared = true}, {.open = false}};
	size_t turn = 0;
	ask(l, 0, 1, 0, 2);
	ask(l, 1, 2, 0, 2);
	struct plan_next n = plan_next(l, &catalog, gates, 2, &turn);
	assert_true(n.prepare);
	assert_int_equal(n.model, 0);
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
		cmocka_unit_test(cells_are_small),
		cmocka_unit_test_setup_teardown(nothing_known_is_pending, set_up, tear_down),
		cmocka_unit_test_setup_teardown(request_claim_start_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(asked_again_while_running, set_up, tear_down),
		cmocka_unit_test_setup_teardown(asked_twice_while_queued_is_built_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failure_keeps_the_last_build, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requeued_comes_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(states_answer_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(partial_is_what_began_before_its_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forget_keeps_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reason_reaches_what_was_built, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reason_that_comes_after_the_build, set_up, tear_down),
		cmocka_unit_test_setup_teardown(models_take_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(serial_models_run_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unprepared_models_are_prepared_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(existing_ends_with_now, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
