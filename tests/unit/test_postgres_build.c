/* SPDX-License-Identifier: Apache-2.0 */
/* The PostgreSQL builder against a private server. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

static const struct builder_ops *builder(void)
{
	return engine_postgres.builder;
}

static void a_run_is_built(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_open(w);
	assert_false(w->targets[0].exists);
	assert_int_equal(w->targets[0].event_time_type, TIME_UNKNOWN);
	world_prepare(w, 0);
	assert_true(w->targets[0].exists);
	assert_int_equal(w->targets[0].event_time_type, TIME_TIMESTAMPTZ);
	assert_string_equal(w->targets[0].notes, "");
	assert_int_equal(request_days(w, 0, 0, 5, -1, 0, NULL), 0);
	assert_int_equal(build_days(w, 0, 0, 5, &c), 5);
	assert_int_equal(w->started, 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(w->outcomes[i], BUILD_DONE);
		assert_int_equal(w->reports[i].rows_inserted, 10);
		assert_int_equal(w->reports[i].rows_deleted, 0);
		assert_int_equal(w->reports[i].rows_outside, 0);
	}
	assert_int_equal(build_days(w, 0, 1, 1, &c), 1);
	assert_int_equal(w->reports[1].rows_deleted, 10);
	assert_string_equal(sql("select count(*) from out.fct"), "50");
	assert_string_equal(sql("select count(*) from batchfs.attempt where outcome = 'done'"), "6");
	world_close(w);
	world_open(w);
	assert_false(w->targets[0].look);
	assert_int_equal(state_of(w, 0, 1)->s.outcome, OUTCOME_DONE);
	assert_int_equal(state_of(w, 0, 1)->s.attempt, 2);
	assert_int_equal(state_of(w, 0, 1)->s.rows_deleted, 10);
	assert_int_equal(state_of(w, 0, 1)->s.started, w->reports[1].started);
	assert_int_equal(state_of(w, 0, 1)->s.built, w->reports[1].finished);
	assert_int_equal(state_of(w, 0, 1)->s.request, 1);
	assert_string_equal(sql("select code from batchfs.state limit 1"), "c0de");
}

static void statements_are_what_is_sent(void **state)
{
	struct world *w = *state;
	struct error err = {0};
	auto_strbuf before = STRBUF_INIT, after = STRBUF_INIT;
	world_open(w);
	struct ordinal_range one = {day(1), day(2)};
	assert_int_equal(builder()->statements(w->store, 0, one, &before, &err), 0);
	assert_non_null(strstr(before.str, "-- the target"));
	world_prepare(w, 0);
	assert_int_equal(builder()->statements(w->store, 0, one, &after, &err), 0);
	assert_null(strstr(after.str, "--"));
	assert_non_null(strstr(
		after.str,
		"delete from \"out\".\"fct\" where ts >= TIMESTAMPTZ '2024-09-02 00:00:00.000000+00'"));
	/* In psql they do what the builder does. */
	sql("%s", after.str);
	sql("%s", after.str);
	assert_string_equal(sql("select count(*) from out.fct"), "10");
}

static void a_stale_attempt_writes_nothing(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(claim_days(w, 0, 0, 2, &c), 2);
	sql("update batchfs.state set attempt = attempt + 1 where window_start = '2024-09-01 00:00+00'");
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(w->outcomes[0], BUILD_STALE);
	assert_int_equal(w->outcomes[1], BUILD_DONE);
	assert_string_equal(sql("select count(*) from out.fct"), "10");
}

