/* SPDX-License-Identifier: Apache-2.0 */
/* A whole backend over the SQLite engine, with one model of 40 days. */
#ifndef BATCHFS_TESTS_BACKEND_FIXTURE_H
#define BATCHFS_TESTS_BACKEND_FIXTURE_H

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
	unsigned changes, cancelled;
	struct ordinal_range last_cancelled;
};

static inline void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline void sql(const struct fixture *f, const char *text)
{
	sqlite3 *db;
	char *message = NULL;
	assert_int_equal(sqlite3_open(f->database, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	sqlite3_exec(db, text, NULL, NULL, &message);
	assert_null(message);
	sqlite3_close(db);
}

static inline void told(void *ctx, slot model, struct ordinal_range batches)
{
	struct fixture *f = ctx;
	(void)model;
	(void)batches;
	pthread_mutex_lock(&f->lock);
	f->changes++;
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

static inline void told_cancelled(void *ctx, slot model, struct ordinal_range batches, bool ran)
{
	struct fixture *f = ctx;
	(void)model;
	(void)ran;
	pthread_mutex_lock(&f->lock);
	f->cancelled++;
	f->last_cancelled = batches;
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

static inline void answered(void *ctx, int result)
{
	struct fixture *f = ctx;
	pthread_mutex_lock(&f->lock);
	f->answered++;
	f->result = result;
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

static inline void open_backend(struct fixture *f, bool read_only)
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
	struct backend_listener listener = {.ctx = f, .changed = told, .cancelled = told_cancelled};
	assert_int_equal(backend_start(f->b, &listener, &err), 0);
	f->first = backend_existing(f->b, 0).first;
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

static inline void ask(struct fixture *f, ordinal from, ordinal to, int expected)
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

static inline int verdict(const struct fixture *f, ordinal from, ordinal to)
{
	struct backend_part part = {.batches = {f->first + from, f->first + to}};

	return backend_verdict(f->b, &part, 1, to == from + 1);
}

static inline void wait_for_answers(struct fixture *f, int n)
{
	pthread_mutex_lock(&f->lock);
	while (f->answered < n)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static inline int ask_and_wait(struct fixture *f, ordinal from, ordinal to, int expected)
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

static inline void settle(struct fixture *f, ordinal from, ordinal to)
{
	struct ordinal_range r = {f->first + from, f->first + to};
	pthread_mutex_lock(&f->lock);
	while (backend_next_unsettled(f->b, 0, r) < r.end)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static inline enum batch_state state_of(struct fixture *f, ordinal day)
{
	struct batch_glance g;
	assert_int_equal(backend_glance(f->b, 0, f->first + day, &g), 0);
	return g.state;
}

#endif
