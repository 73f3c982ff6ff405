/* SPDX-License-Identifier: Apache-2.0 */
/* A backend whose catalog is swapped: what it keeps a model grows, and what was known stays where it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "backend/base/cleanup.h"
#include "backend/schedule/catalog.h"
#include "backend/schedule/model.h"
#include "backend/schedule/orphans.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/settle.h"
#include "backend/schedule/sink.h"
#include "tests/fault/fault.h"

#define BEGIN INT64_C(1704067200000000) /* 2024-01-01 */
#define DAY   INT64_C(86400000000)

struct fixture {
	char dir[64], manifest[96], database[96];
	struct log log;
	struct clock clock;
	struct backend *b;
	struct fault_layer layer;
	struct engine engine;
	int sql; /* which SQL the models have */
};

static const char head[] =
	"{\"metadata\": {\"dbt_schema_version\": \"https://schemas.getdbt.com/dbt/manifest/v12.json\","
	" \"project_name\": \"p\", \"adapter_type\": \"sqlite\", \"dbt_version\": \"1.9.0\"},"
	" \"sources\": {}, \"parent_map\": {}, \"child_map\": {}, \"disabled\": {}, \"nodes\": {";

static const char node[] =
	"%s\"model.p.%s\": {\"resource_type\": \"model\", \"name\": \"%s\", \"package_name\": \"p\","
	" \"unique_id\": \"model.p.%s\", \"language\": \"sql\", \"database\": null, \"schema\": \"main\","
	" \"alias\": \"%s\", \"relation_name\": \"\\\"main\\\".\\\"%s\\\"\", \"fqn\": [\"p\", \"%s\"],"
	" \"original_file_path\": \"models/%s.sql\", \"depends_on\": {\"nodes\": [], \"macros\": []},"
	" \"raw_code\": \"select 1 as id, '2024-01-01' as ts\", \"compiled\": true,"
	" \"compiled_code\": \"select %d as id, '2024-01-01' as ts\","
	" \"checksum\": {\"name\": \"x\", \"checksum\": \"2\"}, \"config\": {\"enabled\": true,"
	" \"materialized\": \"incremental\", \"incremental_strategy\": \"microbatch\", \"event_time\": \"ts\","
	" \"batch_size\": \"day\", \"begin\": \"2024-01-01T00:00:00\", \"lookback\": 1}}";

/* Each letter is a model. */
static struct catalog *catalog_of(const struct fixture *f, const char *letters)
{
	struct catalog *catalog = NULL;
	struct error err = {0};
	FILE *out = fopen(f->manifest, "w");
	assert_non_null(out);
	fputs(head, out);
	for (size_t i = 0; letters[i]; i++) {
		char n[] = {letters[i], '\0'};
		fprintf(out, node, i ? ", " : "", n, n, n, n, n, n, n, f->sql);
	}
	fputs("}}", out);
	assert_int_equal(fclose(out), 0);
	if (manifest_load(f->manifest, &f->log, &catalog, &err) < 0)
		fail_msg("%s", err.text);
	return catalog;
}

static void open_backend(struct fixture *f, const char *letters)
{
	struct backend_config config = {.log = &f->log,
					.clock = &f->clock,
					.engine = &f->engine,
					.database = f->database,
					.timeout_s = 10,
					.jobs = 1,
					.drain_s = 5,
					.version = "test"};
	struct error err = {0};
	if (backend_open(&config, catalog_of(f, letters), &f->b, &err) < 0)
		fail_msg("%s", err.text);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	strcpy(f->dir, "/tmp/batchfs-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->manifest, sizeof f->manifest, "%s/manifest.json", f->dir);
	snprintf(f->database, sizeof f->database, "%s/warehouse.db", f->dir);
	FILE *empty = fopen(f->database, "w");
	assert_non_null(empty);
	fclose(empty);
	f->log = (struct log){.level = LOG_LEVEL_ERROR};
	f->clock = clock_starting_at(BEGIN + 3 * DAY + DAY / 2);
	fault_layer_init(&f->layer);
	f->engine = fault_wrap(&f->layer, &engine_sqlite);
	open_backend(f, "bm");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];
	backend_close(f->b);
	fault_layer_fini(&f->layer);
	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	int r = system(command);
	free(f);
	return r;
}

