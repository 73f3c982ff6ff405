/* SPDX-License-Identifier: Apache-2.0 */
/* The fault layer, in front of the SQLite engine: what it does not touch stays as it was. */
#include "tests/unit/sqlite_fixture.h"

#include <pthread.h>

#include "tests/fault/fault.h"
#include "tests/fault/rules.h"

/* Points both variables at this test's own directory. */
static int layer_new(void **state)
{
	int r = fixture_new(state);
	struct fixture *f = *state;
	static struct engine engine;
	char path[128];
	if (r < 0 || fault_wrap(&engine_sqlite, &engine) < 0)
		return -1;
	f->engine = &engine;
	snprintf(path, sizeof path, "%s/rules", f->dir);
	setenv("BATCHFS_FAULT", "", 1);
	setenv("BATCHFS_FAULT_FILE", path, 1);
	events(f);
	return 0;
}

static void rules(const char *text)
{
	char next[160];
	const char *path = getenv("BATCHFS_FAULT_FILE");
	snprintf(next, sizeof next, "%s.new", path);
	FILE *file = fopen(next, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(rename(next, path), 0);
}

static void rules_taken_apart(void **state)
{
	struct fault_rules r = {0};
	struct error err = {0};
	assert_int_equal(
		fault_rules_parse(&r, "request:delay=30,lose=EIO;build:error=40001*2\nclaim:hold;", &err), 0);
	assert_int_equal(r.rule[FAULT_REQUEST].delay_ms, 30);
	assert_int_equal(r.rule[FAULT_REQUEST].after.err, EIO);
	assert_int_equal(r.rule[FAULT_REQUEST].after.left, -1);
	assert_string_equal(r.rule[FAULT_BUILD].before.sqlstate, "40001");
	assert_true(r.rule[FAULT_CLAIM].hold);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fault_take(&r.rule[FAULT_BUILD].before, FAULT_BUILD, &err),
				 i < 2 ? -EIO : 0);
	static const char *const bad[] = {"request",	     "reqest:hold",    "request:wait",
					  "request:delay=x", "build:error=NO", "build:error=EIO*0"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(fault_rules_parse(&r, bad[i], &err), -EINVAL);
		assert_false(r.rule[FAULT_CLAIM].hold);
	}
	fault_rules_fini(&r);
}

static void without_rules_nothing_changes(void **state)
{
	struct fixture *f = *state;
	build_days(f, 3);
	assert_int_equal(f->reports.n, 6);
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	connect_all(f);
	assert_int_equal(f->seen.n, 3);
}

static void errors_before_and_after(void **state)
{
	struct fixture *f = *state;
	build_days(f, 1);
	struct store_request r = {.batches = {day(f, 0), day(f, 1)}, .expected = -1, .uuid = {5}};
	rules("request:error=EHOSTUNREACH*2");
	for (int i = 0; i < 2; i++)
		assert_int_equal(f->engine->store->request(f->store, &r, 1, &f->err), -EHOSTUNREACH);
	assert_non_null(strstr(f->err.text, "injected into request"));
	rules("request:lose=ETIMEDOUT*1");
	assert_int_equal(f->engine->store->request(f->store, &r, 1, &f->err), -ETIMEDOUT);
	int64_t id = r.id;
	assert_true(id > 0); /* it was recorded; sent again, it is counted once */
	GOOD(f->engine->store->request(f->store, &r, 1, &f->err));
	assert_int_equal(r.id, id);
	rules("open:error=ECONNREFUSED");
	disconnect(f);
	assert_int_equal(f->engine->store->open(&f->config, &f->store, &f->err), -ECONNREFUSED);
	rules("");
	connect_all(f);
}

static void failing_builds(void **state)
{
	struct fixture *f = *state;
	build_days(f, 3);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 3));
	struct build_run run = claim(f, &r);
	rules("build:error=23505*1");
	GOOD(build(f, &run));
	assert_int_equal(f->reports.n, 6);
	assert_int_equal(f->reports.list[1].outcome, BUILD_FAILED);
	assert_string_equal(f->reports.err[1].sqlstate, "23505");
	assert_int_equal(f->reports.list[2].batch, day(f, 1));
	assert_int_equal(f->reports.list[3].outcome, BUILD_DONE);
	assert_int_equal(f->reports.list[5].outcome, BUILD_DONE);
	rules("build:error=40001*1");
	GOOD(build(f, &run));
	assert_int_equal(f->reports.n, 4);
	assert_int_equal(f->reports.list[1].outcome, BUILD_PASSING);
	assert_int_equal(f->reports.list[2].outcome, BUILD_UNSTARTED);
	rules("build:error=EAGAIN*1");
	assert_int_equal(build(f, &run), -EAGAIN);
	assert_int_equal(f->reports.n, 3);
}

struct caller {
	struct fixture *f;
	struct build_run run;
	int result;
	struct error err;
};

static void *request_main(void *arg)
{
	struct caller *c = arg;
	struct store_request r = {.batches = {day(c->f, 0), day(c->f, 1)}, .expected = -1, .uuid = {7}};
	c->result = c->f->engine->store->request(c->f->store, &r, 1, &c->err);
	return NULL;
}

static void *build_main(void *arg)
{
	struct caller *c = arg;
	c->result = build(c->f, &c->run);
	return NULL;
}

static void held_until_the_rule_is_gone(void **state)
{
	struct fixture *f = *state;
	struct caller c = {.f = f, .result = 1};
	pthread_t thread;
	build_days(f, 1);
	rules("request:hold");
	assert_int_equal(pthread_create(&thread, NULL, request_main, &c), 0);
	rules("request:delay=1");
	pthread_join(thread, NULL);
	assert_int_equal(c.result, 0);
	rules("request:hold");
	assert_int_equal(pthread_create(&thread, NULL, request_main, &c), 0);
	f->engine->store->abandon(f->store);
	pthread_join(thread, NULL);
	assert_int_equal(c.result, -ECANCELED);
	rules("");
}

static pthread_mutex_t begun_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun_cond = PTHREAD_COND_INITIALIZER;

static void has_begun(void *arg)
{
	pthread_mutex_lock(&begun_lock);
	*(bool *)arg = true;
	pthread_cond_signal(&begun_cond);
	pthread_mutex_unlock(&begun_lock);
}

static void held_build_is_interrupted(void **state)
{
	struct fixture *f = *state;
	struct caller c = {.f = f};
	pthread_t thread;
	bool begun = false;
	build_days(f, 2);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 2));
	c.run = claim(f, &r);
	rules("build:hold");
	f->reports.on_started = has_begun;
	f->reports.arg = &begun;
	assert_int_equal(pthread_create(&thread, NULL, build_main, &c), 0);
	pthread_mutex_lock(&begun_lock);
	while (!begun)
		pthread_cond_wait(&begun_cond, &begun_lock);
	pthread_mutex_unlock(&begun_lock);
	f->engine->builder->interrupt(f->worker);
	pthread_join(thread, NULL);
	assert_int_equal(c.result, 0);
	assert_int_equal(f->reports.list[1].outcome, BUILD_INTERRUPTED);
	assert_int_equal(f->reports.list[2].outcome, BUILD_UNSTARTED);
	rules("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, layer_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_taken_apart), TEST(without_rules_nothing_changes),
		TEST(errors_before_and_after),	     TEST(failing_builds),
		TEST(held_until_the_rule_is_gone),   TEST(held_build_is_interrupted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
