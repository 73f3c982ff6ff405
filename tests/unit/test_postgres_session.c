/* SPDX-License-Identifier: Apache-2.0 */
/* The session of a model's SQL: what the role gets, nothing of another model's, and windows that lose no
 * rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/postgres/sql.h"
#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_proxy.h"
#include "tests/unit/postgres_world.h"

/* What a session can be told, and what can be left in it. */
#define SEEN                                                                                                                 \
	"pg_catalog.concat_ws(' ', current_setting('search_path'), current_setting('statement_timeout'),"                    \
	" current_setting('DateStyle'), current_setting('lock_timeout'), nullif(current_setting('batchfs.left', true), '')," \
	" current_user, session_user, to_regclass('pg_temp.left_over') is null,"                                             \
	" (select count(*) from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()),"     \
	" (select count(*) from pg_catalog.pg_listening_channels()), current_setting('row_security'))"

static void make_spoiler(void)
{
	sql("create role spoiled superuser");
	sql("create function src.spoil() returns boolean language plpgsql volatile as $$ begin"
	    " perform set_config('search_path', 'src', false), set_config('statement_timeout', '61s', false),"
	    " set_config('DateStyle', 'German', false), set_config('lock_timeout', '3s', false),"
	    " set_config('batchfs.left', 'over', false), set_config('row_security', 'off', false),"
	    " set_config('role', 'spoiled', false), pg_advisory_lock(42);"
	    " create temp table if not exists left_over (); listen left_over; return true; end $$");
}

static void what_one_model_does_to_its_session_reaches_no_other(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	make_spoiler();
	world_model(w, 0, "fct", "select ts, k from \"src\".\"events\" where src.spoil()", "events", "ts");
	world_model(w, 1, "other", "select ts, " SEEN " as seen from \"src\".\"events\" where k = 0",
		    "events", "ts");
	world_open(w);
	world_prepare(w, 1);
	assert_int_equal(build_days(w, 1, 0, 1, &c), 1);
	world_prepare(w, 0);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(build_days(w, 0, n, 1, &c), 1);
		assert_int_equal(w->outcomes[n], BUILD_DONE);
		/* The preparing of another model, too, is not in what was left. */
		if (n)
			world_prepare(w, 1);
		assert_int_equal(build_days(w, 1, n + 1, 1, &c), 1);
		assert_int_equal(w->outcomes[n + 1], BUILD_DONE);
	}
	assert_string_equal(sql("select count(*) || ' ' || count(distinct seen) from out.other"), "3 1");
	sql("drop role spoiled");
}

/* A batch that has ended badly leaves nothing to the next of its own model. */
static void a_function_that_deallocates_ours_is_survived(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	sql("create function src.forget() returns boolean language plpgsql volatile as"
	    " 'begin if not exists (select from src.once) then return true; end if;"
	    "  execute ''deallocate all''; return true; end'; create table src.once (); insert into src.once default values");
	world_model(w, 0, "fct", "select ts, k from \"src\".\"events\" where src.forget()", "events", "ts");
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	assert_int_equal(w->outcomes[0], BUILD_PASSING);
	assert_int_equal(settle_day(w, 0, 0, c.attempt[0], SETTLE_REQUEUED), 0);
	sql("delete from src.once");
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	assert_int_equal(w->outcomes[0], BUILD_DONE);
}

static void the_session_is_the_roles(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	sql("do $$ begin execute format('alter database %%I set timezone = ''America/New_York''', current_database());"
	    " execute format('alter database %%I set search_path = src, public', current_database()); end $$");
	/* `events` is found by the role's path, too. */
	world_model(
		w, 0, "fct",
		"select ts, k, ts::date as d, ts::text as written, date_trunc('day', ts) as cut, extract(hour from ts) "
		"as h from \"src\".\"events\" where exists (select from events)",
		"events", "ts");
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 0, 5, &c), 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(w->outcomes[i], BUILD_DONE);
	assert_string_equal(
		sql("set timezone = 'America/New_York'; select count(*) from (select ts, k, ts::date, ts::text,"
		    " date_trunc('day', ts), extract(hour from ts) from src.events intersect select * from out.fct) x"),
		"50");
}

