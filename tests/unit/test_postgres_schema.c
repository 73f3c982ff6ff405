/* SPDX-License-Identifier: Apache-2.0 */
/* The schema batchfs: made, brought up to date from version 1, refused where it is newer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/base/cleanup.h"
#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"
#include "tests/unit/sql_steps.h"

/* Everything that a step may change, in one text. */
#define SHAPE                                                                                                   \
	"select string_agg(t, ' ' order by t) from (select concat_ws(' ', c.relname, a.attname,"                \
	" format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid),"  \
	" pg_get_indexdef(c.oid), c.reloptions) as t from pg_class c join pg_attribute a on a.attrelid = c.oid" \
	" left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum"                                   \
	" where c.relnamespace = 'batchfs'::regnamespace and a.attnum > 0) x"

static void version_1(void)
{
	char path[500];
	const char *source = getenv("BATCHFS_SOURCE");
	snprintf(path, sizeof path, "%s/tests/fixtures/postgres/schema_1.sql", source ? source : ".");
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	auto_free char *text = calloc(1, 65536);
	assert_in_range(fread(text, 1, 65535, f), 1, 65534);
	fclose(f);
	sql("%s", text);
}

static int opened(struct world *w, struct error *err)
{
	return engine_postgres.store->open(&w->config, &w->store, err);
}

static void refused(struct world *w, int r, const char *words)
{
	struct error err = {0};
	assert_int_equal(opened(w, &err), -r);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" is not in: %s", words, err.text);
	engine_postgres.store->close(w->store);
	w->store = NULL;
}

static void version_1_is_brought_up_to_date(void **state)
{
	struct world *w = *state;
	world_open(w);
	auto_free char *fresh = strdup(sql(SHAPE)),
		       *version = strdup(sql("select version from batchfs.meta"));
	assert_true(atoi(version) > 1);
	world_close(w);
	server_database();
	world_source();
	version_1();
	world_open(w);
	assert_string_equal(sql("select version from batchfs.meta"), version);
	assert_string_equal(sql(SHAPE), fresh);
	assert_int_equal(state_of(w, 0, 0)->s.rows_inserted, 10);
	assert_int_equal(state_of(w, 0, 1)->s.outcome, OUTCOME_FAILED);
	assert_string_equal(state_of(w, 0, 1)->sqlstate, "22012");
	assert_int_equal(w->n_requests, 2);
	assert_int_equal(w->n_freezes, 1);
	assert_string_equal(w->freezers[0], "chmod");
	struct error err = {0};
	while (state_of(w, 0, 2)->s.run != ROW_REQUEUED)
		assert_int_equal(engine_postgres.store->follow(w->store, 100, &w->sink, &err), 0);
	world_prepare(w, 0);
	struct store_claim c;
	assert_int_equal(build_days(w, 0, 2, 2, &c), 2);
	assert_int_equal(w->outcomes[3], BUILD_DONE);
}

/* What each of them has left: the steps up to it have been taken. */
static void every_former_version_is_brought_up_to_date(void **state)
{
	struct world *w = *state;
	world_open(w);
	auto_free char *fresh = strdup(sql(SHAPE));
	int version = atoi(sql("select version from batchfs.meta"));
	world_close(w);
	for (int v = 2; v < version; v++) {
		char steps[16384] = "";
		server_database();
		world_source();
		version_1();
		for (int i = 2; i <= v; i++)
			assert_true(sql_step("backend/postgres/schema.sql", "upgrade_", i, steps,
					     sizeof steps) > 0);
		sql("%s; update batchfs.meta set version = %d", steps, v);
		world_open(w);
		assert_int_equal(atoi(sql("select version from batchfs.meta")), version);
		assert_string_equal(sql(SHAPE), fresh);
		assert_int_equal(state_of(w, 0, 0)->s.rows_inserted, 10);
		if (v + 1 < version)
			world_close(w);
	}
}

static void every_schema_has_an_identity_of_its_own(void **state)
{
	struct world *w = *state;
	world_open(w);
	auto_free char *first = strdup(sql("select identity from batchfs.meta"));
	world_close(w);
	assert_int_equal(strlen(first), 36);
	sql("drop schema batchfs cascade");
	world_open(w);
	assert_string_not_equal(sql("select identity from batchfs.meta"), first);
}

static void a_newer_one_is_refused(void **state)
{
	struct world *w = *state;
	world_open(w);
	world_close(w);
	auto_free char *ours = strdup(sql("select version from batchfs.meta"));
	sql("update batchfs.meta set version = 9000");
	char words[100];
	snprintf(words, sizeof words, "is of version 9000, this program knows version %s", ours);
	refused(w, EINVAL, words);
	sql("delete from batchfs.meta");
	refused(w, EINVAL, "is of version none");
	sql("drop schema batchfs cascade; create schema batchfs; create table batchfs.model ()");
	refused(w, EINVAL, "is not one that batchfs has made");
}

