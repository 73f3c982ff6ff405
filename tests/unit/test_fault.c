/* SPDX-License-Identifier: Apache-2.0 */
/* The fault layer, in front of the SQLite engine: what it does not touch stays as it was. */
#include "tests/unit/sqlite_fixture.h"

#include <pthread.h>

#include "tests/fault/fault.h"
#include "tests/fault/rules.h"

/* The SQLite engine behind the layer, called through the wrappers: the fixture's own calls go around both. */
struct behind {
	struct fixture *f;
	struct fault_layer layer;
	struct engine engine;
	struct open_store *store;
	struct open_worker *worker;
};

static int layer_new(void **state)
{
	struct behind *x = calloc(1, sizeof *x);
	char path[128];
	if (!x || fixture_new((void **)&x->f) < 0)
		return -1;
	fault_layer_init(&x->layer);
	x->engine = fault_wrap(&x->layer, &engine_sqlite);
	snprintf(path, sizeof path, "%s/rules", x->f->dir);
	setenv("BATCHFS_FAULT", "", 1);
	setenv("BATCHFS_FAULT_FILE", path, 1);
	events(x->f);
	*state = x;
	return 0;
}

static void leave(struct behind *x)
{
	builder_worker_close(x->worker);
	store_close(x->store);
	x->worker = NULL;
	x->store = NULL;
}

static int layer_free(void **state)
{
	struct behind *x = *state;
	leave(x);
	fault_layer_fini(&x->layer);
	int r = fixture_free((void **)&x->f);
	free(x);
	return r;
}

/* Asks for days [0, n) and claims them. */
static struct build_run claim_days(struct behind *x, unsigned char uuid, int n)
{
	struct fixture *f = x->f;
	struct store_request r = {.batches = {day(f, 0), day(f, n)}, .expected = -1, .uuid = {uuid}};
	GOOD(store_request(x->store, &r, 1, NULL, &f->err));
	struct store_claim c = {
		.first = day(f, 0), .count = (uint32_t)n, .request = r.id, .wanted = r.seq, .started = 1};
	GOOD(store_claim(x->store, &c, 1, &f->err));
	struct build_run run = {.first = c.first, .count = c.count, .request = c.request};
	memcpy(run.attempt, c.attempt, sizeof run.attempt);
	f->reports.n = 0;
	return run;
}

/* Opens the store, and the worker too, and builds days [0, n). */
static void build_first_days(struct behind *x, int n)
{
	struct fixture *f = x->f;
	leave(x);
	GOOD(store_open(&x->engine, &f->config, &x->store, &f->err));
	GOOD(store_enlist(x->store, f->models, f->target, f->n_models, &f->err));
	struct store_sink sink = sink_of(f);
	GOOD(store_load(x->store, &sink, &f->err));
	GOOD(builder_worker_open(x->store, "worker", &x->worker, &f->err));
	if (n == 0)
		return;
	GOOD(builder_prepare(x->worker, 0, true, &f->target[0], &f->err));
	struct build_run run = claim_days(x, 1, n);
	GOOD(builder_build(x->worker, &run, put_report, &f->reports, &f->err));
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
	assert_int_equal(r.rule[OP_REQUEST].delay_ms, 30);
	assert_int_equal(r.rule[OP_REQUEST].after.err, EIO);
	assert_int_equal(r.rule[OP_REQUEST].after.left, -1);
	assert_string_equal(r.rule[OP_BUILD].before.sqlstate, "40001");
	assert_true(r.rule[OP_CLAIM].hold);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fault_take(&r.rule[OP_BUILD].before, OP_BUILD, &err), i < 2 ? -EIO : 0);
	static const char *const bad[] = {"request",	     "reqest:hold",    "request:wait",
					  "request:delay=x", "build:error=NO", "build:error=EIO*0"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(fault_rules_parse(&r, bad[i], &err), -EINVAL);
		assert_false(r.rule[OP_CLAIM].hold);
	}
	fault_rules_fini(&r);
}

static void without_rules_nothing_changes(void **state)
{
	struct behind *x = *state;
	struct fixture *f = x->f;
	build_first_days(x, 3);
	assert_int_equal(f->reports.n, 6);
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	build_first_days(x, 0);
	assert_int_equal(f->seen.n, 3);
}

