/* SPDX-License-Identifier: Apache-2.0 */
/* The PostgreSQL store against a private server. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "backend/batch_state.h"
#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

static const struct store_ops *store(void)
{
	return engine_postgres.store;
}

/* Another mount of the same warehouse. */
static struct world *second_mount(void)
{
	struct world *w = calloc(1, sizeof *w);
	world_init(w);
	world_open(w);
	return w;
}

static void follow(struct world *w, int ms)
{
	struct error err = {0};
	if (store()->follow(w->store, ms, &w->sink, &err))
		fail_msg("%s", err.text);
}

static void request_is_recorded_and_loaded(void **state)
{
	struct world *w = *state;
	world_open(w);
	int64_t first, second;
	assert_int_equal(request_days(w, 0, 0, 3, -1, 0, &first), 0);
	assert_int_equal(request_days(w, 0, 2, 5, -1, 0, &second), 0);
	assert_int_equal(second, first + 1);
	world_close(w);
	world_open(w);
	assert_int_equal(w->n_requests, 2);
	assert_int_equal(w->last_request.seq, second);
	assert_int_equal(w->last_request.batches.first, day(2));
	assert_int_equal(w->last_request.batches.end, day(5));
	assert_int_equal(w->last_request.uid, 7);
	assert_true(w->last_request.open);
}

static void same_uuid_counts_once(void **state)
{
	struct world *w = *state;
	world_open(w);
	struct error err = {0};
	struct store_request q = {.uuid = {1, 2, 3},
				  .batches = {day(0), day(1)},
				  .expected = -1,
				  .command = "a\xff",
				  .reason = "\xc3"};
	struct store_request again = q;
	assert_int_equal(store()->request(w->store, &q, 1, NULL, &err), 0);
	assert_int_equal(store()->request(w->store, &again, 1, NULL, &err), 0);
	assert_int_equal(q.id, again.id);
	assert_int_equal(q.seq, again.seq);
	assert_string_equal(sql("select count(*) from batchfs.request"), "1");
	assert_string_equal(sql("select command || reason from batchfs.request"), "a??");
	struct store_request reason = {.uuid = {1, 2, 3}, .kind = REQUEST_REASON, .reason = "late data"};
	assert_int_equal(store()->request(w->store, &reason, 1, NULL, &err), 0);
	assert_int_equal(reason.result, 0);
	assert_string_equal(sql("select reason from batchfs.request"), "late data");
	reason.uuid[0] = 9;
	assert_int_equal(store()->request(w->store, &reason, 1, NULL, &err), 0);
	assert_int_equal(reason.result, -ENOENT);
}

static void retry_of_a_failure_is_won_once(void **state)
{
	struct world *w = *state;
	world_open(w);
	struct store_claim c;
	assert_int_equal(claim_days(w, 0, 2, 1, &c), 1);
	assert_int_equal(settle_day(w, 0, 2, c.attempt[0], SETTLE_FAILED), 0);
	assert_int_equal(request_days(w, 0, 2, 3, BATCH_FAILED, c.attempt[0] + 1, NULL), -ENOENT);
	assert_int_equal(request_days(w, 0, 2, 3, BATCH_DONE, c.attempt[0], NULL), -ENOENT);
	assert_int_equal(request_days(w, 0, 2, 3, BATCH_FAILED, c.attempt[0], NULL), 0);
	assert_int_equal(request_days(w, 0, 2, 3, BATCH_FAILED, c.attempt[0], NULL), -ENOENT);
	assert_int_equal(request_days(w, 0, 2, 3, BATCH_QUEUED, c.attempt[0], NULL), 0);
	assert_int_equal(request_days(w, 0, 3, 4, BATCH_PENDING, 0, NULL), 0);
	assert_int_equal(request_days(w, 0, 3, 4, BATCH_PENDING, 0, NULL), -ENOENT);
}

static void claims_grant_once(void **state)
{
	struct world *w = *state;
	world_open(w);
	struct world *other = second_mount();
	struct store_claim a, b;
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 4, -1, 0, &seq), 0);
	assert_int_equal(claim_days(w, 0, 1, 2, &a), 2);
	assert_int_equal(a.served, seq);
	assert_int_equal(claim_days(other, 0, 0, 4, &b), 2);
	assert_int_equal(b.attempt[1], 0);
	assert_int_equal(b.attempt[2], 0);
	assert_int_equal(settle_day(w, 0, 1, a.attempt[0] + 1, SETTLE_FAILED), -ESTALE);
	assert_int_equal(settle_day(w, 0, 1, a.attempt[0], SETTLE_UNSTARTED), 0);
	assert_int_equal(settle_day(w, 0, 1, a.attempt[0], SETTLE_UNSTARTED), -ESTALE);
	assert_string_equal(sql("select count(*) from batchfs.attempt where outcome in ('failed', 'done')"),
			    "0");
	/* What was served is not granted, what was put back is. */
	struct store_claim c = {.first = day(0), .count = 4, .request = 0, .wanted = seq, .started = 1};
	struct error err = {0};
	assert_int_equal(settle_day(other, 0, 0, b.attempt[0], SETTLE_FAILED), 0);
	assert_int_equal(store()->claim(other->store, &c, 1, &err), 0);
	assert_int_equal(c.attempt[0], 0);
	assert_int_equal(c.attempt[1], a.attempt[0] + 1);
	assert_string_equal(sql("select request from batchfs.state order by window_start offset 1 limit 1"),
			    "1");
	world_close(other);
	free(other);
	assert_string_equal(sql("select count(*) from batchfs.state where run = 2"), "2");
	assert_string_equal(sql("select count(*) from batchfs.owner"), "1");
}

