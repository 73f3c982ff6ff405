/* SPDX-License-Identifier: Apache-2.0 */
/* A store that learns of a new manifest while it is open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

static void enlist(struct world *w)
{
	struct error err = {0};
	if (engine_postgres.store->enlist(w->store, w->facts, w->targets, w->n_models, &err))
		fail_msg("%s", err.text);
	if (engine_postgres.store->load(w->store, &w->sink, &err))
		fail_msg("%s", err.text);
}

static void follow(struct world *w)
{
	struct error err = {0};
	if (engine_postgres.store->follow(w->store, 0, &w->sink, &err))
		fail_msg("%s", err.text);
}

/* What another mount has built, of a model that this one does not have yet. */
static void build_elsewhere(const char *table, slot model, int days)
{
	struct world other;
	struct store_claim c;
	world_init(&other);
	world_model(&other, model, table, "select ts, k, v from \"src\".\"events\"", "events", "ts");
	world_open(&other);
	world_prepare(&other, model);
	request_days(&other, model, 0, days, -1, 0, NULL);
	assert_int_equal(build_days(&other, model, 0, days, &c), days);
	world_close(&other);
}

static void a_model_that_comes(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	build_elsewhere("second", 1, 2);
	world_prepare(w, 0);
	request_days(w, 0, 0, 1, -1, 0, NULL);
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	memset(w->states, 0, sizeof w->states);
	world_model(w, 1, "second", "select ts, k, v from \"src\".\"events\"", "events", "ts");
	enlist(w);
	assert_true(w->targets[1].exists);
	assert_true(state_of(w, 1, 0)->known && state_of(w, 1, 1)->known);
	assert_false(state_of(w, 0, 0)->known); /* what was reported is not reported again */
	request_days(w, 1, 2, 3, -1, 0, NULL);
	assert_int_equal(build_days(w, 1, 2, 1, &c), 1);
	build_elsewhere("second", 1, 4);
	follow(w);
	assert_true(state_of(w, 1, 3)->known);
}

static void another_code(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	static struct model again;
	again = w->models[0];
	world_prepare(w, 0);
	request_days(w, 0, 0, 1, -1, 0, NULL);
	strcpy(again.code, "0ther");
	again.compiled = "select ts, k, 'new' as v from \"src\".\"events\"";
	w->facts[0] = &again;
	enlist(w);
	request_days(w, 0, 0, 1, -1, 0, NULL);
	world_prepare(w, 0);
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	assert_int_equal(w->outcomes[0], BUILD_DONE);
	assert_int_equal(atoi(sql("select count(*) from out.fct where v = 'new'")), 10);
	assert_int_equal(atoi(sql("select count(*) from batchfs.state where code = '0ther'")), 1);
}

static void a_begin_that_moves(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	static struct model later, earlier;
	world_prepare(w, 0);
	request_days(w, 0, 0, 3, -1, 0, NULL);
	assert_int_equal(build_days(w, 0, 0, 3, &c), 3);
	world_close(w);
	later = earlier = w->models[0];
	later.begin += 2 * DAY;
	w->facts[0] = &later;
	world_open(w);
	memset(w->states, 0, sizeof w->states);
	enlist(w);
	assert_false(state_of(w, 0, 2)->known);
	w->facts[0] = &earlier;
	enlist(w);
	assert_true(state_of(w, 0, 0)->known && state_of(w, 0, 2)->known);
}

/* Another model builds into the table of one that has gone: it goes on with the states, and back. */
static void a_model_that_is_renamed(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	static struct model gone;
	world_prepare(w, 0);
	request_days(w, 0, 0, 1, -1, 0, NULL);
	assert_int_equal(build_days(w, 0, 0, 1, &c), 1);
	gone = w->models[0];
	world_model(w, 1, "fct", "select ts, k, v from \"src\".\"events\"", "events", "ts");
	w->facts[0] = NULL;
	enlist(w);
	assert_int_equal(w->targets[1].why_not.err, 0);
	assert_true(state_of(w, 1, 0)->known);
	world_prepare(w, 1);
	request_days(w, 1, 1, 2, -1, 0, NULL);
	assert_int_equal(build_days(w, 1, 1, 1, &c), 1);
	w->facts[0] = &gone;
	w->facts[1] = NULL;
	w->forgotten = 0;
	enlist(w);
	assert_int_equal(w->forgotten, 1);
	assert_true(state_of(w, 0, 0)->known && state_of(w, 0, 1)->known);
	assert_int_equal(w->targets[0].why_not.err, 0);
}

static void a_failure_changes_nothing(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	struct error err = {0};
	static struct model again;
	again = w->models[0];
	world_prepare(w, 0);
	request_days(w, 0, 0, 1, -1, 0, NULL);
	strcpy(again.code, "0ther");
	w->facts[0] = &again;
	world_model(w, 1, "second", "select ts, k, v from \"src\".\"events\"", "events", "ts");
	engine_postgres.store->abandon(w->store);
	assert_true(engine_postgres.store->enlist(w->store, w->facts, w->targets, 2, &err) < 0);
	world_close(w);
	w->facts[0] = &w->models[0];
	w->n_models = 1;
	world_open(w);
	assert_int_equal(claim_days(w, 0, 0, 1, &c), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN_WORLD_TEST(a_model_that_comes),	    OPEN_WORLD_TEST(another_code),
		OPEN_WORLD_TEST(a_begin_that_moves),	    OPEN_WORLD_TEST(a_model_that_is_renamed),
		OPEN_WORLD_TEST(a_failure_changes_nothing),
	};
	return server_run(tests);
}