static void fails_outside(struct world *w, const char *zone)
{
	struct store_claim c;
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 1, 2, &c), 2);
	assert_int_equal(w->outcomes[1], BUILD_FAILED);
	assert_int_equal(w->outcomes[2], BUILD_UNSTARTED);
	assert_string_equal(w->errors[1].sqlstate, "44000");
	assert_non_null(strstr(w->errors[1].text, "2 rows that the query yields have no event_time"));
	assert_int_equal(strstr(w->errors[1].text, "time zone") != NULL, zone != NULL);
	if (zone)
		assert_non_null(strstr(w->errors[1].text, zone));
	assert_string_equal(sql("select count(*) from out.fct"), "0");
	assert_int_equal(settle_day(w, 0, 1, c.attempt[0], SETTLE_FAILED), 0);
	assert_int_equal(settle_day(w, 0, 2, c.attempt[1], SETTLE_UNSTARTED), 0);
	/* The connection is as good as before. */
	sql("delete from src.events where k in (1, 2)");
	assert_int_equal(build_days(w, 0, 1, 1, &c), 1);
	assert_int_equal(w->outcomes[1], BUILD_DONE);
	assert_int_equal(w->reports[1].rows_outside, 0);
}

static const char some_outside[] =
	"select case k when 1 then null when 2 then ts - interval '1 day' else ts end as ts,"
	" k, v from \"src\".\"events\" -- the end";

static void rows_outside_fail_where_all_is_filtered(void **state)
{
	struct world *w = *state;
	world_model(w, 0, "fct", some_outside, "events", "ts");
	fails_outside(w, NULL);
}

static void the_zone_is_named_where_it_may_be_why(void **state)
{
	struct world *w = *state;
	sql("do $$ begin execute format('alter database %%I set timezone = ''Asia/Tokyo''', current_database()); end $$");
	world_model(w, 0, "fct", some_outside, "events", "ts");
	fails_outside(w, "Asia/Tokyo");
}

static void counts_outside(struct world *w)
{
	struct store_claim c;
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 1, 2, &c), 2);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(w->outcomes[i], BUILD_DONE);
		assert_int_equal(w->reports[i].rows_inserted, 8);
		assert_int_equal(w->reports[i].rows_outside, 2);
	}
	assert_string_equal(sql("select sum(rows_outside) from batchfs.state"), "4");
}

static void rows_outside_are_dropped_where_the_config_says_so(void **state)
{
	struct world *w = *state;
	world_model(w, 0, "fct", some_outside, "events", "ts");
	w->models[0].outside_dropped = true;
	counts_outside(w);
}

static void rows_outside_are_another_batchs_where_something_is_not_filtered(void **state)
{
	struct world *w = *state;
	struct input two[2];
	sql("create table src.local (one int); insert into src.local values (1)");
	world_model(w, 1, "other", "select 1", "local", "ts");
	world_model(w, 0, "fct",
		    "select case k when 1 then null when 2 then ts - interval '1 day' else ts end as ts, k, v"
		    " from \"src\".\"events\" cross join \"src\".\"local\"",
		    "events", "ts");
	two[0] = w->inputs[0];
	two[1] = w->inputs[1];
	two[1].filtered = false;
	two[1].event_time = NULL;
	w->models[0].inputs = two;
	w->models[0].n_inputs = 2;
	w->n_models = 1;
	counts_outside(w);
}

/* The role's policy decides what the model reads; of its own table, which has one too, nothing is left
 * behind. */
static void row_level_security_is_the_roles(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	sql("create role builder; create schema out authorization builder;"
	    "grant all on schema src to builder; grant all on all tables in schema src to builder;"
	    "do $$ begin execute format('grant all on database %%I to builder', current_database()); end $$;"
	    "alter table src.events enable row level security; create policy few on src.events using (k < 5)");
	w->config.role = "builder";
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	assert_int_equal(w->outcomes[0], BUILD_DONE);
	assert_int_equal(w->reports[0].rows_inserted, 5);
	sql("alter table out.fct enable row level security; create policy all_of_it on out.fct using (k = 0)");
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	assert_int_equal(w->outcomes[0], BUILD_DONE);
	assert_int_equal(w->reports[0].rows_deleted, 5);
	assert_int_equal(w->reports[0].rows_inserted, 5);
	/* Now the policy would hide rows of its own from the DELETE. */
	sql("alter table out.fct force row level security");
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	assert_int_equal(w->outcomes[0], BUILD_FAILED);
	assert_string_equal(w->errors[0].sqlstate, "42501");
	assert_string_equal(sql("select count(*) from out.fct"), "5");
	world_close(w);
	sql("drop owned by builder cascade; drop role builder");
}

