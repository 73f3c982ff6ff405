/* SPDX-License-Identifier: Apache-2.0 */
/* Targets that others make, drop and exchange, and those of models that cannot be built here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_looks.h"

static void note_target(void *ctx, slot model, const struct store_target *target)
{
	struct world *w = ctx;
	w->targets[model] = *target;
	w->targets[model].notes[0] = '!';
}

/* Until a target was told of; then what is told is looked at. */
static void follow_target(struct world *w)
{
	struct error err = {0};
	w->targets[0].notes[0] = 0;
	while (w->targets[0].notes[0] != '!')
		assert_int_equal(engine_postgres.store->follow(w->store, 100, &w->sink, &err), 0);
	if (w->targets[0].look)
		look(w, LOOK_FIRST);
}

/* However it comes: another table is noticed, and what was built into the former one is void. */
static void replaced_tables(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	struct error err = {0};
	w->sink.target = note_target;
	world_prepare(w, 0);
	build_days(w, 0, 0, 2, &c);
	/* What this mount makes itself is no news. */
	w->targets[0].notes[0] = 0;
	for (int i = 0; i < 25; i++)
		assert_int_equal(engine_postgres.store->follow(w->store, 100, &w->sink, &err), 0);
	assert_int_equal(w->targets[0].notes[0], 0);
	sql("drop table out.fct");
	follow_target(w);
	assert_true(w->targets[0].look && !w->targets[0].exists);
	assert_string_equal(sql("select count(*) from batchfs.state where outcome <> 0"), "0");
	sql("create table out.fct as select * from src.events where extract(day from ts) = 3");
	follow_target(w);
	assert_true(w->targets[0].look && w->targets[0].exists);
	assert_string_equal(shown(w), "..a....");
	sql("begin; create table out.tmp as select * from src.events where extract(day from ts) = 4;"
	    " alter table out.fct rename to backup; alter table out.tmp rename to fct; drop table out.backup; commit");
	follow_target(w);
	memset(w->states, 0, sizeof w->states);
	assert_string_equal(recorded(w), "...a...");
	w->sink.target = note_target;
	sql("alter table out.fct rename to part; create table out.fct (like out.part) partition by range (ts);"
	    " alter table out.fct attach partition out.part default");
	follow_target(w);
	assert_true(w->targets[0].look);
	assert_string_equal(shown(w), "...a...");
	/* A view in its place: nobody can build into it, or look at it. */
	sql("alter table out.fct rename to gone; create view out.fct as select * from out.gone");
	follow_target(w);
	assert_int_equal(w->targets[0].why_not.err, EOPNOTSUPP);
	assert_false(w->targets[0].lookable);
	sql("drop view out.fct; alter table out.gone rename to fct");
	follow_target(w);
	assert_int_equal(w->targets[0].why_not.err, 0);
	assert_false(w->targets[0].look); /* it is the one that was known */
	assert_string_equal(recorded(w), "...a...");
}

/* What cannot be built here is looked at, and its batches are frozen, all the same. */
static void what_cannot_be_built(void **state)
{
	struct world *w = *state;
	static const struct need hook = {.kind = NEED_HOOK_JINJA, .where = "pre_hook", .text = "select 1"};
	struct store_request freeze = {.kind = REQUEST_FREEZE,
				       .batches = {day(0), day(2)},
				       .expected = -1,
				       .command = "chmod",
				       .uuid = {1}};
	struct error err = {0};
	sql("create schema out; create table out.fct as select * from src.events where extract(day from ts) = 2");
	w->models[0].needs = &hook;
	w->models[0].compiled = NULL;
	w->models[0].inputs = NULL;
	w->models[0].n_inputs = 0;
	world_open(w);
	assert_true(w->targets[0].lookable && w->targets[0].look);
	assert_int_equal(w->targets[0].why_not.err, 0); /* the verdict says it */
	look(w, LOOK_FIRST);
	assert_string_equal(recorded(w), ".a.....");
	assert_int_equal(engine_postgres.store->request(w->store, &freeze, 1, NULL, &err), 0);
	assert_int_equal(freeze.result, 0);
	recorded(w);
	assert_int_equal(w->n_freezes, 1);
	/* The one that can be built has the table's states. */
	world_model(w, 1, "fct", "select * from \"src\".\"events\"", "events", "ts");
	recorded(w);
	assert_false(w->targets[0].lookable);
	assert_true(w->targets[1].lookable);
	/* Without an event_time nobody can tell what the table holds. */
	w->models[0].event_time = NULL;
	w->models[0].wrong = "no event_time";
	recorded(w);
	assert_false(w->targets[0].lookable);
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, world_gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(replaced_tables, world_fresh_open),
		TEST(what_cannot_be_built, world_fresh),
	};
	return server_run(tests);
}
