/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that are lost at a COMMIT, before and after the server has seen it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_proxy.h"
#include "tests/unit/postgres_world.h"

static int fresh(void **state)
{
	world_fresh(state);
	proxy_start();
	world_open(*state);
	world_prepare(*state, 0);
	return 0;
}

static int gone(void **state)
{
	world_gone(state);
	proxy_stop();
	return 0;
}

static void a_request_counts_once(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 2; i++) {
		proxy_cut(i ? CUT_AFTER : CUT_BEFORE);
		assert_int_equal(request_days(w, 0, i, i + 1, -1, 0, NULL), 0);
		assert_int_equal(proxy_cuts(), i + 1);
	}
	assert_string_equal(sql("select count(*) from batchfs.request"), "2");
	assert_string_equal(sql("select seq from batchfs.model"), "2");
}

static void a_batch_is_built_once(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	assert_int_equal(claim_days(w, 0, 4, 1, &c), 1);
	assert_int_equal(build_claim(w, &c), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(claim_days(w, 0, 0, i ? 1 : 4, &c), i ? 1 : 4);
		proxy_cut(i ? CUT_BEFORE : CUT_AFTER);
		assert_int_equal(build_claim(w, &c), 0);
		assert_int_equal(proxy_cuts(), i + 1);
		assert_int_equal(w->outcomes[0], i ? BUILD_PASSING : BUILD_DONE);
		assert_int_equal(w->reports[0].rows_inserted, 10);
		for (int n = 1; n < 4 && !i; n++)
			assert_int_equal(w->outcomes[n], BUILD_DONE);
		if (i)
			assert_int_equal(settle_day(w, 0, 0, c.attempt[0], SETTLE_REQUEUED), 0);
	}
	assert_string_equal(sql("select count(*) from out.fct"), "50");
	assert_string_equal(sql("select run || ' ' || attempt from batchfs.state order by window_start"),
			    "2 2");
	assert_string_equal(sql("select count(*) from batchfs.attempt where outcome = 'done'"), "5");
}

static void the_run_goes_on_behind_a_lost_one(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	assert_int_equal(claim_days(w, 0, 4, 1, &c), 1);
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(claim_days(w, 0, 0, 4, &c), 4);
	proxy_cut(CUT_BEFORE);
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(w->outcomes[0], BUILD_PASSING);
	for (int n = 1; n < 4; n++)
		assert_int_equal(w->outcomes[n], BUILD_UNSTARTED);
	assert_string_equal(sql("select count(*) from out.fct"), "10");
}

static void a_lost_claim_goes_back(void **state)
{
	struct world *w = *state;
	struct error err = {0};
	for (int i = 0; i < 2; i++) {
		struct store_claim c = {
			.first = day(0), .count = 3, .request = 1, .wanted = INT64_MAX, .started = 1};
		proxy_cut(i ? CUT_AFTER : CUT_BEFORE);
		assert_int_equal(engine_postgres.store->claim(w->store, &c, 1, &err), -ETIMEDOUT);
		assert_int_equal(proxy_cuts(), i + 1);
		while (engine_postgres.store->follow(w->store, 10, &w->sink, &err))
			;
		assert_string_equal(sql("select count(*) from batchfs.state where run = 1"), "0");
	}
	struct store_claim c;
	assert_int_equal(claim_days(w, 0, 0, 3, &c), 3);
	assert_int_equal(c.attempt[0], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_counts_once, fresh, gone),
		cmocka_unit_test_setup_teardown(a_batch_is_built_once, fresh, gone),
		cmocka_unit_test_setup_teardown(the_run_goes_on_behind_a_lost_one, fresh, gone),
		cmocka_unit_test_setup_teardown(a_lost_claim_goes_back, fresh, gone),
	};
	return server_run(tests);
}