static void only_its_owner_changes_it(void **state)
{
	struct world *w = *state;
	version_1();
	sql("drop role if exists builder; create role builder login; grant usage on schema batchfs to builder;"
	    "grant select, insert, update, delete on all tables in schema batchfs to builder");
	w->config.role = "builder";
	refused(w, EACCES, "only its owner may bring it up to date: mount once as postgres");
	w->config.role = NULL;
	w->config.read_only = true;
	refused(w, EINVAL, "a mount without -o ro brings it up to date");
	assert_string_equal(sql("select version from batchfs.meta"), "1");
}

static void a_mount_of_the_old_version_goes_on_undisturbed(void **state)
{
	struct world *w = *state;
	version_1();
	sql("select pg_advisory_lock_shared(77)");
	refused(w, EBUSY, "a mount still runs by the old one");
	assert_string_equal(sql("select version from batchfs.meta"), "1");
	sql("select pg_advisory_unlock_shared(77)");
	world_open(w);
}

static void a_step_that_fails_leaves_all_as_it_was(void **state)
{
	struct world *w = *state;
	version_1();
	sql("alter table batchfs.owner add column lock text");
	refused(w, EIO, "already exists");
	assert_string_equal(sql("select count(*) from pg_attribute where attrelid = 'batchfs.meta'::regclass"
				" and attname = 'identity'"),
			    "0");
}

/* Whoever may connect can take the lock under which the schema is made. */
static void a_stranger_with_the_lock_holds_up_nobody(void **state)
{
	struct world *w = *state;
	sql("select pg_advisory_lock(7089336938131513971)");
	world_open(w);
	sql("select pg_advisory_unlock(7089336938131513971)");
}

static void nobody_plays_a_dead_mount(void **state)
{
	struct world *w = *state, *dead = calloc(1, sizeof *dead);
	struct store_claim c;
	world_open(w);
	world_init(dead);
	world_open(dead);
	assert_int_equal(claim_days(dead, 0, 3, 1, &c), 1);
	struct stranger *holder = stranger_session(
		sql("select format('set application_name = %%L; select pg_advisory_lock_shared(%%s)',"
		    " 'batchfs:' || lpad(to_hex(o.id), 16, '0') || ':control', o.lock)"
		    " from batchfs.owner o join batchfs.state s on s.owner = o.id"));
	while (atoi(sql("select count(*) from pg_locks where locktype = 'advisory' and granted")) < 3)
		;
	sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'"
	    " and application_name = (select 'batchfs:' || lpad(to_hex(owner), 16, '0') || ':control' from batchfs.state)");
	struct error err = {0};
	while (!state_of(w, 0, 3)->known || state_of(w, 0, 3)->s.run == ROW_RUNNING)
		assert_int_equal(engine_postgres.store->follow(w->store, 1000, &w->sink, &err), 0);
	assert_int_equal(state_of(w, 0, 3)->s.run, ROW_REQUEUED);
	stranger_end(holder);
	world_close(dead);
	free(dead);
}

static void nobody_keeps_a_mount_from_coming_back(void **state)
{
	struct world *w = *state;
	world_open(w);
	struct stranger *waiter = stranger_session(sql(
		"select format('select pg_advisory_lock(%%s), pg_advisory_lock(%%s)', id, lock) from batchfs.owner"));
	while (atoi(sql("select count(*) from pg_locks where locktype = 'advisory' and not granted")) == 0)
		;
	sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'batchfs:%%:control'");
	struct error err = {0};
	while (engine_postgres.store->follow(w->store, 10, &w->sink, &err))
		;
	assert_int_equal(request_days(w, 0, 0, 1, -1, 0, NULL), 0);
	stranger_end(waiter);
}

static void nobody_keeps_a_table_from_being_made(void **state)
{
	struct world *w = *state;
	world_open(w);
	struct stranger *holder =
		stranger_session("select pg_advisory_lock(hashtextextended('batchfs \"out\".\"fct\"', 0))");
	while (atoi(sql("select count(*) from pg_locks l join pg_stat_activity a using (pid)"
			" where l.locktype = 'advisory' and a.usename = 'stranger'")) == 0)
		;
	world_prepare(w, 0);
	assert_string_equal(sql("select count(*) from out.fct"), "0");
	stranger_end(holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(version_1_is_brought_up_to_date),
		WORLD_TEST(every_former_version_is_brought_up_to_date),
		WORLD_TEST(every_schema_has_an_identity_of_its_own),
		WORLD_TEST(a_newer_one_is_refused),
		WORLD_TEST(only_its_owner_changes_it),
		WORLD_TEST(a_mount_of_the_old_version_goes_on_undisturbed),
		WORLD_TEST(a_step_that_fails_leaves_all_as_it_was),
		WORLD_TEST(a_stranger_with_the_lock_holds_up_nobody),
		WORLD_TEST(nobody_plays_a_dead_mount),
		WORLD_TEST(nobody_keeps_a_mount_from_coming_back),
		WORLD_TEST(nobody_keeps_a_table_from_being_made),
	};
	return server_run(tests);
}
