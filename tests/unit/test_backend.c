/* SPDX-License-Identifier: Apache-2.0 */
/* The whole backend over the SQLite engine, from several threads: what the FUSE thread and main do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/engine.h"
#include "backend/manifest.h"

#define DAYS 40

static const char manifest[] =
	"{\"metadata\": {\"dbt_schema_version\": \"https://schemas.getdbt.com/dbt/manifest/v12.json\", "
	"\"project_name\": \"p\","
	" \"adapter_type\": \"sqlite\", \"dbt_version\": \"1.9.0\", \"generated_at\": "
	"\"2024-01-01T00:00:00Z\"},"
	"\"nodes\": {\"seed.p.raw\": {\"resource_type\": \"seed\", \"name\": \"raw\", \"package_name\": "
	"\"p\", \"unique_id\": \"seed.p.raw\","
	" \"database\": null, \"schema\": \"main\", \"alias\": \"raw\", \"relation_name\": "
	"\"\\\"main\\\".\\\"raw\\\"\", \"fqn\": [\"p\", \"raw\"],"
	" \"config\": {\"event_time\": \"ts\", \"enabled\": true, \"materialized\": \"seed\"}, \"checksum\": "
	"{\"name\": \"x\", \"checksum\": \"1\"}},"
	"\"model.p.m\": {\"resource_type\": \"model\", \"name\": \"m\", \"package_name\": \"p\", "
	"\"unique_id\": \"model.p.m\", \"language\": \"sql\","
	" \"database\": null, \"schema\": \"main\", \"alias\": \"m\", \"relation_name\": "
	"\"\\\"main\\\".\\\"m\\\"\", \"fqn\": [\"p\", \"m\"],"
	" \"original_file_path\": \"models/m.sql\", \"depends_on\": {\"nodes\": [\"seed.p.raw\"], "
	"\"macros\": []},"
	" \"raw_code\": \"select id, ts, 10 / val as val from {{ ref('raw') }}\", \"compiled\": true,"
	" \"compiled_code\": \"select id, ts, 10 / val as val from \\\"main\\\".\\\"raw\\\"\", \"checksum\": "
	"{\"name\": \"x\", \"checksum\": \"2\"},"
	" \"config\": {\"enabled\": true, \"materialized\": \"incremental\", \"incremental_strategy\": "
	"\"microbatch\", \"event_time\": \"ts\","
	" \"batch_size\": \"day\", \"begin\": \"2024-01-01T00:00:00\", \"lookback\": 1}}},"
	"\"sources\": {}, \"parent_map\": {\"model.p.m\": [\"seed.p.raw\"], \"seed.p.raw\": []}, "
	"\"child_map\": {}, \"disabled\": {}}";

struct fixture {
	char dir[64], manifest[96], database[96];
	struct log log;
	struct clock clock;
	struct backend *b;
	ordinal first;

	pthread_mutex_t lock; /* protects the rest */
	pthread_cond_t news;
	const struct engine *engine;
	int answered, result;
	unsigned changes;
};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void sql(const struct fixture *f, const char *text)
{
	sqlite3 *db;
	char *message = NULL;
	assert_int_equal(sqlite3_open(f->database, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	sqlite3_exec(db, text, NULL, NULL, &message);
	assert_null(message);
	sqlite3_close(db);
}

static void told(void *ctx, slot model, struct ordinal_range batches)
{
	struct fixture *f = ctx;
	(void)model;
	(void)batches;
	pthread_mutex_lock(&f->lock);
	f->changes++;
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

static void answered(void *ctx, int result)
{
	struct fixture *f = ctx;
	pthread_mutex_lock(&f->lock);
	f->answered++;
	f->result = result;
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

static void open_backend(struct fixture *f, bool read_only)
{
	struct catalog *catalog = NULL;
	struct error err = {0};
	assert_int_equal(manifest_load(f->manifest, &f->log, &catalog, &err), 0);
	struct backend_config config = {.log = &f->log,
					.clock = &f->clock,
					.engine = f->engine,
					.database = f->database,
					.timeout_s = 10,
					.jobs = 1,
					.drain_s = 5,
					.read_only = read_only,
					.version = "test"};
	int r = backend_open(&config, catalog, &f->b, &err);
	if (r < 0)
		fail_msg("%s", err.text);
	struct backend_listener listener = {.ctx = f, .changed = told};
	assert_int_equal(backend_start(f->b, &listener, &err), 0);
	f->first = backend_existing(f->b, 0).first;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	strcpy(f->dir, "/tmp/batchfs-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->manifest, sizeof f->manifest, "%s/manifest.json", f->dir);
	snprintf(f->database, sizeof f->database, "%s/warehouse.db", f->dir);
	write_file(f->manifest, manifest);
	f->engine = &engine_sqlite;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->news, NULL);
	f->clock = clock_starting_at(INT64_C(1704067200000000) + DAYS * INT64_C(86400000000));
	sql(f, "CREATE TABLE raw (id INTEGER, ts TEXT, val INTEGER);"
	       "WITH RECURSIVE d(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 39)"
	       "INSERT INTO raw SELECT i, date('2024-01-01', i || ' days'), 5 FROM d;");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];
	if (f->b)
		backend_stop(f->b);
	backend_close(f->b);
	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	int r = system(command);
	pthread_cond_destroy(&f->news);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return r;
}

static void ask(struct fixture *f, ordinal from, ordinal to, int expected)
{
	uint64_t ticket;
	struct backend_part part = {.batches = {f->first + from, f->first + to}};
	struct backend_request r = {.parts = &part,
				    .n_parts = 1,
				    .expected = expected,
				    .uid = 7,
				    .pid = getpid(),
				    .done = answered,
				    .ctx = f};
	backend_request(f->b, &r, &ticket);
}

static int verdict(const struct fixture *f, ordinal from, ordinal to)
{
	struct backend_part part = {.batches = {f->first + from, f->first + to}};

	return backend_verdict(f->b, &part, 1, to == from + 1);
}

static void wait_for_answers(struct fixture *f, int n)
{
	pthread_mutex_lock(&f->lock);
	while (f->answered < n)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static int ask_and_wait(struct fixture *f, ordinal from, ordinal to, int expected)
{
	pthread_mutex_lock(&f->lock);
	int before = f->answered;
	pthread_mutex_unlock(&f->lock);
	ask(f, from, to, expected);
	pthread_mutex_lock(&f->lock);
	while (f->answered == before)
		pthread_cond_wait(&f->news, &f->lock);
	int result = f->result;
	pthread_mutex_unlock(&f->lock);
	return result;
}

static void settle(struct fixture *f, ordinal from, ordinal to)
{
	struct ordinal_range r = {f->first + from, f->first + to};
	pthread_mutex_lock(&f->lock);
	while (backend_next_unsettled(f->b, 0, r) < r.end)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static enum batch_state state_of(struct fixture *f, ordinal day)
{
	struct batch_glance g;
	assert_int_equal(backend_glance(f->b, 0, f->first + day, &g), 0);
	return g.state;
}

static void a_range_is_built(void **state)
{
	struct fixture *f = *state;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 0, DAYS, -1), 0);
	settle(f, 0, DAYS);
	for (ordinal d = 0; d < DAYS; d++)
		assert_int_equal(state_of(f, d), BATCH_DONE);
	assert_int_equal(verdict(f, 0, DAYS), 0);
	auto_strbuf out = STRBUF_INIT;
	assert_int_equal(backend_batch_document(f->b, 0, f->first, &out), 0);
	assert_non_null(strstr(out.str, "\"rows_inserted\": 1"));
	assert_non_null(strstr(out.str, "\"command\": \"test_backend\""));
	struct batch_glance g;
	assert_int_equal(backend_glance(f->b, 0, f->first, &g), 0);
	assert_int_equal(out.len, g.size);
}

static void a_failure_is_shown_and_mended(void **state)
{
	struct fixture *f = *state;
	open_backend(f, false);
	sql(f, "DROP TABLE raw");
	assert_int_equal(ask_and_wait(f, 2, 3, BATCH_PENDING), 0);
	settle(f, 2, 3);
	assert_int_equal(state_of(f, 2), BATCH_FAILED);
	assert_int_equal(verdict(f, 2, 3), -EIO);
	sql(f, "CREATE TABLE raw (id INTEGER, ts TEXT, val INTEGER); INSERT INTO raw VALUES (1, "
	       "'2024-01-03', 2)");
	assert_int_equal(ask_and_wait(f, 2, 3, BATCH_FAILED), 0);
	settle(f, 2, 3);
	assert_int_equal(state_of(f, 2), BATCH_DONE);
	assert_int_equal(ask_and_wait(f, 2, 3, BATCH_FAILED), -ENOENT);
}

static void states_outlive_the_daemon(void **state)
{
	struct fixture *f = *state;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 0, 5, -1), 0);
	settle(f, 0, 5);
	backend_stop(f->b);
	backend_close(f->b);
	open_backend(f, false);
	assert_int_equal(state_of(f, 4), BATCH_DONE);
	assert_int_equal(state_of(f, 5), BATCH_PENDING);
}

/* One request of three stretches, because two batches between them are done. */
static void a_reason_reaches_every_stretch(void **state)
{
	struct fixture *f = *state;
	uint64_t ticket;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 1, 2, -1), 0);
	assert_int_equal(ask_and_wait(f, 3, 4, -1), 0);
	settle(f, 0, 5);
	struct backend_part part = {.batches = {f->first, f->first + 5}, .states = 1u << BATCH_PENDING};
	struct backend_request r = {
		.parts = &part, .n_parts = 1, .expected = -1, .uid = 7, .done = answered, .ctx = f};
	backend_request(f->b, &r, &ticket);
	wait_for_answers(f, 3);
	backend_reason(f->b, ticket, "INC-4711", answered, f);
	wait_for_answers(f, 4);
	assert_int_equal(f->result, 0);
	settle(f, 0, 5);
	for (ordinal d = 0; d < 5; d += 2) {
		auto_strbuf out = STRBUF_INIT;
		assert_int_equal(backend_batch_document(f->b, 0, f->first + d, &out), 0);
		assert_non_null(strstr(out.str, "INC-4711"));
	}
}