static void a_claim_waits_for_nobody(void **state)
{
	struct world *w = *state;
	world_open(w);
	sql("begin");
	sql("select from batchfs.model for update");
	struct store_claim c;
	assert_int_equal(claim_days(w, 0, 0, 2, &c), 0);
	sql("commit");
	assert_int_equal(claim_days(w, 0, 0, 2, &c), 2);
}

static void mounts_follow_each_other(void **state)
{
	struct world *w = *state;
	world_open(w);
	struct world *other = second_mount();
	other->config.read_only = true;
	assert_int_equal(request_days(w, 0, 0, 2, -1, 0, NULL), 0);
	while (other->n_requests == 0)
		follow(other, 1000);
	struct store_claim c;
	world_prepare(w, 0);
	assert_int_equal(claim_days(w, 0, 0, 2, &c), 2);
	while (!state_of(other, 0, 1)->known) {
		follow(w, 0);
		follow(other, 1000);
	}
	assert_int_equal(state_of(other, 0, 1)->s.run, ROW_RUNNING);
	assert_int_equal(build_claim(w, &c), 0);
	while (state_of(other, 0, 1)->s.run == ROW_RUNNING) {
		follow(w, 0);
		follow(other, 1000);
	}
	assert_int_equal(state_of(other, 0, 1)->s.outcome, OUTCOME_DONE);
	assert_int_equal(state_of(other, 0, 1)->s.rows_inserted, 10);
	assert_int_equal(state_of(other, 0, 1)->s.built, w->reports[1].finished);
	/* No echo of one's own. */
	assert_false(state_of(w, 0, 1)->known);
	assert_int_equal(w->n_requests, 0);
	int seen = other->n_requests;
	follow(other, 1);
	assert_int_equal(other->n_requests, seen);
	other->config.read_only = false;
	world_close(other);
	free(other);
}

/* After its connection was ended: until the next one stands. */
static void until_connected(struct world *w)
{
	struct error err = {0};
	while (store()->follow(w->store, 10, &w->sink, &err))
		;
}

/* Ends the sessions of a mount's control connection, as kill -9 of it would. */
static void kill_control(int64_t owner)
{
	sql("select count(pg_terminate_backend(pid)) from pg_stat_activity"
	    " where application_name = 'batchfs:%016llx:control'",
	    (long long)owner);
}

static void the_dead_are_swept(void **state)
{
	struct world *w = *state;
	world_open(w);
	for (int i = 1; i <= 4; i++) {
		struct world *dead = second_mount();
		struct store_claim c;
		assert_int_equal(claim_days(dead, 0, 3, 1, &c), 1);
		int64_t owner = strtoll(sql("select owner from batchfs.state"), NULL, 10);
		state_of(w, 0, 3)->known = false;
		kill_control(owner);
		while (!state_of(w, 0, 3)->known || state_of(w, 0, 3)->s.run == ROW_RUNNING)
			follow(w, 1000);
		assert_int_equal(state_of(w, 0, 3)->s.run, i < 4 ? ROW_REQUEUED : ROW_IDLE);
		until_connected(dead);
		assert_int_equal(settle_day(dead, 0, 3, c.attempt[0], SETTLE_FAILED), -ESTALE);
		world_close(dead);
		free(dead);
	}
	assert_int_equal(state_of(w, 0, 3)->s.outcome, OUTCOME_FAILED);
	assert_non_null(strstr(state_of(w, 0, 3)->message, "interrupted 4 times"));
	assert_string_equal(sql("select count(*) || ' ' || count(message) from batchfs.attempt where outcome "
				"= 'interrupted'"),
			    "4 1");
}

static void a_lost_session_does_not_lose_its_batches(void **state)
{
	struct world *w = *state;
	world_open(w);
	struct world *other = second_mount();
	struct store_claim c;
	assert_int_equal(claim_days(w, 0, 3, 1, &c), 1);
	kill_control(strtoll(sql("select owner from batchfs.state"), NULL, 10));
	until_connected(w);
	follow(other, 1100);
	follow(other, 1100);
	assert_string_equal(sql("select run from batchfs.state"), "1");
	assert_int_equal(settle_day(w, 0, 3, c.attempt[0], SETTLE_INTERRUPTED), 0);
	world_close(other);
	free(other);
}

