/* SPDX-License-Identifier: Apache-2.0 */
/* What is claimed and has not begun is still anybody's. */
#include "tests/unit/behind_fixture.h"

/* One worker, which is about to build the first of the days that it has claimed together. */
static void hang(struct behind *x, ordinal from, ordinal to)
{
	assert_int_equal(ask_and_wait(x->f, 0, 3, -1), 0);
	settle(x->f, 0, 3);
	faults(x, "build:hold");
	assert_int_equal(ask_and_wait(x->f, from, to, -1), 0);
	while (state_of(x->f, from) != BATCH_RUNNING)
		usleep(1000);
	assert_true(queue(x, "SELECT count(*) FROM state WHERE run = 1") > 5);
}

static void what_is_claimed_and_has_not_begun_is_cancelled_at_once(void **state)
{
	struct behind *x = *state;
	hang(x, 3, 20);
	assert_int_equal(cancel(x, 5, 7), 0);
	settle(x->f, 5, 7);
	all_are(x, 5, 7, BATCH_PENDING);
	assert_int_equal(queue(x, "SELECT count(*) FROM attempt WHERE outcome = 'cancelled'"), 2);
	assert_int_equal(state_of(x->f, 3), BATCH_RUNNING);
	/* Asked for again it is built, by a claim of its own. */
	assert_int_equal(ask_and_wait(x->f, 6, 7, -1), 0);
	faults(x, "");
	settle(x->f, 0, 20);
	all_are(x, 0, 5, BATCH_DONE);
	assert_int_equal(state_of(x->f, 5), BATCH_PENDING);
	all_are(x, 6, 20, BATCH_DONE);
}

static void what_is_claimed_and_has_not_begun_is_frozen_at_once(void **state)
{
	struct behind *x = *state;
	hang(x, 3, 20);
	assert_int_equal(freeze(x, 3, 6), -EBUSY);
	assert_int_equal(freeze(x, 5, 7), 0);
	all_are(x, 5, 7, BATCH_PENDING);
	assert_int_equal(state_of(x->f, 3), BATCH_RUNNING);
	faults(x, "");
	settle(x->f, 0, 20);
	all_are(x, 5, 7, BATCH_PENDING);
	all_are(x, 7, 20, BATCH_DONE);
	assert_int_equal(ask_and_wait(x->f, 5, 6, BATCH_PENDING), -EPERM);
}

/* The end of a mount gives back what it has not begun, without counting an attempt. */
static void what_is_claimed_and_has_not_begun_outlives_the_mount(void **state)
{
	struct behind *x = *state;
	hang(x, 3, 20);
	assert_int_equal(cancel(x, 3, 4), 0);
	open_again(x);
	assert_int_equal(queue(x, "SELECT count(*) FROM attempt WHERE outcome = 'interrupted'"), 0);
	faults(x, "");
	settle(x->f, 0, 20);
	all_are(x, 4, 20, BATCH_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BEHIND_TEST(what_is_claimed_and_has_not_begun_is_cancelled_at_once),
		BEHIND_TEST(what_is_claimed_and_has_not_begun_is_frozen_at_once),
		BEHIND_TEST(what_is_claimed_and_has_not_begun_outlives_the_mount),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