static void read_only_refuses(void **state)
{
	struct fixture *f = *state;
	open_backend(f, true);
	assert_int_equal(ask_and_wait(f, 0, 1, -1), -EROFS);
	auto_strbuf out = STRBUF_INIT;
	assert_int_equal(backend_batch_document(f->b, 0, f->first, &out), 0);
	assert_non_null(strstr(out.str, "\"errno\": \"EROFS\""));
}

static int no_worker(struct store *s, struct worker **out, struct error *err)
{
	(void)s;
	*out = NULL;
	return error_set(err, ENOMEM, "no memory for a worker");
}

/* What is asked for all the same fails and says why; it does not wait for ever. */
static void without_workers_batches_fail(void **state)
{
	struct fixture *f = *state;
	struct builder_ops builder = *engine_sqlite.builder;
	struct engine engine = engine_sqlite;
	builder.worker_open = no_worker;
	engine.builder = &builder;
	f->engine = &engine;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 0, 2, -1), 0);
	settle(f, 0, 2);
	assert_int_equal(state_of(f, 0), BATCH_FAILED);
	auto_strbuf out = STRBUF_INIT;
	assert_int_equal(backend_batch_document(f->b, 0, f->first, &out), 0);
	assert_non_null(strstr(out.str, "no memory for a worker"));
	backend_stop(f->b);
	backend_close(f->b);
	f->b = NULL;
}