static void a_server_that_hangs_is_given_up(void **state)
{
	struct world *w = *state;
	w->config.timeout_s = 1;
	world_open(w);
	pid_t pid = (pid_t)atoi(
		sql("select pid from pg_stat_activity where application_name like 'batchfs:%%:control'"
		    " and datname = current_database()"));
	assert_int_equal(kill(pid, SIGSTOP), 0);
	struct store_request q = {.uuid = {5}, .batches = {day(0), day(1)}, .expected = -1, .at = 1};
	struct error err = {0};
	assert_int_equal(store()->request(w->store, &q, 1, NULL, &err), -ETIMEDOUT);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(store()->request(w->store, &q, 1, NULL, &err), 0);
	assert_string_equal(sql("select count(*) from batchfs.request"), "1");
	assert_string_equal(sql("select seq from batchfs.model"), "1");
	store()->abandon(w->store);
	assert_int_equal(store()->request(w->store, &q, 1, NULL, &err), -ECANCELED);
	assert_int_equal(store()->follow(w->store, 60000, &w->sink, &err), -ECANCELED);
}

static void retired_requests_are_not_loaded(void **state)
{
	struct world *w = *state;
	world_open(w);
	int64_t one = 1;
	struct error err = {0};
	assert_int_equal(request_days(w, 0, 0, 1, -1, 0, NULL), 0);
	assert_int_equal(request_days(w, 0, 1, 2, -1, 0, NULL), 0);
	assert_int_equal(store()->retire(w->store, &one, 1, &err), 0);
	world_close(w);
	world_open(w);
	assert_int_equal(w->n_requests, 1);
}

static void read_only_writes_nothing(void **state)
{
	struct world *w = *state;
	w->config.read_only = true;
	sql("create schema out; create table out.fct as select * from src.events");
	world_open(w);
	assert_true(w->targets[0].exists);
	assert_true(w->targets[0].look);
	struct error err = {0};
	assert_int_equal(engine_postgres.builder->look(w->worker, 0, LOOK_FIRST, &w->sink, &err), 0);
	assert_int_equal(state_of(w, 0, 4)->s.outcome, OUTCOME_DONE);
	follow(w, 1);
	struct store_request q = {.batches = {day(0), day(1)}, .expected = -1};
	assert_int_equal(store()->request(w->store, &q, 1, NULL, &err), -EROFS);
	world_close(w);
	assert_string_equal(sql("select count(*) from pg_namespace where nspname = 'batchfs'"), "0");
}

static void missing_rights_name_their_grant(void **state)
{
	struct world *w = *state;
	struct error err = {0};
	sql("drop role if exists app; create role app; grant app to postgres");
	w->config.role = "app";
	assert_int_equal(store()->open(&w->config, &w->store, &err), -EACCES);
	assert_non_null(strstr(err.text, "GRANT CREATE ON DATABASE"));
	store()->close(w->store);
	w->config.role = NULL;
	world_open(w);
	world_close(w);
	w->config.role = "app";
	assert_int_equal(store()->open(&w->config, &w->store, &err), -EACCES);
	assert_non_null(strstr(err.text, "GRANT USAGE ON SCHEMA batchfs TO app"));
	store()->close(w->store);
	sql("grant usage on schema batchfs to app");
	assert_int_equal(store()->open(&w->config, &w->store, &err), -EACCES);
	assert_non_null(strstr(
		err.text, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA batchfs TO app"));
	store()->close(w->store);
	w->store = NULL;
	sql("grant select, insert, update, delete on all tables in schema batchfs to app");
	world_open(w);
	assert_int_equal(request_days(w, 0, 0, 1, -1, 0, NULL), 0);
	assert_int_equal(engine_postgres.builder->prepare(w->worker, 0, true, &w->targets[0], &err), -EACCES);
	assert_non_null(strstr(err.text, "GRANT CREATE ON DATABASE"));
	world_close(w);
	sql("drop owned by app; drop role app");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(request_is_recorded_and_loaded),
		WORLD_TEST(same_uuid_counts_once),
		WORLD_TEST(retry_of_a_failure_is_won_once),
		WORLD_TEST(claims_grant_once),
		WORLD_TEST(a_claim_waits_for_nobody),
		WORLD_TEST(mounts_follow_each_other),
		WORLD_TEST(the_dead_are_swept),
		WORLD_TEST(a_lost_session_does_not_lose_its_batches),
		WORLD_TEST(a_server_that_hangs_is_given_up),
		WORLD_TEST(retired_requests_are_not_loaded),
		WORLD_TEST(read_only_writes_nothing),
		WORLD_TEST(missing_rights_name_their_grant),
	};
	return server_run(tests);
}
