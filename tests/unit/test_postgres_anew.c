/* SPDX-License-Identifier: Apache-2.0 */
/* Another life of the server, another warehouse: what was lost is noticed, and read anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/base/cleanup.h"
#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

static const struct store_ops *store(void)
{
	return engine_postgres.store;
}

static void until_restarted(struct world *w, int restarts)
{
	struct error err = {0};
	while (w->restarts < restarts)
		store()->follow(w->store, 10, &w->sink, &err);
	assert_false(w->anew);
}

/* A mount of another project, which makes the schema: its only model has the id that fct had. */
static struct world *another_warehouse(void)
{
	struct world *other = calloc(1, sizeof *other);
	world_init(other);
	world_model(other, 0, "zzz", "select ts, k, v from \"src\".\"events\"", "events", "ts");
	sql("drop schema batchfs cascade");
	world_open(other);
	assert_string_equal(sql("select id || target_table from batchfs.model"), "1zzz");
	return other;
}

static void a_request_goes_to_the_right_model(void **state)
{
	struct world *w = *state;
	world_open(w);
	world_prepare(w, 0);
	struct store_claim c;
	assert_int_equal(build_days(w, 0, 0, 2, &c), 2);
	assert_int_equal(request_days(w, 0, 2, 4, -1, 0, NULL), 0);
	struct world *other = another_warehouse();
	assert_int_equal(request_days(w, 0, 1, 3, -1, 0, NULL), 0);
	assert_string_equal(sql("select string_agg(target_table || ' ' || m.seq, ',') from batchfs.request r"
				" join batchfs.model m on m.id = r.model"),
			    "fct 1");
	assert_string_equal(sql("select seq from batchfs.model where target_table = 'zzz'"), "0");
	w->targets[0] = (struct store_target){0};
	until_restarted(w, 1);
	/* All that was known is void; the table that we had built is one that nobody knows. */
	assert_int_equal(w->n_requests, 1);
	assert_false(state_of(w, 0, 0)->known);
	assert_true(w->targets[0].look);
	assert_string_equal(sql("select count(*) from batchfs.owner"), "2");
	world_close(other);
	free(other);
}

static void nothing_is_claimed_settled_retired_for_another(void **state)
{
	struct world *w = *state;
	world_open(w);
	world_prepare(w, 0);
	struct store_claim c;
	assert_int_equal(claim_days(w, 0, 0, 2, &c), 2);
	struct world *other = another_warehouse();
	assert_int_equal(request_days(other, 0, 0, 1, -1, 0, NULL), 0);
	struct store_claim theirs;
	assert_int_equal(claim_days(other, 0, 0, 1, &theirs), 1);
	struct error err = {0};
	struct store_outcome o = {
		.kind = SETTLE_FAILED, .batch = day(0), .attempt = 1, .sqlstate = "", .message = ""};
	int64_t one = 1;
	assert_int_equal(store()->settle(w->store, &o, 1, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "dropped and made anew"));
	/* The worker, too: its attempt of fct has the number of the other mount's of zzz. */
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(w->outcomes[0], BUILD_STALE);
	assert_int_equal(w->outcomes[1], BUILD_STALE);
	assert_int_equal(store()->retire(w->store, &one, 1, &err), 0);
	assert_int_equal(claim_days(w, 0, 0, 1, &c), 0);
	assert_string_equal(
		sql("select string_agg(run || ' ' || attempt || ' ' || outcome, ',') from batchfs.state"),
		"1 1 0");
	assert_string_equal(sql("select open from batchfs.request"), "t");
	until_restarted(w, 1);
	assert_int_equal(claim_days(w, 0, 0, 1, &c), 1);
	world_close(other);
	free(other);
}

/* Nobody has made it anew: we do, as a mount does that starts. */
static void a_schema_that_is_gone_is_made(void **state)
{
	struct world *w = *state;
	world_open(w);
	assert_int_equal(request_days(w, 0, 0, 1, -1, 0, NULL), 0);
	sql("drop schema batchfs cascade");
	until_restarted(w, 1);
	assert_int_equal(w->n_requests, 0);
	assert_int_equal(request_days(w, 0, 1, 2, -1, 0, NULL), 0);
	assert_string_equal(sql("select count(*) from batchfs.request"), "1");
}

static void a_newer_program_is_named(void **state)
{
	struct world *w = *state;
	world_open(w);
	sql("update batchfs.meta set version = 9000");
	struct store_request q = {.uuid = {5}, .batches = {day(0), day(1)}, .expected = -1, .at = 1};
	struct error err = {0};
	assert_int_equal(store()->request(w->store, &q, 1, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "version 9000"));
	assert_string_equal(sql("select count(*) from batchfs.request"), "0");
}

