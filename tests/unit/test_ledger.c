/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/ledger/cells.h"
#include "tests/unit/ledger_fixture.h"

static void cells_are_small(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct cell), 28);
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
	struct ledger_run run = next_run(l, 2);
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
	assert_int_equal(next_run(l, 32).count, 0);
	struct store_state s = done(0, 1);
	ledger_settled(l, &s);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_QUEUED);
	assert_int_equal(next_run(l, 32).request, 2);
}

static void asked_twice_while_queued_is_built_once(void **state)
{
	struct ledger *l = *state;
	int64_t ids[4];
	ask(l, 0, 1, 0, 1);
	ask(l, 0, 2, 0, 1);
	assert_int_equal(ledger_queued(l, 0), 1);
	struct ledger_run run = next_run(l, 32);
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
	/* What reads it is stale because of that build, whatever came after. */
	int64_t began, ended;
	ledger_build_times(l, 0, s.batch, &began, &ended);
	assert_int_equal(ended, built);
	assert_int_equal(began, 0);
	assert_string_equal(i.sqlstate, "22012");
	assert_string_equal(i.message, "division by zero");
	struct store_state again = done(4, 3);
	ledger_put_state(l, &again);
	ledger_info(l, 0, s.batch, &i);
	assert_int_equal(i.state, BATCH_DONE);
	assert_string_equal(i.message, "");
}

static void what_is_answered_waits_no_more(void **state)
{
	struct ledger *l = *state;
	int64_t ids[2];
	ask(l, 0, 1, 0, 2);
	/* An attempt that nobody here has heard of may be in doubt. */
	ledger_answered(l, 0, first_day, 1, 1);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_QUEUED);
	ledger_answered(l, 0, first_day, 0, 1);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_PENDING);
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_QUEUED);
	/* What is built for an older request goes on. */
	ledger_claimed(l, 0, first_day + 1, 1, 1, 1);
	ask(l, 0, 2, 1, 2);
	ledger_answered(l, 0, first_day + 1, 1, 2);
	ledger_started(l, 0, first_day + 1, BEGIN);
	assert_int_equal(ledger_queued(l, 0), 0);
	assert_int_equal(ledger_state(l, 0, first_day + 1), BATCH_RUNNING);
	assert_int_equal(ledger_take_finished(l, ids, 2), 2);
}

static void what_is_finished_is_not_opened_again(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 1, 0, 2);
	ledger_answered(l, 0, first_day, 0, 1);
	ledger_answered(l, 0, first_day + 1, 0, 1);
	/* A state that names it brings its row again, as it was before it was retired. */
	ask(l, 0, 1, 0, 2);
	assert_int_equal(ledger_queued(l, 0), 0);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_PENDING);
}

static void requeued_comes_again(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 1, 2, 3);
	ledger_claimed(l, 0, first_day + 2, 1, 1, 1);
	ledger_started(l, 0, first_day + 2, BEGIN);
	ledger_requeued(l, 0, first_day + 2);
	assert_int_equal(ledger_state(l, 0, first_day + 2), BATCH_QUEUED);
	struct ledger_run run = next_run(l, 32);
	assert_int_equal(run.first, first_day + 2);
	assert_int_equal(run.count, 1);
	assert_int_equal(run.request, 1);
	assert_int_equal(run.wanted, 0);
}

static void count_batches(void *ctx, slot model, struct ordinal_range batches)
{
	size_t *n = ctx;
	(void)model;
	*n += batches.end - batches.first;
}

/* Claimed and put back: still of the request, though nothing is left on its list. */
static void what_was_put_back_remains(void **state)
{
	struct ledger *l = *state;
	size_t n = 0;
	int64_t request, wanted;
	ask(l, 0, 1, 0, 3);
	for (ordinal d = 0; d < 3; d++)
		ledger_claimed(l, 0, first_day + d, 1, 1, 1);
	ledger_requeued(l, 0, first_day + 1);
	ledger_requeued(l, 0, first_day + 2);
	ledger_remaining(l, 1, count_batches, &n);
	assert_int_equal(n, 2);
	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(ledger_equal_failures(l, 1, "22012", 1), i);
	assert_int_equal(ledger_equal_failures(l, 1, "42601", 1), 1);
	assert_int_equal(ledger_equal_failures(l, 1, "42601", 4), 5);
	assert_int_equal(ledger_equal_failures(l, 1, NULL, 0), 0);
	struct store_outcome o = {
		.kind = SETTLE_SKIPPED, .batch = first_day + 1, .finished = 7, .message = "it reads"};
	assert_true(ledger_waits(l, 0, o.batch, &request, &wanted));
	assert_int_equal(request, 1);
	assert_int_equal(ledger_skipped(l, &o), 0);
	assert_int_equal(ledger_state(l, 0, o.batch), BATCH_SKIPPED);
	n = 0;
	ledger_remaining(l, 1, count_batches, &n);
	assert_int_equal(n, 1);
}

