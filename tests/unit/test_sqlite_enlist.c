/* SPDX-License-Identifier: Apache-2.0 */
/* A store that learns of a new manifest while it is open. */
#include "tests/unit/sqlite_fixture.h"

static void enlist(struct fixture *f)
{
	struct store_sink sink = sink_of(f);
	GOOD(f->engine->store->enlist(f->store, f->models, f->target, f->n_models, &f->err));
	GOOD(f->engine->store->load(f->store, &sink, &f->err));
}

static void second_model(struct fixture *f, const char *table)
{
	f->model[1].dir = f->model[1].name = "second";
	f->model[1].unique_id = "model.p.second";
	f->model[1].relation.identifier = (char *)table;
	f->n_models = 2;
}

static void a_model_that_comes(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 2);
	second_model(f, "second");
	enlist(f);
	assert_int_equal(f->seen.n, 0); /* what was reported is not reported again */
	assert_false(f->target[1].exists);
	GOOD(f->engine->builder->prepare(f->worker, 1, true, &f->target[1], &f->err));
	struct store_request r = {.kind = REQUEST_BUILD,
				  .uuid = {9},
				  .model = 1,
				  .batches = {day(f, 0), day(f, 1)},
				  .expected = -1,
				  .command = "touch",
				  .at = DAY_2024_09_01};
	GOOD(f->engine->store->request(f->store, &r, 1, NULL, &f->err));
	struct store_claim c = {.model = 1,
				.first = day(f, 0),
				.count = 1,
				.request = r.id,
				.wanted = r.seq,
				.started = DAY_2024_09_01};
	GOOD(f->engine->store->claim(f->store, &c, 1, &f->err));
	struct build_run run = {.model = 1, .first = c.first, .count = 1, .request = c.request};
	memcpy(run.attempt, c.attempt, sizeof run.attempt);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	assert_int_equal(shell(f, "SELECT count(*) FROM second"), 2);
}

/* A manifest that comes while a batch is being built: that batch ends with the SQL it began with. */
static void another_code_on_the_way(void *arg)
{
	struct fixture *f = arg;
	f->reports.on_started = NULL;
	enlist(f);
}

static void another_code(void **state)
{
	static struct model again;
	struct fixture *f = *state;
	again = f->model[0];
	events(f);
	connect_all(f);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
	struct store_request r = ask(f, 1, day(f, 0), day(f, 1));
	struct build_run run = claim(f, &r);
	again.compiled = "select id + 100 as id, ts from \"w\".\"main\".\"events\"";
	strcpy(again.code, "fedcba9876543210");
	f->models[0] = &again;
	f->reports.on_started = another_code_on_the_way;
	f->reports.arg = f;
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	assert_int_equal(shell(f, "SELECT max(id) FROM out"), 2);
	assert_int_equal(shell(f, "SELECT code = '0123456789abcdef' FROM batchfs_state"), 1);
	r = ask(f, 2, day(f, 0), day(f, 1));
	run = claim(f, &r);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	assert_int_equal(shell(f, "SELECT min(id) FROM out"), 101);
	assert_int_equal(shell(f, "SELECT code = 'fedcba9876543210' FROM batchfs_state"), 1);
}

static void a_begin_that_moves(void **state)
{
	static struct model later;
	struct fixture *f = *state;
	later = f->model[0];
	events(f);
	build_days(f, 3);
	later.begin = calendar_start(BATCH_DAY, day(f, 2));
	f->models[0] = &later;
	connect_all(f);
	enlist(f);
	assert_int_equal(f->seen.n, 0);
	f->models[0] = &f->model[0];
	enlist(f);
	assert_non_null(state_of(f, day(f, 0)));
}

/* Another model builds into the table of one that has gone: it goes on with the states, and back. */
static void a_model_that_is_renamed(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 2);
	second_model(f, "out");
	f->models[0] = NULL;
	enlist(f);
	assert_int_equal(f->target[1].why_not.err, 0);
	assert_int_equal(f->seen.n, 2);
	assert_int_equal(f->seen.states[0].model, 1);
	f->models[0] = &f->model[0];
	f->models[1] = NULL;
	enlist(f);
	assert_int_equal(f->seen.forgotten, 1);
	assert_int_equal(f->seen.n, 2);
	assert_int_equal(f->seen.states[0].model, 0);
	assert_int_equal(f->target[0].why_not.err, 0);
}

static void a_failure_changes_nothing(void **state)
{
	static struct model again;
	struct fixture *f = *state;
	again = f->model[0];
	events(f);
	build_days(f, 1);
	struct store_request r = ask(f, 2, day(f, 1), day(f, 2));
	strcpy(again.code, "fedcba9876543210");
	f->models[0] = &again;
	second_model(f, "second");
	char moved[128];
	snprintf(moved, sizeof moved, "%s.moved", f->file);
	assert_int_equal(rename(f->file, moved), 0);
	assert_true(f->engine->store->enlist(f->store, f->models, f->target, 2, &f->err) < 0);
	assert_int_equal(rename(moved, f->file), 0);
	struct build_run run = claim(f, &r); /* with the former code */
	assert_true(run.attempt[0] > 0);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
}

#define ON_A_WAREHOUSE(test) cmocka_unit_test_setup_teardown(test, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_WAREHOUSE(a_model_that_comes),	   ON_A_WAREHOUSE(another_code),
		ON_A_WAREHOUSE(a_begin_that_moves),	   ON_A_WAREHOUSE(a_model_that_is_renamed),
		ON_A_WAREHOUSE(a_failure_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
