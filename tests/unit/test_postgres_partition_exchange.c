/* SPDX-License-Identifier: Apache-2.0 */
/* A partition is exchanged by a plan of the run's beginning: what others do to it since is not lost with it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

#define ROWS "10000"

/* What a partition has, of which the plan writes statements or which keeps it from being exchanged. */
#define HAS                                                                                                  \
	"select concat_ws('; ', c.oid, c.relowner, c.relreplident, c.relrowsecurity, c.reloptions, (select " \
	"string_agg(x::text, ',' order by x::text) from aclexplode(c.relacl) x), (select "                   \
	"string_agg(concat_ws(' ', attname, attstattarget, attacl), ',' order by attname) from "             \
	"pg_attribute where attrelid = c.oid and attnum > 0), (select string_agg(description, ',' order by " \
	"1) from pg_description where objoid = c.oid), (select string_agg(pg_get_indexdef(indexrelid), ','"  \
	" order by 1) from pg_index where indrelid = c.oid), (select string_agg(tgname, ',' order by 1) "    \
	"from pg_trigger where tgrelid = c.oid), (select string_agg(prpubid::text, ',') from "               \
	"pg_publication_rel where prrelid = c.oid), (select string_agg(stxname, ',') from "                  \
	"pg_statistic_ext where stxrelid = c.oid)) from pg_class c where c.oid = 'out.p2'::regclass"

/* The mount is open, 2024-09-02 was built, and its query waits for whoever holds the advisory lock 77. */
static int large(void **state)
{
	world_fresh(state);
	struct world *w = *state;
	struct store_claim c;
	sql("truncate src.events; insert into src.events select timestamptz '2024-09-02 00:00+00' + k * interval '8 seconds', k, 'v' "
	    "from generate_series(1, " ROWS ") k;"
	    "create schema out; create table out.fct (ts timestamptz, k int, v text) partition by range (ts);"
	    "create table out.p2 partition of out.fct for values from ('2024-09-02 00:00+00') to "
	    "('2024-09-03 00:00+00'); create index on out.fct (ts);"
	    "create table out.fired (n bigint); create function out.fire() returns trigger language plpgsql as "
	    "$$ begin insert into out.fired values (1); return null; end $$;"
	    "do $$ begin create role somebody; exception when duplicate_object then null; end $$;"
	    "grant create on schema out to somebody");
	world_model(
		w, 0, "fct",
		"select ts, k, v from \"src\".\"events\" cross join (select pg_advisory_xact_lock_shared(77)) x",
		"events", "ts");
	world_open(w);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 1, 1, &c), 1);
	assert_int_equal(w->outcomes[1], BUILD_DONE);
	return 0;
}

struct change {
	struct world *w;
	const char *sql;
	bool is_made; /* once its batch has started, which is when the plan stands and no table beside is made
		       */
	char has[2000]; /* the partition, once it was changed */
	enum build_outcome outcome;
	int64_t deleted, inserted;
	struct error why;
};

static void change(struct change *x)
{
	sql("%s", x->sql);
	snprintf(x->has, sizeof x->has, "%s", sql(HAS));
}

static void see(void *ctx, const struct build_report *r)
{
	struct change *x = ctx;
	if (r->outcome == BUILD_STARTED && x->is_made)
		change(x);
	if (r->outcome == BUILD_STARTED)
		return;
	x->outcome = r->outcome;
	x->deleted = r->rows_deleted;
	x->inserted = r->rows_inserted;
	x->why = r->err ? *r->err : (struct error){0};
}

static void *build(void *ctx)
{
	struct change *x = ctx;
	struct build_run run = {.model = 0, .first = day(1), .count = 1, .request = 1};
	struct store_claim c = {.model = 0, .first = day(1), .count = 1, .request = 1, .wanted = INT64_MAX};
	struct error err = {0};
	c.started = clock_now_us(&x->w->clock);
	x->outcome = BUILD_UNSTARTED;
	if (engine_postgres.store->claim(x->w->store, &c, 1, &err) == 0) {
		memcpy(run.attempt, c.attempt, sizeof run.attempt);
		engine_postgres.builder->build(x->w->worker, &run, see, x, &err);
	}
	return NULL;
}

static void must_be_done(const struct change *x)
{
	if (x->outcome != BUILD_DONE)
		fail_msg("%s: %s", x->sql, x->why.text);
	assert_int_equal(x->inserted, atoi(ROWS));
	assert_int_equal(x->deleted, x->inserted);
}

