/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that another batchfs has made. tests/fixtures/sqlite has what version 1 left behind: three days
 * built, one of them twice; one failed; one that ran when the mount was killed; one that waits; a day frozen,
 * the model protected.
 */
#include "tests/unit/sqlite_fixture.h"
#include "tests/unit/sql_steps.h"

#define BEGUN INT64_C(1725624000000000) /* that mount's clock */

static int64_t queue(struct fixture *f, const char *sql)
{
	char text[512];
	snprintf(text, sizeof text, "ATTACH '%s-queue' AS q; %s", f->file, sql);
	return shell(f, text);
}

static void make(const char *file, const char *dump)
{
	char path[512], *text = NULL, *message = NULL;
	size_t size = 0;
	snprintf(path, sizeof path, "%s/tests/fixtures/sqlite/%s", getenv("BATCHFS_SOURCE"), dump);
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	assert_true(getdelim(&text, &size, '\0', in) > 0);
	fclose(in);
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", path, message);
	sqlite3_close(db);
	free(text);
}

static int version_1(void **state)
{
	int r = fixture_new(state);
	struct fixture *f = *state;
	char path[128];
	snprintf(path, sizeof path, "%s-queue", f->file);
	make(f->file, "version-1.sql");
	make(path, "version-1-queue.sql");
	f->model[0].dir = f->model[0].name = "sessions";
	f->model[0].relation.identifier = (char *)"sessions";
	f->model[0].event_time = f->input.event_time = "event_time";
	f->model[0].compiled = "select id, event_time, val from \"w\".\"main\".\"events\"";
	snprintf(f->model[0].code, sizeof f->model[0].code, "f05b883acf3bc92e");
	return r;
}

static void all_is_kept(void **state)
{
	struct fixture *f = *state;
	connect_all(f);
	assert_int_equal(f->target[0].why_not.err, 0);
	assert_false(f->target[0].look);
	assert_int_equal(shell(f, "SELECT value FROM batchfs_meta WHERE key = 'version'"), 3);
	assert_int_equal(queue(f, "SELECT value FROM q.batchfs_meta WHERE key = 'version'"), 10);
	assert_int_equal(queue(f, "SELECT count(*) FROM q.refresh"), 0);
	assert_int_equal(queue(f, "SELECT count(*) FROM q.validation"), 0);
	assert_int_equal(
		queue(f,
		      "SELECT count(*) FROM q.batchfs_meta AS a, main.batchfs_meta AS b WHERE a.key = 'identity'"
		      " AND b.key = 'identity' AND length(a.value) = 32 AND length(b.value) = 32"
		      " AND a.value <> b.value"),
		1);
	for (int i = 0; i < 3; i++) {
		const struct store_state *st = state_of(f, day(f, i));
		assert_int_equal(st->outcome, OUTCOME_DONE);
		assert_int_equal(st->run, ROW_IDLE);
		assert_int_equal(st->attempt, i == 1 ? 2 : 1);
		assert_int_equal(st->rows_inserted, 4);
		assert_true(st->built > BEGUN);
	}
	assert_int_equal(state_of(f, day(f, 3))->outcome, OUTCOME_FAILED);
	assert_int_equal(state_of(f, day(f, 4))->run, ROW_REQUEUED);
	assert_null(state_of(f, day(f, 5)));
	assert_int_equal(f->seen.requests, 5);
	assert_int_equal(f->seen.request.batches.first, day(f, 5));
	assert_true(f->seen.request.open);
	assert_int_equal(f->seen.freezes, 2);
	/* And it goes on. */
	struct store_request r = ask(f, 1, day(f, 3), day(f, 5));
	assert_true(r.seq > INT64_C(1882882187460613));
	assert_true(r.id > INT64_C(1882882187460613));
	struct build_run run = claim(f, &r);
	assert_int_equal(run.attempt[0], 2);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	assert_int_equal(shell(f, "SELECT count(*) FROM sessions"), 20);
}

