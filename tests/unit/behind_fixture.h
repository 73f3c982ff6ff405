/* SPDX-License-Identifier: Apache-2.0 */
/* A backend over the SQLite engine behind the layer of faults, with a second model that reads the first. */
#ifndef BATCHFS_TESTS_BEHIND_FIXTURE_H
#define BATCHFS_TESTS_BEHIND_FIXTURE_H

#include "tests/fault/fault.h"
#include "tests/unit/backend_fixture.h"

struct behind {
	struct fixture *f;
	struct fault_layer layer;
	struct engine engine;
	char rules[96];
};

/* "": no faults any more. */
static inline void faults(struct behind *x, const char *rules)
{
	write_file(x->rules, rules);
}

/* A second model, which reads the same day of the first one. */
static const char reader[] =
	", \"model.p.n\": {\"resource_type\": \"model\", \"name\": \"n\", \"package_name\": \"p\", "
	"\"unique_id\": \"model.p.n\", \"language\": \"sql\","
	" \"database\": null, \"schema\": \"main\", \"alias\": \"n\", \"relation_name\": "
	"\"\\\"main\\\".\\\"n\\\"\", \"fqn\": [\"p\", \"n\"],"
	" \"original_file_path\": \"models/n.sql\", \"depends_on\": {\"nodes\": [\"model.p.m\"], "
	"\"macros\": []},"
	" \"raw_code\": \"select id, ts, val from {{ ref('m') }}\", \"compiled\": true,"
	" \"compiled_code\": \"select id, ts, val from \\\"main\\\".\\\"m\\\"\", \"checksum\": "
	"{\"name\": \"x\", \"checksum\": \"3\"},"
	" \"config\": {\"enabled\": true, \"materialized\": \"incremental\", \"incremental_strategy\": "
	"\"microbatch\", \"event_time\": \"ts\","
	" \"batch_size\": \"day\", \"begin\": \"2024-01-01T00:00:00\", \"lookback\": 0}}";
#define READER 1

static inline void write_manifest(const char *path)
{
	/* Behind the first model, before the brace that ends the nodes. */
	const char *end = strstr(manifest, "},\"sources\"");
	assert_non_null(end);
	auto_strbuf text = STRBUF_INIT;
	strbuf_add(&text, manifest, (size_t)(end - manifest));
	strbuf_puts(&text, reader);
	strbuf_puts(&text, end);
	write_file(path, text.str);
}

static inline int behind_new(void **state)
{
	struct behind *x = calloc(1, sizeof *x);
	int r = set_up((void **)&x->f);
	write_manifest(x->f->manifest);
	fault_layer_init(&x->layer);
	x->engine = fault_wrap(&x->layer, &engine_sqlite);
	x->f->engine = &x->engine;
	snprintf(x->rules, sizeof x->rules, "%s/rules", x->f->dir);
	setenv("BATCHFS_FAULT", "", 1);
	setenv("BATCHFS_FAULT_FILE", x->rules, 1);
	faults(x, "");
	open_backend(x->f, false);
	*state = x;
	return r;
}

static inline int behind_free(void **state)
{
	struct behind *x = *state;
	faults(x, "");
	int r = tear_down((void **)&x->f);
	fault_layer_fini(&x->layer);
	free(x);
	return r;
}

static inline void open_again(struct behind *x)
{
	backend_stop(x->f->b);
	backend_close(x->f->b);
	open_backend(x->f, false);
}

static inline int64_t queue(struct behind *x, const char *text)
{
	char path[160];
	sqlite3 *db;
	sqlite3_stmt *stmt;
	snprintf(path, sizeof path, "%s-queue", x->f->database);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int64_t found = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return found;
}

static inline void wait_for(struct behind *x, const char *text, int64_t value)
{
	while (queue(x, text) != value)
		usleep(1000);
}

/* Of the model that the part names. */
static inline int ask_part(struct behind *x, struct backend_part part)
{
	struct backend_request r = {.parts = &part,
				    .n_parts = 1,
				    .expected = -1,
				    .uid = 7,
				    .pid = getpid(),
				    .done = answered,
				    .ctx = x->f};
	pthread_mutex_lock(&x->f->lock);
	int before = x->f->answered;
	pthread_mutex_unlock(&x->f->lock);
	uint64_t ticket;
	backend_request(x->f->b, &r, &ticket);
	wait_for_answers(x->f, before + 1);
	return x->f->result;
}

static inline void ask_one_by_one(struct behind *x, slot model, ordinal from, ordinal to)
{
	for (ordinal d = from; d < to; d++) {
		struct backend_part part = {.model = model,
					    .batches = {x->f->first + d, x->f->first + d + 1}};
		assert_int_equal(ask_part(x, part), 0);
	}
}

static inline int cancel(struct behind *x, ordinal from, ordinal to)
{
	struct backend_part part = {.batches = {x->f->first + from, x->f->first + to}};
	return backend_cancel(x->f->b, &part, 1, 7, getpid());
}

static inline void all_are(struct behind *x, ordinal from, ordinal to, enum batch_state state)
{
	for (ordinal d = from; d < to; d++)
		assert_int_equal(state_of(x->f, d), state);
}

static inline int freeze(struct behind *x, ordinal from, ordinal to)
{
	struct backend_part part = {.batches = {x->f->first + from, x->f->first + to}};
	struct backend_freeze f = {.parts = &part,
				   .n_parts = 1,
				   .freeze = true,
				   .uid = 7,
				   .pid = getpid(),
				   .done = answered,
				   .ctx = x->f};
	pthread_mutex_lock(&x->f->lock);
	int before = x->f->answered;
	pthread_mutex_unlock(&x->f->lock);
	backend_freeze(x->f->b, &f);
	wait_for_answers(x->f, before + 1);
	return x->f->result;
}

#define BEHIND_TEST(name) cmocka_unit_test_setup_teardown(name, behind_new, behind_free)

#endif
