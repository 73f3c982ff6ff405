/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing in the SQLite engine. */
#include "tests/unit/sqlite_fixture.h"

static int change(struct fixture *f, enum request_kind kind, int first, int end, uint32_t uid)
{
	struct store_request r = {.kind = kind,
				  .batches = {day(f, first), day(f, end)},
				  .expected = -1,
				  .uid = uid,
				  .command = "chmod",
				  .at = DAY_2024_09_01 + uid};
	GOOD(f->engine->store->request(f->store, &r, 1, NULL, &f->err));
	if (r.result)
		f->err = r.err;
	return r.result;
}

static uint32_t frozen_by(const struct fixture *f, int n)
{
	for (size_t i = 0; i < f->seen.freezes; i++) {
		const struct store_freeze *z = &f->seen.freeze[i];
		if (day(f, n) < z->batches.first || day(f, n) >= z->batches.end)
			continue;
		assert_string_equal(z->command, "chmod");
		assert_int_equal(z->at, DAY_2024_09_01 + z->uid);
		return z->uid;
	}
	return 0;
}

static void frozen_is_not_granted(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
	struct store_request r = ask(f, 1, day(f, 0), day(f, 3));
	assert_int_equal(change(f, REQUEST_FREEZE, 1, 2, 5), 0);
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 1);
	assert_int_equal(run.attempt[1], 0);
	assert_int_equal(run.attempt[2], 1);
	GOOD(build(f, &run));
	assert_int_equal(change(f, REQUEST_THAW, 1, 2, 5), 0);
	run = claim(f, &r);
	assert_int_equal(run.attempt[1], 1);
}

static void what_runs_is_busy(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
	struct store_request r = ask(f, 1, day(f, 1), day(f, 2));
	struct build_run run = claim(f, &r);
	assert_int_equal(change(f, REQUEST_FREEZE, 0, 3, 5), -EBUSY);
	assert_non_null(strstr(f->err.text, "out/2024-09-02 is running"));
	assert_int_equal(change(f, REQUEST_FREEZE, 0, 1, 5), 0);
	assert_int_equal(change(f, REQUEST_THAW, 0, 3, 5), 0);
	GOOD(build(f, &run));
	/* FILE-queue goes on calling it running: FILE has it as done. */
	assert_int_equal(change(f, REQUEST_FREEZE, 0, 3, 5), 0);
	connect_all(f);
	assert_int_equal(frozen_by(f, 0), 5);
	assert_int_equal(frozen_by(f, 2), 5);
	assert_int_equal(frozen_by(f, 3), 0);
}

static void asked_for_by_its_name(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	assert_int_equal(change(f, REQUEST_FREEZE, 1, 2, 5), 0);
	struct store_request named = {.batches = {day(f, 1), day(f, 2)},
				      .expected = BATCH_PENDING,
				      .named = true,
				      .command = "touch"};
	named.uuid[0] = 3;
	GOOD(f->engine->store->request(f->store, &named, 1, NULL, &f->err));
	assert_int_equal(named.result, -EPERM);
	assert_string_equal(named.err.text, "out/2024-09-02 was frozen by uid 5 (chmod) at "
					    "2024-09-01T00:00:00.000005Z: chmod u+w 2024-09-02 thaws it");
	assert_int_equal(ask(f, 4, day(f, 1), day(f, 3)).result, 0);
}

static void protection(void **state)
{
	struct fixture *f = *state;
	events(f);
	connect_all(f);
	assert_int_equal(change(f, REQUEST_FREEZE, 1, 2, 5), 0);
	assert_int_equal(change(f, REQUEST_PROTECT, 0, 0, 6), 0);
	assert_int_equal(change(f, REQUEST_PROTECT, 0, 0, 7), 0);
	connect_all(f);
	assert_int_equal(f->seen.freezes, 2);
	assert_int_equal(f->seen.freeze[0].batches.first, f->seen.freeze[0].batches.end);
	assert_int_equal(f->seen.freeze[0].uid, 6);
	assert_int_equal(change(f, REQUEST_UNPROTECT, 0, 0, 6), 0);
	connect_all(f);
	assert_int_equal(f->seen.freezes, 1);
	assert_int_equal(frozen_by(f, 1), 5);
}

#define DAYS 9

/* Against an array with who froze each day. */
static void any_order(void **state)
{
	struct fixture *f = *state;
	uint32_t truth[DAYS] = {0};
	unsigned seed = 1;
	events(f);
	connect_all(f);
	for (uint32_t step = 1; step <= 200; step++) {
		int from = rand_r(&seed) % DAYS;
		int to = from + 1 + rand_r(&seed) % (DAYS - from);
		bool thaw = rand_r(&seed) % 2;
		assert_int_equal(change(f, thaw ? REQUEST_THAW : REQUEST_FREEZE, from, to, step), 0);
		for (int d = from; d < to; d++)
			truth[d] = thaw ? 0 : truth[d] ? truth[d] : step;
		if (step % 4)
			continue;
		connect_all(f);
		for (int d = 0; d < DAYS; d++)
			if (frozen_by(f, d) != truth[d])
				fail_msg("step %u, day %d: %u, not %u", step, d, frozen_by(f, d), truth[d]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frozen_is_not_granted, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(what_runs_is_busy, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(asked_for_by_its_name, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(protection, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(any_order, fixture_new, fixture_free),
	};
	return cmocka_run_group_tests_name("sqlite_freeze", tests, NULL, NULL);
}
