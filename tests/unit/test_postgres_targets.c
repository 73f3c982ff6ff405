/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: their types, rights, adoption. */
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

static void types_and_time_zones(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	sql("create table src.days as select ts::date as d, k from src.events;"
	    "create domain moment as timestamp; create table src.local as select (ts at time zone "
	    "'UTC')::moment as t, k"
	    " from src.events; alter role postgres set timezone = 'America/New_York';"
	    "alter role postgres set datestyle = 'SQL, DMY'; alter role postgres set synchronous_commit = "
	    "off");
	world_model(w, 1, "by_date", "select d, k from \"src\".\"days\"", "days", "d");
	world_model(w, 2, "by_local", "select t, k from \"src\".\"local\"", "local", "t");
	world_model(w, 3, "by_expression", "select t, k from \"src\".\"local\"", "local", "(t)::timestamp");
	world_open(w);
	for (int i = 0; i < 4; i++) {
		world_prepare(w, i);
		assert_int_equal(build_days(w, i, 0, 5, &c), 5);
		for (int n = 0; n < 5; n++) {
			assert_int_equal(w->outcomes[n], BUILD_DONE);
			assert_int_equal(w->reports[n].rows_inserted, 10);
		}
	}
	assert_int_equal(w->targets[0].event_time_type, TIME_TIMESTAMPTZ);
	assert_int_equal(w->targets[1].event_time_type, TIME_DATE);
	assert_int_equal(w->targets[2].event_time_type, TIME_TIMESTAMP);
	assert_int_equal(w->targets[3].event_time_type, TIME_TIMESTAMP);
	assert_string_equal(sql("select count(*) from out.by_date"), "50");
	world_close(w);
	world_open(w);
	assert_int_equal(state_of(w, 0, 4)->s.started > BEGIN + 5 * DAY, 1);
	sql("alter role postgres reset all");
}

static void unsupported_types_say_so(void **state)
{
	struct world *w = *state;
	sql("create table src.days as select ts::text as d, k from src.events; create schema out; create "
	    "view out.v as"
	    " select ts from src.events; create table src.local as select ts::date as d from src.events");
	world_model(w, 1, "by_text", "select d, k from \"src\".\"days\"", "days", "d");
	world_model(w, 2, "v", "select ts from \"src\".\"events\"", "events", "ts");
	world_model(w, 3, "by_hour", "select d from \"src\".\"local\"", "local", "d");
	w->models[3].batch_size = BATCH_HOUR;
	world_open(w);
	assert_int_equal(w->targets[0].why_not.err, 0);
	assert_non_null(
		strstr(w->targets[1].why_not.text, "event_time d of \"src\".\"days\" is of type text"));
	assert_non_null(strstr(w->targets[2].why_not.text, "\"out\".\"v\" is a view"));
	assert_non_null(strstr(w->targets[3].why_not.text, "is of type date"));
}

static void row_level_security_is_refused(void **state)
{
	struct world *w = *state;
	struct error err = {0};
	struct store_claim c;
	world_open(w);
	world_close(w);
	sql("drop role if exists app; create role app; create schema out; create table out.fct (ts "
	    "timestamptz, k int,"
	    " v text); grant usage on schema batchfs, out, src to app; grant select on src.events to app;"
	    " grant select, insert, update, delete on all tables in schema batchfs to app");
	w->config.role = "app";
	world_open(w);
	assert_int_equal(builder()->prepare(w->worker, 0, true, &w->targets[0], &err), -EACCES);
	assert_non_null(strstr(err.text, "GRANT SELECT, INSERT, DELETE ON \"out\".\"fct\" TO app"));
	sql("grant select, insert, delete on out.fct to app; alter table out.fct enable row level security;"
	    " create policy p on out.fct using (k < 5)");
	assert_int_equal(builder()->prepare(w->worker, 0, true, &w->targets[0], &err), -EACCES);
	assert_non_null(strstr(err.text, "row level security"));
	sql("alter table out.fct disable row level security");
	world_prepare(w, 0);
	sql("alter table out.fct enable row level security");
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	assert_int_equal(w->outcomes[0], BUILD_FAILED);
	assert_non_null(strstr(w->errors[0].text, "row level security"));
	world_close(w);
	sql("drop owned by app; drop role app");
}