/* The first batch of a run is sent before it is known what the table looks like now. */
static void a_table_that_has_changed_between_two_runs(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	static const char *const changes[] = {
		"alter table out.fct drop column v, add column v text",
		"alter table out.fct alter ts type timestamp using ts at time zone 'UTC'",
		"alter table src.events alter ts type timestamp using ts at time zone 'UTC'",
		"alter table out.fct enable row level security",
	};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		sql("%s", changes[i]);
		assert_int_equal(build_days(w, 0, 0, 2, &c), 2);
		for (int n = 0; n < 2; n++) {
			assert_int_equal(w->outcomes[n], BUILD_DONE);
			assert_int_equal(w->reports[n].rows_deleted, n == 0 || i ? 10 : 0);
			assert_int_equal(w->reports[n].rows_inserted, 10);
		}
	}
	assert_string_equal(sql("select count(*) from out.fct"), "20");
	sql("alter table out.fct rename to old; create table out.fct (like out.old)");
	assert_int_equal(claim_days(w, 0, 0, 2, &c), 2);
	assert_int_equal(build_claim(w, &c), -EAGAIN);
	assert_int_equal(w->outcomes[0], BUILD_UNSTARTED);
	assert_string_equal(sql("select count(*) from out.fct"), "0");
	assert_string_equal(sql("select count(*) from out.old"), "20");
}

/* Rows never stay without their state. */
static void a_trigger_that_deletes_the_state_fails_the_batch(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_open(w);
	world_prepare(w, 0);
	sql("create function out.spoil() returns trigger language plpgsql as 'begin delete from batchfs.state; return null;"
	    " end'; create trigger spoil after insert on out.fct execute function out.spoil()");
	assert_int_equal(build_days(w, 0, 0, 2, &c), 2);
	assert_int_equal(w->outcomes[0], BUILD_FAILED);
	assert_non_null(strstr(w->errors[0].text, "trigger"));
	assert_int_equal(w->outcomes[1], BUILD_UNSTARTED);
	assert_string_equal(sql("select count(*) from out.fct"), "0");
	assert_int_equal(settle_day(w, 0, 0, c.attempt[0], SETTLE_FAILED), 0);
}

static void refuses(struct world *w, const char *words)
{
	struct error err = {0};
	assert_int_equal(engine_postgres.store->open(&w->config, &w->store, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, words));
	engine_postgres.store->close(w->store);
	w->store = NULL;
}

/* Whoever gets its session next would have what was set there. */
static void a_pooler_is_refused_and_nothing_is_set_through_it(void **state)
{
	struct world *w = *state;
	proxy_start();
	proxy_pooled();
	refuses(w, "pooler");
	proxy_stop();
	static const char alive[] = SQL_SESSION_ALIVE, checks[] = SQL_SESSION_CHECKS_CLIENT;
	static const char seen[] =
		"select concat_ws(' ', current_setting('idle_in_transaction_session_timeout'),"
		" current_setting('client_connection_check_interval', true))";
	char unset[64], after[64];
	snprintf(unset, sizeof unset, "%s", sql("reset all; %s", seen));
	snprintf(after, sizeof after, "%s",
		 sql("prepare a (int) as %s; prepare c (int) as %s; execute a(0); execute c(0); %s", alive,
		     checks, seen));
	assert_string_equal(after, unset);
	snprintf(after, sizeof after, "%s",
		 sql("execute a(pg_backend_pid()); execute c(pg_backend_pid()); %s", seen));
	assert_string_not_equal(after, unset);
	sql("deallocate all; reset all");
}

/* As Citus has it on each of its nodes. */
static void a_worker_node_of_citus_is_refused(void **state)
{
	struct world *w = *state;
	sql("set allow_system_table_mods = on; create table pg_catalog.pg_dist_local_group (groupid int);"
	    "insert into pg_catalog.pg_dist_local_group values (3); reset allow_system_table_mods");
	refuses(w, "worker node");
	sql("set allow_system_table_mods = on; update pg_catalog.pg_dist_local_group set groupid = 0;"
	    " reset allow_system_table_mods");
	world_open(w);
}

#define TEST(f) WORLD_TEST(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_one_model_does_to_its_session_reaches_no_other),
		TEST(a_function_that_deallocates_ours_is_survived),
		TEST(the_session_is_the_roles),
		TEST(rows_outside_fail_where_all_is_filtered),
		TEST(the_zone_is_named_where_it_may_be_why),
		TEST(rows_outside_are_dropped_where_the_config_says_so),
		TEST(rows_outside_are_another_batchs_where_something_is_not_filtered),
		TEST(row_level_security_is_the_roles),
		TEST(a_table_that_has_changed_between_two_runs),
		TEST(a_trigger_that_deletes_the_state_fails_the_batch),
		TEST(a_pooler_is_refused_and_nothing_is_set_through_it),
		TEST(a_worker_node_of_citus_is_refused),
	};
	return server_run(tests);
}
