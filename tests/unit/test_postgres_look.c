/* SPDX-License-Identifier: Apache-2.0 */
/* What a look makes of a table that others have written to, against a private server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"
#include "tests/unit/seen_attempts.h"

static const struct builder_ops *builder(void)
{
	return engine_postgres.builder;
}

static const char *history(struct world *w, struct seen_attempts *s)
{
	struct error err = {0};
	s->first = day(0);
	if (!s->text.str)
		s->text = (struct strbuf)STRBUF_INIT;
	strbuf_clear(&s->text);
	if (builder()->history(w->worker, 0, 100, &s->cursor, see_attempt, s, &err))
		fail_msg("%s", err.text);
	return s->text.len ? s->text.str : "";
}

/* A letter for each of the first days as it was last reported: a adopted, d done, q requeued, r running. */
static const char *shown(struct world *w)
{
	static char text[8];
	for (int i = 0; i < 7; i++) {
		const struct seen_state *s = state_of(w, 0, i);
		text[i] = !s->known			    ? '.'
			  : s->s.run == ROW_RUNNING	    ? 'r'
			  : s->s.run == ROW_REQUEUED	    ? 'q'
			  : s->s.outcome == OUTCOME_FAILED  ? 'f'
			  : s->s.outcome == OUTCOME_SKIPPED ? 's'
			  : s->s.outcome != OUTCOME_DONE    ? '.'
			  : s->s.adopted		    ? 'a'
							    : 'd';
	}
	return text;
}

static void look(struct world *w, enum look_kind kind)
{
	struct error err = {0};
	if (builder()->look(w->worker, 0, kind, &w->sink, &err))
		fail_msg("%s", err.text);
}

/* What is recorded, as the next mount sees it. */
static const char *recorded(struct world *w)
{
	world_close(w);
	memset(w->states, 0, sizeof w->states);
	world_open(w);
	return shown(w);
}

/* Neighbours are a row of the history, whatever their number; each is a line. */
static void first(void **state)
{
	struct world *w = *state;
	struct seen_attempts s = {0};
	sql("create schema out; create table out.fct as select * from src.events"
	    " where extract(day from ts) in (1, 2, 3, 5)");
	world_open(w);
	assert_true(w->targets[0].look);
	look(w, LOOK_FIRST);
	assert_string_equal(shown(w), "aaa.a..");
	assert_true(state_of(w, 0, 0)->s.finished > BEGIN);
	assert_string_equal(history(w, &s),
			    "0:0#0 adopted/-1/-1//, 0:1#0 adopted/-1/-1//, 0:2#0 adopted/-1/-1//,"
			    " 0:4#0 adopted/-1/-1//");
	assert_int_equal(s.us, -1);
	assert_string_equal(sql("select count(*) from batchfs.attempt where window_start is not null"), "2");
	assert_string_equal(recorded(w), "aaa.a..");
	seen_attempts_fini(&s);
}

/* What was built into a table that has gone is void; what another one holds instead is adopted. */
static void another_table(void **state)
{
	struct world *w = *state;
	struct seen_attempts s = {0};
	struct store_claim c;
	world_prepare(w, 0);
	build_days(w, 0, 0, 3, &c);
	history(w, &s);
	sql("drop table out.fct");
	assert_string_equal(recorded(w), "ddd....");
	assert_true(w->targets[0].look);
	assert_false(w->targets[0].exists);
	look(w, LOOK_FIRST);
	assert_int_equal(w->forgotten, 1);
	assert_string_equal(history(w, &s), "0:0#1 gone/-1/-1//, 0:1#1 gone/-1/-1//, 0:2#1 gone/-1/-1//");
	assert_string_equal(recorded(w), ".......");
	assert_false(w->targets[0].look);
	sql("create table out.fct as select * from src.events where extract(day from ts) = 2");
	assert_string_equal(recorded(w), ".......");
	assert_true(w->targets[0].look);
	look(w, LOOK_FIRST);
	assert_string_equal(history(w, &s), "0:1#0 adopted/-1/-1//");
	assert_string_equal(recorded(w), ".a.....");
	seen_attempts_fini(&s);
}

/* What cannot be built here is looked at, and its batches are frozen, all the same. */
static void what_cannot_be_built(void **state)
{
	struct world *w = *state;
	static const struct need hook = {.kind = NEED_HOOK, .where = "pre_hook", .text = "select 1"};
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
		TEST(first, world_fresh),
		TEST(another_table, world_fresh_open),
		TEST(what_cannot_be_built, world_fresh),
	};
	return server_run(tests);
}