/* A settle whose commit was lost: follow() tells that the row was put back, then the settle is stale. */
static void what_the_store_put_back_is_not_released(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 1, 0, 1);
	ledger_claimed(l, 0, first_day, 1, 1, 1);
	struct store_state s = {.batch = first_day,
				.run = ROW_REQUEUED,
				.attempt = 1,
				.request = 1,
				.served = 1,
				.code = "",
				.sqlstate = "",
				.message = ""};
	assert_int_equal(ledger_put_state(l, &s), 0);
	ledger_released(l, 0, first_day);
	assert_int_equal(ledger_state(l, 0, first_day), BATCH_QUEUED);
	assert_int_equal(ledger_queued(l, 0), 1);
	assert_int_equal(next_run(l, 1).count, 1);
}

static void what_waits_is_skipped_once(void **state)
{
	struct ledger *l = *state;
	ask(l, 0, 1, 0, 40);
	struct ledger_waiting w = ledger_next_waiting(l, 0, days(3, 1000), true);
	assert_int_equal(w.batches.first, first_day + 3);
	assert_int_equal(w.batches.end, first_day + 40);
	ledger_mark_skipping(l, 0, days(10, 35), true);
	assert_int_equal(ledger_next_waiting(l, 0, days(3, 1000), true).batches.end, first_day + 10);
	assert_int_equal(ledger_next_waiting(l, 0, days(10, 1000), true).batches.first, first_day + 35);
	assert_int_equal(ledger_next_waiting(l, 0, days(10, 1000), false).batches.first, first_day + 10);
	ledger_mark_skipping(l, 0, days(10, 35), false);
	assert_int_equal(ledger_next_waiting(l, 0, days(3, 1000), true).batches.end, first_day + 40);
}

/* The number of an attempt that was cancelled is used up, as its row has it. */
static void cancelled_attempt_counts(void **state)
{
	struct ledger *l = *state;
	struct batch_info i;
	struct store_state s = done(0, 1);
	ledger_put_state(l, &s);
	ask(l, 0, 1, 0, 1);
	ledger_claimed(l, 0, first_day, 2, 1, 1);
	ledger_started(l, 0, first_day, BEGIN);
	ask(l, 0, 2, 0, 1);
	struct store_outcome o = {.kind = SETTLE_CANCELLED, .batch = first_day, .attempt = 2, .wanted = 2};
	ledger_cancelled(l, &o);
	ledger_info(l, 0, first_day, &i);
	assert_int_equal(i.state, BATCH_DONE);
	assert_int_equal(i.attempt, 2);
	assert_int_equal(i.finished, s.finished);
	assert_int_equal(ledger_queued(l, 0) + ledger_running(l, 0), 0);
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
	assert_int_equal(next_run(l, 32).first, first_day + 2);
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

/* Some stores know no start of what was adopted: it did not take since 1970. */
static void without_a_start_it_took_no_time(void **state)
{
	struct ledger *l = *state;
	struct store_state s = done(1, 0);
	int64_t began, ended;
	s.started = 0;
	s.adopted = true;
	assert_int_equal(ledger_put_state(l, &s), 0);
	ledger_build_times(l, 0, first_day + 1, &began, &ended);
	assert_int_equal(ended, s.finished);
	assert_int_equal(began, s.finished);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_are_small),
		cmocka_unit_test_setup_teardown(nothing_known_is_pending, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_start_it_took_no_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(request_claim_start_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(asked_again_while_running, set_up, tear_down),
		cmocka_unit_test_setup_teardown(asked_twice_while_queued_is_built_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failure_keeps_the_last_build, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_answered_waits_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_finished_is_not_opened_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requeued_comes_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_put_back_remains, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_store_put_back_is_not_released, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_waits_is_skipped_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cancelled_attempt_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(states_answer_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(partial_is_what_began_before_its_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forget_keeps_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reason_reaches_what_was_built, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reason_that_comes_after_the_build, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