static void swap(struct fixture *f, const char *letters)
{
	struct error err = {0};
	struct catalog *catalog = catalog_of(f, letters);
	if (catalog_take_over(f->b, catalog, &err) < 0)
		fail_msg("%s", err.text);
}

static enum batch_state state_of(const struct backend *b, slot model, ordinal batch)
{
	struct batch_glance g;
	assert_int_equal(backend_glance(b, model, batch, &g), 0);
	return g.state;
}

/* The names in the root's .status, in their order. */
static void shows(const struct backend *b, const char *letters, const char * not )
{
	struct strbuf out = STRBUF_INIT;
	assert_int_equal(backend_root_status(b, &out), 0);
	const char *at = strstr(out.str, "\"models\"");
	assert_non_null(at);
	for (size_t i = 0; letters[i]; i++) {
		char key[] = {'"', letters[i], '"', ':', '\0'};
		at = strstr(at, key);
		assert_non_null(at);
	}
	for (size_t i = 0; not [i]; i++) {
		char key[] = {'"', not [i], '"', ':', '\0'};
		assert_null(strstr(out.str, key));
	}
	strbuf_fini(&out);
}

static void a_model_that_comes_has_a_place(void **state)
{
	struct fixture *f = *state;
	struct backend *b = f->b;
	slot m = backend_find(b, "m");
	ordinal first = backend_existing(b, m).first;
	struct store_request_row row = {.kind = REQUEST_BUILD,
					.id = 1,
					.seq = 1,
					.model = m,
					.batches = {first, first + 2},
					.command = "",
					.open = true};
	{
		LOCKED(&b->lock);
		assert_int_equal(ledger_put_request(b->ledger, &row), 0);
	}
	swap(f, "abkmz");
	assert_int_equal(backend_models(b), 5);
	assert_int_equal(backend_find(b, "m"), m);
	assert_int_equal(state_of(b, m, first + 1), BATCH_QUEUED);
	assert_int_equal(state_of(b, m, first + 2), BATCH_PENDING);
	for (const char *letter = "akz"; *letter; letter++) {
		char dir[] = {*letter, '\0'};
		slot s = backend_find(b, dir);
		assert_in_range(s, 2, 4);
		assert_string_equal(backend_model_dir(b, s), dir);
		assert_int_equal(state_of(b, s, first), BATCH_PENDING);
		assert_true(backend_changed_at(b, s) > 0);
	}
	shows(b, "abkmz", "");
}

static void a_model_that_goes_is_not_found(void **state)
{
	struct fixture *f = *state;
	struct backend *b = f->b;
	slot m = backend_find(b, "m");
	assert_true(backend_runnable(b, m));
	shows(b, "bm", "");
	swap(f, "b");
	assert_int_equal(backend_find(b, "m"), SLOT_NONE);
	assert_string_equal(backend_model_dir(b, m), "m");
	assert_false(backend_runnable(b, m));
	shows(b, "b", "m");
	swap(f, "bm");
	assert_int_equal(backend_find(b, "m"), m);
	assert_true(backend_runnable(b, m));
	assert_int_equal(backend_models(b), 2);
	shows(b, "bm", "");
}