/* synchronous_commit=off, and the server dies: the last batch has neither rows nor its state. */
static void what_a_crash_has_taken_goes_back(void **state)
{
	struct world *w = *state;
	sql("alter database %s set synchronous_commit = off", getenv("PGDATABASE"));
	world_open(w);
	world_prepare(w, 0);
	struct store_claim c;
	assert_int_equal(build_days(w, 0, 0, 2, &c), 2);
	assert_int_equal(claim_days(w, 0, 2, 2, &c), 2);
	sql("checkpoint"); /* a claim's commit waits for no disk */
	server_flushes_no_more();
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(w->outcomes[3], BUILD_DONE);
	server_crashes();
	assert_string_equal(sql("select count(*) from out.fct"), "20");
	until_restarted(w, 1);
	assert_int_equal(state_of(w, 0, 1)->s.outcome, OUTCOME_DONE);
	for (int n = 2; n < 4; n++)
		assert_int_equal(state_of(w, 0, n)->s.run, ROW_REQUEUED);
	assert_string_equal(sql("select string_agg(run::text, '' order by window_start) from batchfs.state"),
			    "0022");
	assert_int_equal(build_days(w, 0, 2, 2, &c), 2);
	assert_int_equal(w->outcomes[3], BUILD_DONE);
	assert_string_equal(sql("select count(*) from out.fct"), "40");
}

/* What the mount still has a hand on is its own to settle; when it is known to have ended, the row goes back.
 */
static void what_still_runs_is_left_alone(void **state)
{
	struct world *w = *state;
	world_open(w);
	struct store_claim c;
	struct error err = {0};
	assert_int_equal(claim_days(w, 0, 2, 1, &c), 1);
	w->running = true;
	sql("checkpoint");
	server_crashes();
	until_restarted(w, 1);
	assert_string_equal(sql("select run from batchfs.state"), "1");
	w->running = false;
	while (!state_of(w, 0, 2)->known)
		assert_int_equal(store()->follow(w->store, 1000, &w->sink, &err), 0);
	assert_int_equal(state_of(w, 0, 2)->s.run, ROW_REQUEUED);
	assert_string_equal(sql("select run from batchfs.state"), "2");
}

/* The crash has taken the claim as well: nothing can be built with it, and the batch is free. */
static void a_claim_that_a_crash_has_taken_is_nothing(void **state)
{
	struct world *w = *state;
	world_open(w);
	world_prepare(w, 0);
	struct store_claim c;
	assert_int_equal(request_days(w, 0, 2, 3, -1, 0, NULL), 0);
	server_flushes_no_more();
	assert_int_equal(claim_days(w, 0, 2, 1, &c), 1);
	server_crashes();
	assert_string_equal(sql("select count(*) from batchfs.state where run = 1"), "0");
	until_restarted(w, 1);
	/* The first time the connection has gone, too. */
	do
		assert_int_equal(build_claim(w, &c), 0);
	while (w->outcomes[2] == BUILD_PASSING);
	assert_int_equal(w->outcomes[2], BUILD_STALE);
	assert_string_equal(sql("select count(*) from out.fct"), "0");
	assert_int_equal(build_days(w, 0, 2, 1, &c), 1);
	assert_int_equal(w->outcomes[2], BUILD_DONE);
}

static void a_lost_connection_alone_is_no_other_life(void **state)
{
	struct world *w = *state;
	world_open(w);
	assert_int_equal(request_days(w, 0, 0, 1, -1, 0, NULL), 0);
	sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'batchfs:%%:control'");
	struct error err = {0};
	while (store()->follow(w->store, 10, &w->sink, &err))
		;
	assert_int_equal(store()->follow(w->store, 10, &w->sink, &err), 0);
	assert_int_equal(w->restarts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_request_goes_to_the_right_model),
		WORLD_TEST(nothing_is_claimed_settled_retired_for_another),
		WORLD_TEST(a_schema_that_is_gone_is_made),
		WORLD_TEST(a_newer_program_is_named),
		WORLD_TEST(what_a_crash_has_taken_goes_back),
		WORLD_TEST(what_still_runs_is_left_alone),
		WORLD_TEST(a_claim_that_a_crash_has_taken_is_nothing),
		WORLD_TEST(a_lost_connection_alone_is_no_other_life),
	};
	return server_run(tests);
}