/* What each former version has left: the steps up to it have been taken. */
static void from_every_former_version(void **state)
{
	struct fixture *f = *state;
	for (int v = 2; v < 10; v++) {
		char steps[16384] = "", path[128];
		snprintf(path, sizeof path, "%s-queue", f->file);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(unlink(f->file), 0);
		make(f->file, "version-1.sql");
		make(path, "version-1-queue.sql");
		for (int i = 2; i <= v; i++)
			assert_int_equal(sql_step("backend/sqlite/queue/schema.sql", "queue_version_", i,
						  steps, sizeof steps),
					 1);
		char *message = NULL;
		sqlite3 *db = NULL;
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		if (sqlite3_exec(db, steps, NULL, NULL, &message) != SQLITE_OK)
			fail_msg("%s", message);
		sqlite3_close(db);
		char text[100];
		snprintf(text, sizeof text, "UPDATE q.batchfs_meta SET value = %d WHERE key = 'version'", v);
		queue(f, text);
		connect_all(f);
		assert_int_equal(queue(f, "SELECT value FROM q.batchfs_meta WHERE key = 'version'"), 10);
		assert_int_equal(state_of(f, day(f, 3))->outcome, OUTCOME_FAILED);
		disconnect(f);
	}
}

/* A step that cannot be taken leaves the file as it was: all of it is one transaction. */
static void half_a_step_is_none(void **state)
{
	struct fixture *f = *state;
	queue(f, "ALTER TABLE q.attempt ADD COLUMN rows_inserted INTEGER");
	assert_true(f->engine->store->open(&f->config, &f->store, &f->err) < 0);
	assert_int_equal(queue(f, "SELECT value FROM q.batchfs_meta WHERE key = 'version'"), 1);
	assert_int_equal(queue(f, "SELECT count(*) FROM q.batchfs_meta"), 1);
	assert_int_equal(
		queue(f, "SELECT count(*) FROM pragma_table_info('state', 'q') WHERE name = 'built'"), 0);
}

static void refused(struct fixture *f, const char *name, const char *why)
{
	assert_int_equal(f->engine->store->open(&f->config, &f->store, &f->err), -EINVAL);
	assert_null(f->store);
	assert_non_null(strstr(f->err.text, name));
	if (!strstr(f->err.text, why))
		fail_msg("%s", f->err.text);
}

static void newer_is_refused(void **state)
{
	struct fixture *f = *state;
	connect_all(f);
	disconnect(f);
	shell(f, "UPDATE batchfs_meta SET value = 9 WHERE key = 'version'");
	refused(f, f->file, "version 9, and this batchfs knows them up to version 3");
	f->config.read_only = true;
	refused(f, f->file, "version 9, and this batchfs knows them up to version 3");
	f->config.read_only = false;
	shell(f, "UPDATE batchfs_meta SET value = 3 WHERE key = 'version'");
	queue(f, "UPDATE q.batchfs_meta SET value = 11 WHERE key = 'version'");
	refused(f, "-queue", "version 11, and this batchfs knows them up to version 10");
}

static void older_is_refused_by_who_only_reads(void **state)
{
	struct fixture *f = *state;
	f->config.read_only = true;
	refused(f, "-queue", "version 1, and this batchfs reads version 10: mount it once without -o ro");
	assert_int_equal(shell(f, "SELECT value FROM batchfs_meta WHERE key = 'version'"), 1);
}

static void a_version_that_is_none(void **state)
{
	struct fixture *f = *state;
	shell(f, "UPDATE batchfs_meta SET value = 'two' WHERE key = 'version'");
	refused(f, f->file, "damaged: it holds no version");
	shell(f, "DELETE FROM batchfs_meta");
	refused(f, f->file, "damaged: it holds no version");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, version_1, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_kept),
		TEST(from_every_former_version),
		TEST(half_a_step_is_none),
		TEST(newer_is_refused),
		TEST(older_is_refused_by_who_only_reads),
		TEST(a_version_that_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