static void errors_before_and_after(void **state)
{
	struct behind *x = *state;
	struct fixture *f = x->f;
	build_first_days(x, 1);
	struct store_request r = {.batches = {day(f, 0), day(f, 1)}, .expected = -1, .uuid = {5}};
	rules("request:error=EHOSTUNREACH*2");
	for (int i = 0; i < 2; i++)
		assert_int_equal(store_request(x->store, &r, 1, NULL, &f->err), -EHOSTUNREACH);
	assert_non_null(strstr(f->err.text, "injected into request"));
	rules("request:lose=ETIMEDOUT*1");
	assert_int_equal(store_request(x->store, &r, 1, NULL, &f->err), -ETIMEDOUT);
	int64_t id = r.id;
	assert_true(id > 0); /* it was recorded; sent again, it is counted once */
	GOOD(store_request(x->store, &r, 1, NULL, &f->err));
	assert_int_equal(r.id, id);
	rules("open:error=ECONNREFUSED");
	leave(x);
	assert_int_equal(store_open(&x->engine, &f->config, &x->store, &f->err), -ECONNREFUSED);
	rules("");
	build_first_days(x, 0);
}

static void failing_builds(void **state)
{
	struct behind *x = *state;
	struct fixture *f = x->f;
	build_first_days(x, 3);
	struct build_run run = claim_days(x, 2, 3);
	rules("build:error=23505*1");
	GOOD(builder_build(x->worker, &run, put_report, &f->reports, &f->err));
	assert_int_equal(f->reports.n, 6);
	assert_int_equal(f->reports.list[1].outcome, BUILD_FAILED);
	assert_string_equal(f->reports.err[1].sqlstate, "23505");
	assert_int_equal(f->reports.list[2].batch, day(f, 1));
	assert_int_equal(f->reports.list[3].outcome, BUILD_DONE);
	assert_int_equal(f->reports.list[5].outcome, BUILD_DONE);
	rules("build:error=40001*1");
	f->reports.n = 0;
	GOOD(builder_build(x->worker, &run, put_report, &f->reports, &f->err));
	assert_int_equal(f->reports.n, 4);
	assert_int_equal(f->reports.list[1].outcome, BUILD_PASSING);
	assert_int_equal(f->reports.list[2].outcome, BUILD_UNSTARTED);
	rules("build:error=EAGAIN*1");
	f->reports.n = 0;
	assert_int_equal(builder_build(x->worker, &run, put_report, &f->reports, &f->err), -EAGAIN);
	assert_int_equal(f->reports.n, 3);
}

struct caller {
	struct behind *x;
	int result;
	struct error err;
};

static void *request_main(void *arg)
{
	struct caller *c = arg;
	struct store_request r = {.batches = {day(c->x->f, 0), day(c->x->f, 1)}, .expected = -1, .uuid = {7}};
	store_take_control(c->x->store);
	c->result = store_request(c->x->store, &r, 1, NULL, &c->err);
	return NULL;
}

static void held_until_the_rule_is_gone(void **state)
{
	struct behind *x = *state;
	struct caller c = {.x = x, .result = 1};
	pthread_t thread;
	build_first_days(x, 1);
	rules("request:hold");
	assert_int_equal(pthread_create(&thread, NULL, request_main, &c), 0);
	rules("request:delay=1");
	pthread_join(thread, NULL);
	assert_int_equal(c.result, 0);
	rules("request:hold");
	assert_int_equal(pthread_create(&thread, NULL, request_main, &c), 0);
	store_abandon(x->store);
	pthread_join(thread, NULL);
	assert_int_equal(c.result, -ECANCELED);
	rules("");
}

static void *interrupt_main(void *arg)
{
	struct behind *x = arg;
	builder_interrupt(x->worker);
	return NULL;
}

static pthread_t interrupter;

static void start_interrupt(void *arg)
{
	assert_int_equal(pthread_create(&interrupter, NULL, interrupt_main, arg), 0);
}

static void held_build_is_interrupted(void **state)
{
	struct behind *x = *state;
	struct fixture *f = x->f;
	build_first_days(x, 2);
	struct build_run run = claim_days(x, 2, 2);
	rules("build:hold");
	f->reports.on_started = start_interrupt;
	f->reports.arg = x;
	assert_int_equal(builder_build(x->worker, &run, put_report, &f->reports, &f->err), 0);
	pthread_join(interrupter, NULL);
	assert_int_equal(f->reports.list[1].outcome, BUILD_INTERRUPTED);
	assert_int_equal(f->reports.list[2].outcome, BUILD_UNSTARTED);
	rules("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, layer_new, layer_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_taken_apart), TEST(without_rules_nothing_changes),
		TEST(errors_before_and_after),	     TEST(failing_builds),
		TEST(held_until_the_rule_is_gone),   TEST(held_build_is_interrupted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