/* While the rows of the table beside are computed. */
static void change_filled(struct change *x)
{
	pthread_t thread;
	struct stranger *holder = holder_session("do $$ begin perform pg_advisory_lock(77); end $$");
	assert_int_equal(pthread_create(&thread, NULL, build, x), 0);
	while (strcmp(sql("select count(*) from pg_locks where locktype = 'advisory' and objid = 77 and not granted"),
		      "1") != 0)
		;
	change(x);
	stranger_end(holder);
	pthread_join(thread, NULL);
}

/* The partition is the one it was, with all that it was given; its rows are new, and nothing lies about. */
static void must_be_kept(const struct change *x)
{
	must_be_done(x);
	if (strcmp(sql(HAS), x->has) != 0)
		fail_msg("%s: %s, was %s", x->sql, sql(HAS), x->has);
	assert_string_equal(sql("select count(*) from out.fct"), ROWS);
	assert_string_equal(
		sql("select count(*) from pg_class where relname like 'batchfs\\_%%' and relkind = 'r' "
		    "and relnamespace = 'out'::regnamespace"),
		"0");
}

static const struct {
	const char *make, *undo;
	bool waits; /* for who reads the partition, as the table beside has been made from it */
} changes[] = {
	{"grant insert on out.p2 to public", "revoke insert on out.p2 from public"},
	{"grant select (k) on out.p2 to public", "revoke select (k) on out.p2 from public"},
	{"comment on table out.p2 is 'the second'", "comment on table out.p2 is null"},
	{"comment on column out.p2.k is 'which'", "comment on column out.p2.k is null"},
	{"alter table out.p2 alter k set statistics 7", "alter table out.p2 alter k set statistics -1"},
	{"alter table out.p2 set (fillfactor = 70)", "alter table out.p2 reset (fillfactor)"},
	{"create index own on out.p2 (v)", "drop index out.own"},
	{"create statistics out.own (ndistinct) on k, v from out.p2", "drop statistics out.own"},
	{"create trigger own after insert on out.p2 for each row execute function out.fire()",
	 "drop trigger own on out.p2"},
	{"create publication own for table out.p2 with (publish = 'insert')", "drop publication own"},
	{"alter table out.p2 replica identity full", "alter table out.p2 replica identity default", true},
	{"alter table out.p2 enable row level security", "alter table out.p2 disable row level security",
	 true},
	{"alter table out.p2 owner to somebody", "alter table out.p2 owner to postgres", true},
};
#define CHANGES (sizeof changes / sizeof *changes)

static void partition_oid(char oid[20])
{
	snprintf(oid, 20, "%s", sql("select 'out.p2'::regclass::oid"));
}

static void is_exchanged(void **state)
{
	struct change x = {.w = *state, .sql = "vacuum analyze out.p2", .is_made = true};
	char was[20], is[20];
	partition_oid(was);
	build(&x);
	must_be_done(&x);
	partition_oid(is);
	assert_string_not_equal(is, was);
	x.is_made = false;
	change_filled(&x);
	must_be_done(&x);
	partition_oid(was);
	assert_string_not_equal(is, was);
}

static void what_is_changed_before_it_is_copied_is_kept(void **state)
{
	for (size_t i = 0; i < CHANGES; i++) {
		struct change x = {.w = *state, .sql = changes[i].make, .is_made = true};
		build(&x);
		must_be_kept(&x);
		sql("%s", changes[i].undo);
	}
}

static void what_is_changed_while_rows_are_computed_is_kept(void **state)
{
	for (size_t i = 0; i < CHANGES; i++) {
		struct change x = {.w = *state, .sql = changes[i].make};
		if (changes[i].waits)
			continue;
		change_filled(&x);
		must_be_kept(&x);
		sql("%s", changes[i].undo);
	}
}

/* A trigger for each statement is the target's alone: it fires, because the rows are copied. */
static void a_trigger_of_the_target_fires(void **state)
{
	struct change x = {.w = *state,
			   .sql = "create trigger own after insert on out.fct for each statement execute "
				  "function out.fire()"};
	change_filled(&x);
	must_be_kept(&x);
	assert_string_equal(sql("select count(*) from out.fired"), "1");
}

#define LARGE_TEST(test) cmocka_unit_test_setup_teardown(test, large, world_gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LARGE_TEST(is_exchanged),
		LARGE_TEST(what_is_changed_before_it_is_copied_is_kept),
		LARGE_TEST(what_is_changed_while_rows_are_computed_is_kept),
		LARGE_TEST(a_trigger_of_the_target_fires),
	};
	return server_run(tests);
}