static int done_days(struct world *w, slot model)
{
	int n = 0;
	for (int i = 0; i < BATCHES; i++)
		n += state_of(w, model, i)->known && state_of(w, model, i)->s.outcome == OUTCOME_DONE;
	return n;
}

static void adopts(struct world *w, const char *table_sql, bool adopt, int days)
{
	struct error err = {0};
	sql("drop schema if exists out cascade; create schema out; %s", table_sql);
	world_open(w);
	assert_int_equal(w->targets[0].look, adopt);
	if (adopt) {
		assert_int_equal(builder()->look(w->worker, 0, LOOK_FIRST, &w->sink, &err), 0);
		assert_int_equal(w->forgotten, 1);
		assert_int_equal(done_days(w, 0), days);
	}
	world_close(w);
	memset(w->states, 0, sizeof w->states);
	world_open(w);
	assert_false(w->targets[0].look);
	assert_int_equal(done_days(w, 0), days);
	world_close(w);
	memset(w->states, 0, sizeof w->states);
	w->forgotten = 0;
}

static void what_holds_rows_is_adopted(void **state)
{
	struct world *w = *state;
#define ROWS(where)                                                                                          \
	"create table out.fct as select * from src.events where extract(day from ts) in " where ";"
#define STRAY                                                                                                \
	"insert into out.fct values ('2020-01-01'), ('2030-01-01'), ('infinity'), ('-infinity'), (null);"
#define INDEX "create index on out.fct (ts);"
	adopts(w, ROWS("(0)"), false, 0);
	adopts(w, ROWS("(2)"), true, 1);
	adopts(w, ROWS("(1, 3, 5)") STRAY, true, 3);
	adopts(w, ROWS("(1, 3, 4, 5)") INDEX STRAY, true, 4);
	/* Made anew, and empty: nothing is built any more. */
	adopts(w, ROWS("(0)") INDEX, true, 0);
	adopts(w,
	       ROWS("(1)") "alter table out.fct alter ts type timestamp using ts at time zone 'UTC';" INDEX,
	       true, 1);
	adopts(w, ROWS("(1, 2)") "alter table out.fct alter ts type date using ts::date;" INDEX, true, 2);
	adopts(w, ROWS("(2)") "alter table out.fct alter ts type date using ts::date;", true, 1);
	assert_string_equal(sql("select bool_and(adopted and attempt = 0) from batchfs.state"), "t");
}

static void a_new_table_is_not_built_into(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	struct error err = {0};
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 0, 2, &c), 2);
	sql("create table out.other (like out.fct); drop table out.fct; alter table out.other rename to fct");
	assert_int_equal(claim_days(w, 0, 2, 1, &c), 1);
	assert_int_equal(build_claim(w, &c), -EAGAIN);
	assert_int_equal(w->outcomes[2], BUILD_UNSTARTED);
	assert_int_equal(settle_day(w, 0, 2, c.attempt[0], SETTLE_UNSTARTED), 0);
	world_prepare(w, 0);
	assert_true(w->targets[0].look);
	assert_non_null(strstr(w->targets[0].notes, "CREATE INDEX ON \"out\".\"fct\" (ts)"));
	assert_int_equal(builder()->look(w->worker, 0, LOOK_FIRST, &w->sink, &err), 0);
	assert_int_equal(done_days(w, 0), 0);
	assert_int_equal(build_days(w, 0, 2, 1, &c), 1);
	assert_int_equal(w->outcomes[2], BUILD_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(types_and_time_zones),	   WORLD_TEST(unsupported_types_say_so),
		WORLD_TEST(row_level_security_is_refused), WORLD_TEST(what_holds_rows_is_adopted),
		WORLD_TEST(a_new_table_is_not_built_into),
	};
	return server_run(tests);
}