static void stopped_backends_answer(void **state)
{
	struct fixture *f = *state;
	open_backend(f, false);
	backend_stop(f->b);
	assert_int_equal(ask_and_wait(f, 0, 1, -1), -ECANCELED);
}

static void *reader(void *arg)
{
	struct fixture *f = arg;
	struct batch_glance g[DAYS];
	for (int i = 0; i < 2000; i++) {
		backend_glances(f->b, 0, f->first, DAYS, g);
		auto_strbuf out = STRBUF_INIT;
		backend_root_status(f->b, &out);
	}
	return NULL;
}

static void *asker(void *arg)
{
	struct fixture *f = arg;
	for (ordinal d = 0; d < DAYS; d++)
		ask(f, d, d + 1, -1);
	return NULL;
}

static void many_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[4];
	open_backend(f, false);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? reader : asker, f), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	wait_for_answers(f, 2 * DAYS);
	settle(f, 0, DAYS);
	for (ordinal d = 0; d < DAYS; d++)
		assert_int_equal(state_of(f, d), BATCH_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_range_is_built, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_failure_is_shown_and_mended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(states_outlive_the_daemon, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reason_reaches_every_stretch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(read_only_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_workers_batches_fail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stopped_backends_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_threads, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("backend", tests, NULL, NULL);
}