static void failing_sql_fails_alone(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	/* 22012, as the fence raises it. */
	world_model(w, 0, "fct",
		    "select ts, 1 / (extract(day from ts)::int - 2) as k, v from \"src\".\"events\"",
		    "events", "ts");
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 0, 3, &c), 3);
	assert_int_equal(w->outcomes[0], BUILD_DONE);
	assert_int_equal(w->outcomes[1], BUILD_FAILED);
	assert_int_equal(w->outcomes[2], BUILD_UNSTARTED);
	assert_string_equal(w->errors[1].sqlstate, "22012");
	assert_string_equal(w->errors[1].text, "division by zero");
	assert_int_equal(settle_day(w, 0, 1, c.attempt[1], SETTLE_FAILED), 0);
	assert_int_equal(settle_day(w, 0, 2, c.attempt[2], SETTLE_UNSTARTED), 0);
	assert_int_equal(build_days(w, 0, 2, 1, &c), 1);
	assert_int_equal(w->outcomes[2], BUILD_DONE);
	world_close(w);
	world_open(w);
	assert_int_equal(state_of(w, 0, 1)->s.outcome, OUTCOME_FAILED);
	assert_int_equal(state_of(w, 0, 1)->s.run, ROW_IDLE);
	assert_string_equal(state_of(w, 0, 1)->sqlstate, "22012");
	assert_string_equal(state_of(w, 0, 1)->message, "division by zero");
	assert_int_equal(state_of(w, 0, 1)->s.built, 0);
	/* A failure after a success: what was built is remembered. */
	sql("alter table out.fct add check (k <> 1) not valid");
	assert_int_equal(build_days(w, 0, 2, 1, &c), 1);
	assert_int_equal(w->outcomes[2], BUILD_FAILED);
	assert_int_equal(settle_day(w, 0, 2, c.attempt[0], SETTLE_FAILED), 0);
	assert_string_equal(
		sql("select outcome = 2 and built is not null and rows_inserted is null from batchfs.state"
		    " where window_start = '2024-09-03 00:00+00'"),
		"t");
	assert_string_equal(sql("select count(*) from out.fct"), "20");
}

static void second_statements_are_refused(void **state)
{
	struct world *w = *state;
	world_model(w, 0, "fct", "select ts, k, v from \"src\".\"events\"; commit; select 1", "events", "ts");
	world_open(w);
	assert_int_not_equal(w->targets[0].why_not.err, 0);
}

struct background {
	struct world *w;
	struct store_claim c;
	int result;
};

static void *build_in_background(void *arg)
{
	struct background *b = arg;
	b->result = build_claim(b->w, &b->c);
	return NULL;
}

/* Starts building two days of a model that sleeps, and waits until it does. */
static void start_sleeping(struct world *w, struct background *b, pthread_t *thread)
{
	world_model(w, 0, "fct", "select ts, k, v from \"src\".\"events\" where pg_sleep(600) is not null",
		    "events", "ts");
	world_open(w);
	world_prepare(w, 0);
	b->w = w;
	assert_int_equal(claim_days(w, 0, 0, 2, &b->c), 2);
	assert_int_equal(pthread_create(thread, NULL, build_in_background, b), 0);
	while (strcmp(sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep'"), "1") != 0)
		;
}

static void an_interrupted_batch_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct background b = {0};
	pthread_t thread;
	struct store_claim c;
	start_sleeping(w, &b, &thread);
	builder()->interrupt(w->worker);
	pthread_join(thread, NULL);
	assert_int_equal(b.result, 0);
	assert_int_equal(w->outcomes[0], BUILD_INTERRUPTED);
	assert_int_equal(w->outcomes[1], BUILD_UNSTARTED);
	assert_int_equal(settle_day(w, 0, 0, b.c.attempt[0], SETTLE_INTERRUPTED), 0);
	sql("create function public.pg_sleep(int) returns int immutable language sql as 'select 1'");
	sql("alter role postgres set search_path = public, pg_catalog");
	builder()->interrupt(w->worker);
	world_close(w);
	world_open(w);
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	assert_int_equal(w->outcomes[0], BUILD_DONE);
	assert_int_equal(c.attempt[0], 2);
	sql("alter role postgres reset all");
}

static void a_lost_connection_is_resolved(void **state)
{
	struct world *w = *state;
	struct background b = {0};
	pthread_t thread;
	start_sleeping(w, &b, &thread);
	sql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'");
	pthread_join(thread, NULL);
	assert_int_equal(w->outcomes[0], BUILD_PASSING);
	assert_string_equal(w->errors[0].sqlstate, "57P01");
	assert_int_equal(w->outcomes[1], BUILD_UNSTARTED);
	assert_int_equal(settle_day(w, 0, 0, b.c.attempt[0], SETTLE_REQUEUED), 0);
	assert_string_equal(sql("select run from batchfs.state order by window_start limit 1"), "2");
	assert_string_equal(sql("select outcome from batchfs.attempt where sqlstate = '57P01'"), "failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_run_is_built),
		WORLD_TEST(statements_are_what_is_sent),
		WORLD_TEST(a_stale_attempt_writes_nothing),
		WORLD_TEST(failing_sql_fails_alone),
		WORLD_TEST(second_statements_are_refused),
		WORLD_TEST(an_interrupted_batch_leaves_nothing),
		WORLD_TEST(a_lost_connection_is_resolved),
	};
	return server_run(tests);
}