static void queue_sql(struct fixture *f, const char *sql)
{
	sqlite3 *db = NULL;
	char path[128];
	snprintf(path, sizeof path, "%s-queue", f->database);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void settle(struct backend *b)
{
	struct error err = {0};
	b->orphans_at = 0;
	assert_int_equal(orphans_settle(b, &err), 0);
	assert_int_equal(outcomes_settle(b, &err), 0);
}

/* What a former mount has left in the queue was made for SQL that nobody has any more. */
static void what_no_mount_has_the_sql_for_fails(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	slot m = backend_find(f->b, "m");
	ordinal first = backend_existing(f->b, m).first;
	struct store_request r = {.kind = REQUEST_BUILD,
				  .uuid = {1},
				  .model = m,
				  .batches = {first, first + 2},
				  .expected = -1,
				  .command = "touch",
				  .at = BEGIN};
	assert_int_equal(store_request(f->b->store, &r, 1, NULL, &err), 0);
	backend_close(f->b);
	queue_sql(f, "UPDATE request SET code = 'another'");
	open_backend(f, "bm");
	m = backend_find(f->b, "m");
	settle(f->b);
	assert_int_equal(state_of(f->b, m, first), BATCH_QUEUED);
	queue_sql(f, "UPDATE request SET orphan_since = orphan_since - 60");
	settle(f->b);
	assert_int_equal(state_of(f->b, m, first), BATCH_FAILED);
	assert_int_equal(state_of(f->b, m, first + 1), BATCH_FAILED);
	struct strbuf out = STRBUF_INIT;
	assert_int_equal(backend_batch_document(f->b, m, first, &out), 0);
	assert_non_null(strstr(out.str, "no mount has had the SQL"));
	strbuf_fini(&out);
}

static void what_is_queued_of_a_model_that_goes_is_cancelled(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	slot m = backend_find(f->b, "m");
	ordinal first = backend_existing(f->b, m).first;
	struct store_sink sink;
	struct store_request r = {.kind = REQUEST_BUILD,
				  .uuid = {1},
				  .model = m,
				  .batches = {first, first + 2},
				  .expected = -1,
				  .command = "touch",
				  .at = BEGIN};
	assert_int_equal(store_request(f->b->store, &r, 1, NULL, &err), 0);
	struct store_request_row row = {.kind = REQUEST_BUILD,
					.id = r.id,
					.seq = r.seq,
					.model = m,
					.batches = r.batches,
					.command = "touch",
					.open = true};
	backend_sink(f->b, &sink)->request(f->b, &row);
	swap(f, "b");
	settle(f->b);
	swap(f, "bm");
	assert_int_equal(state_of(f->b, m, first), BATCH_PENDING);
}

static int take(struct fixture *f, const char *letters)
{
	struct error err = {0};
	return catalog_take_over(f->b, catalog_of(f, letters), &err);
}

static void ask_for(struct fixture *f, slot m, unsigned char uuid)
{
	struct error err = {0};
	ordinal first = backend_existing(f->b, m).first;
	struct store_request r = {.kind = REQUEST_BUILD,
				  .uuid = {uuid},
				  .model = m,
				  .batches = {first, first + 1},
				  .expected = -1,
				  .command = "touch",
				  .at = BEGIN};
	assert_int_equal(store_request(f->b->store, &r, 1, NULL, &err), 0);
}

/* How many codes the requests have been made for. */
static int codes_of_requests(struct fixture *f)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	char path[128];
	snprintf(path, sizeof path, "%s-queue", f->database);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(DISTINCT code) FROM request", -1, &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int n = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return n;
}

/* The states of a new manifest cannot be loaded: everything goes by the former one, at once or as soon as the
 * store can be told. */
static void a_take_over_that_fails_is_none(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	slot m = backend_find(f->b, "m");
	ask_for(f, m, 1);
	f->sql = 2;
	setenv("BATCHFS_FAULT", "load:error=EIO", 1);
	assert_int_equal(take(f, "bm"), -EIO);
	assert_false(f->b->torn);
	ask_for(f, m, 2);
	assert_int_equal(codes_of_requests(f), 1);
	f->b->torn = true;
	setenv("BATCHFS_FAULT", "enlist:error=EIO", 1);
	assert_int_equal(catalog_take_coming(f->b, &err), -EIO);
	assert_true(f->b->torn);
	unsetenv("BATCHFS_FAULT");
	assert_int_equal(catalog_take_coming(f->b, &err), 0);
	assert_false(f->b->torn);
	assert_int_equal(take(f, "bm"), 0);
	ask_for(f, m, 3);
	assert_int_equal(codes_of_requests(f), 2);
}

/* The store never had the model that the second manifest does not have any more. */
static void a_model_that_never_came_goes(void **state)
{
	struct fixture *f = *state;
	setenv("BATCHFS_FAULT", "enlist:error=EIO", 1);
	assert_int_equal(take(f, "bmx"), -EIO);
	unsetenv("BATCHFS_FAULT");
	assert_int_equal(take(f, "bm"), 0);
	shows(f->b, "bm", "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_take_over_that_fails_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_model_that_never_came_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_model_that_comes_has_a_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_model_that_goes_is_not_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_no_mount_has_the_sql_for_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_queued_of_a_model_that_goes_is_cancelled, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
