/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that are not there or cannot be, texts that a database cannot hold: each hurts its own batch or
 * request only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

#define SNOWMAN "\xe2\x98\x83"
#define E_ACUTE "\xc3\xa9"

static const struct store_ops *store(void)
{
	return engine_postgres.store;
}

static void follow(struct world *w)
{
	struct error err = {0};
	assert_int_equal(store()->follow(w->store, 10, &w->sink, &err), 0);
}

static void a_damaged_row_fails_its_own_batch(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 0, 3, &c), 3);
	sql("update batchfs.state set attempt = 2147483647 where window_start = '2024-09-02+00';"
	    "update batchfs.state set attempt = -5 where window_start = '2024-09-03+00'");
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 3, -1, 0, &seq), 0);
	assert_int_equal(claim_days(w, 0, 0, 3, &c), 1);
	assert_int_equal(c.attempt[0], 2);
	while (!state_of(w, 0, 2)->known)
		follow(w);
	for (int n = 1; n < 3; n++) {
		assert_int_equal(state_of(w, 0, n)->s.outcome, OUTCOME_FAILED);
		assert_int_equal(state_of(w, 0, n)->s.served, seq);
		assert_non_null(
			strstr(state_of(w, 0, n)->message, n == 1 ? "attempt 2147483647" : "attempt -5"));
	}
	assert_int_equal(build_claim(w, &c), 0);
	/* Asked for again it is built. */
	assert_int_equal(request_days(w, 0, 1, 3, -1, 0, NULL), 0);
	assert_int_equal(build_days(w, 0, 1, 2, &c), 2);
	assert_int_equal(w->outcomes[1], BUILD_DONE);
	assert_int_equal(w->outcomes[2], BUILD_DONE);
}

static void a_trigger_that_deletes_the_row_fails_the_batch(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_prepare(w, 0);
	sql("create function out.spoil() returns trigger language plpgsql as $$ begin delete from batchfs.state; return new;"
	    " end $$; create trigger spoil after insert on out.fct for each row execute function out.spoil()");
	assert_int_equal(build_days(w, 0, 0, 2, &c), 2);
	assert_int_equal(w->outcomes[0], BUILD_FAILED);
	assert_non_null(strstr(w->errors[0].text, "batchfs.state"));
	assert_string_equal(sql("select count(*) from out.fct"), "0");
	assert_int_equal(settle_day(w, 0, 0, c.attempt[0], SETTLE_FAILED), 0);
	assert_string_equal(sql("select outcome from batchfs.state where window_start = '2024-09-01+00'"),
			    "2");
}

static void a_model_that_is_gone_refuses_its_requests(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	sql("delete from batchfs.model");
	for (int expected = -1; expected < 1; expected++) {
		struct store_request q = {.uuid = {(unsigned char)(7 + expected)},
					  .batches = {day(0), day(1)},
					  .expected = expected,
					  .command = "touch",
					  .at = 1};
		struct error err = {0};
		assert_int_equal(store()->request(w->store, &q, 1, NULL, &err), 0);
		assert_int_equal(q.result, expected < 0 ? -EIO : -ENOENT);
	}
	assert_int_equal(claim_days(w, 0, 0, 1, &c), 0);
	follow(w);
}

static int fresh_latin1(void **state)
{
	server_database_in("LATIN1");
	world_source();
	struct world *w = calloc(1, sizeof *w);
	world_init(w);
	*state = w;
	return 0;
}

static void each_request_is_answered_for_itself(void **state)
{
	static const char *const reasons[] = {"plain", SNOWMAN " x", E_ACUTE, "bad \xff", SNOWMAN SNOWMAN};
	struct world *w = *state;
	struct store_request q[5];
	struct error err = {0};
	world_open(w);
	for (unsigned char i = 0; i < 5; i++)
		q[i] = (struct store_request){.uuid = {i},
					      .batches = {day(i), day(i + 1)},
					      .expected = -1,
					      .command = "touch",
					      .reason = reasons[i],
					      .at = 1};
	snprintf(q[2].command, sizeof q[2].command, SNOWMAN);
	assert_int_equal(store()->request(w->store, q, 5, NULL, &err), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(q[i].result, 0);
	assert_string_equal(
		sql("select string_agg(reason || ' ' || command, ',' order by id) from batchfs.request"),
		"plain touch,? x touch,? ?,bad ? touch,?? touch");
	struct store_request later = {.uuid = {9}, .kind = REQUEST_REASON, .expected = -1, .reason = E_ACUTE};
	memcpy(later.uuid, q[0].uuid, sizeof later.uuid);
	assert_int_equal(store()->request(w->store, &later, 1, NULL, &err), 0);
	assert_string_equal(sql("select reason from batchfs.request where id = %lld", (long long)q[0].id),
			    E_ACUTE);
}

static void a_message_is_recorded_all_the_same(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_open(w);
	assert_int_equal(claim_days(w, 0, 0, 2, &c), 2);
	snprintf(w->errors[0].text, sizeof w->errors[0].text, "fails: %s", SNOWMAN);
	assert_int_equal(settle_day(w, 0, 0, c.attempt[0], SETTLE_FAILED), 0);
	assert_string_equal(sql("select message from batchfs.state order by window_start limit 1"),
			    "fails: ?");
	assert_int_equal(settle_day(w, 0, 1, c.attempt[1], SETTLE_FAILED), 0);
}

static void a_name_that_it_cannot_hold_refuses_one_model(void **state)
{
	struct world *w = *state;
	world_model(w, 1, SNOWMAN, "select ts, k, v from \"src\".\"events\"", "events", "ts");
	world_model(w, 2, E_ACUTE, "select ts, k, v from \"src\".\"events\"", "events", "ts");
	world_open(w);
	assert_int_equal(w->targets[1].why_not.err, EOPNOTSUPP);
	assert_non_null(strstr(w->targets[1].why_not.text, "a database in LATIN1 cannot hold"));
	struct store_claim c;
	for (int i = 0; i < 3; i += 2) {
		world_prepare(w, i);
		assert_int_equal(build_days(w, i, 0, 1, &c), 1);
		assert_int_equal(w->outcomes[0], BUILD_DONE);
	}
	assert_string_equal(sql("select count(*) from out.\"" E_ACUTE "\""), "10");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN_WORLD_TEST(a_damaged_row_fails_its_own_batch),
		OPEN_WORLD_TEST(a_trigger_that_deletes_the_row_fails_the_batch),
		OPEN_WORLD_TEST(a_model_that_is_gone_refuses_its_requests),
		cmocka_unit_test_setup_teardown(each_request_is_answered_for_itself, fresh_latin1,
						world_gone),
		cmocka_unit_test_setup_teardown(a_message_is_recorded_all_the_same, fresh_latin1, world_gone),
		cmocka_unit_test_setup_teardown(a_name_that_it_cannot_hold_refuses_one_model, fresh_latin1,
						world_gone),
	};
	return server_run(tests);
}
