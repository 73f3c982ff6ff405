/* SPDX-License-Identifier: Apache-2.0 */
/* What dbt is told, what a look shows, and whether the project is what the manifest was made from. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/base/cleanup.h"
#include "backend/base/sha256.h"
#include "backend/dbt/adopt.h"
#include "backend/dbt/chunk.h"
#include "backend/dbt/command.h"
#include "backend/dbt/look.h"
#include "backend/dbt/process.h"
#include "backend/dbt/source.h"
#include "tests/unit/dbt_fixture.h"

static const char *const deeper[] = {"shop", "mart", "sessions", NULL};

/* By Python's hashlib: around the ends of a block. */
static void hashes(void **state)
{
	static const struct {
		size_t len;
		const char *hex;
	} all[] = {{0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		   {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
		   {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
		   {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
		   {119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"},
		   {200, "c2a908d98f5df987ade41b5fce213067efbcc21ef2240212a41e54b5e7c28ae5"}};
	char text[200], hex[65];
	memset(text, 'a', sizeof text);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		sha256_hex(text, all[i].len, hex);
		assert_string_equal(hex, all[i].hex);
	}
}

static bool has_word(const struct words *w, const char *word)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->list[i], word) == 0)
			return true;
	return false;
}

static void put_file(const char *path, const char *text)
{
	auto_file FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

/* As dbt hashes it. */
static void a_file_that_has_moved_on(void **state)
{
	char dir[] = "/tmp/batchfs-source-XXXXXX", path[64];
	struct catalog one = {.project = "shop", .dbt_version = "1.11.2"};
	struct model m = sessions;
	struct error err = {0};
	m.catalog = &one;
	m.original_path = "sessions.sql";
	m.checksum = "822ae07d4783158bc1912bb623e5107cc9002d519e1143a9c200ed6ee18b6d0f"; /* select 1 */
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sessions.sql", dir);
	assert_int_equal(source_check(dir, &m, &err), 0); /* there is none */
	put_file(path, "\n select 1\r\n\t");
	assert_int_equal(source_check(dir, &m, &err), 0);
	put_file(path, "select 2");
	assert_int_equal(source_check(dir, &m, &err), -ESTALE);
	assert_non_null(strstr(err.text, "sessions.sql is not what the manifest was made from"));
	assert_true(error_may_pass(err.text));
	put_file(path, "select 2 -- \xc2\xa0"); /* a space to Python */
	assert_int_equal(source_check(dir, &m, &err), 0);
	put_file(path, "select 2");
	one.dbt_version = "2.0.1";
	assert_int_equal(source_check(dir, &m, &err), 0);
	one.dbt_version = "1.9.0";
	m.package = "util";
	assert_int_equal(source_check(dir, &m, &err), 0);
	unlink(path);
	rmdir(dir);
}

static void words_of_a_run(void **state)
{
	const struct engine_config config = {
		.project = "/p", .profiles = "/q", .target = "dev", .dbt = "dbt"};
	auto_words w;
	words_run(&w, &config, "/s/0", &sessions,
		  (struct ordinal_range){day("2024-09-01"), day("2024-09-04")}, false);
	assert_false(w.broken);
	auto_free char *json = words_json(&w);
	assert_string_equal(
		json,
		"[\"--log-format\",\"json\",\"--log-level\",\"info\",\"run\",\"--select\","
		"\"fqn:shop.sessions,path:models/sessions.sql\",\"--event-time-start\",\"2024-09-01T00:00:00\","
		"\"--event-time-end\",\"2024-09-04T00:00:00\",\"--project-dir\",\"/p\",\"--profiles-dir\",\"/q\","
		"\"--target\",\"dev\",\"--target-path\",\"/s/0/target\",\"--log-path\",\"/s/0/logs\","
		"\"--no-fail-fast\",\"--write-json\"]");
	assert_false(has_word(&w, "--full-refresh"));
	/* A package's file has a path that dbt's selection cannot say. */
	struct model other = sessions;
	other.package = "util";
	other.fqn = (const char **)deeper;
	auto_words v;
	words_run(&v, &config, "/s/0", &other, (struct ordinal_range){day("2024-09-01"), day("2024-09-02")},
		  true);
	assert_true(has_word(&v, "fqn:shop.mart.sessions"));
	assert_true(has_word(&v, "--full-refresh"));
}

static void words_of_a_look(void **state)
{
	const struct engine_config config = {.project = "/p", .dbt = "dbt"};
	auto_words w;
	words_look(&w, &config, "/s/0", &sessions);
	assert_true(has_word(
		&w,
		"{% set t = adapter.get_relation(database='shop', schema='main', identifier='sess\\'ions') %}{% if t "
		"is none %}select 'missing' as batchfs_hour{% else %}select distinct {{ dbt.date_trunc('hour', "
		"'\"event_time\"') }} as batchfs_hour from {{ t }} where \"event_time\" is not null{% endif %}"));
}

static void what_a_look_shows(void **state)
{
	struct found_windows found;
	struct error err = {0};
	assert_int_equal(shown_batches("[{\"w\": \"2024-09-03T05:00:00\"}, {\"W\": \"2024-09-01\"}, {\"w\": "
				       "\"2024-09-03T04:00:00\"}, {\"w\": \"2024-09-05T01:00:00+02:00\"}]",
				       BATCH_DAY, &found, &err),
			 0);
	assert_true(found.there);
	assert_int_equal(found.n, 3);
	assert_int_equal(found.batches[0], day("2024-09-01"));
	assert_int_equal(found.batches[1], day("2024-09-03"));
	assert_int_equal(found.batches[2], day("2024-09-04")); /* in UTC */
	free(found.batches);
	assert_int_equal(shown_batches("[{\"w\": \"missing\"}]", BATCH_DAY, &found, &err), 0);
	assert_false(found.there);
	assert_int_equal(found.n, 0);
	free(found.batches);
	static const char *const wrong[] = {"", "{}", "[{\"w\": \"soon\"}]", "[{\"w\": 3}]", "[3]"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(shown_batches(wrong[i], BATCH_DAY, &found, &err), -EINVAL);
		free(found.batches);
	}
}

/* A number in a lock file is believed where the file itself is open in that group. */
static void only_its_own_are_ended(void **state)
{
	static const char *const argv[] = {"sleep", "1000", NULL};
	char left[] = "/tmp/batchfs-test-XXXXXX", other[] = "/tmp/batchfs-test-XXXXXX";
	int hold = mkstemp(left), elsewhere = mkstemp(other), status;
	struct process p;
	struct error err = {0};
	struct process_plan plan = {.argv = argv, .cwd = "/", .hold = hold};
	assert_int_equal(process_start(&plan, &p, &err), 0);
	assert_false(process_end_left(p.pid, elsewhere));
	assert_false(process_end_left(getpgrp(), hold));
	assert_false(process_ended(&p));
	assert_true(process_end_left(p.pid, hold));
	assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(p.out);
	close(hold);
	close(elsewhere);
	unlink(left);
	unlink(other);
}

#define RESULTS                                                                                              \
	"{\"results\": [{\"unique_id\": \"model.shop.sessions\", \"batch_results\": {\"failed\": [], "       \
	"\"successful\": [[\"2024-09-01T00:00:00Z\", \"2024-09-01T01:00:00Z\"], "                            \
	"[\"2024-09-02T00:00:00Z\", \"2024-09-03T00:00:00Z\"], "                                             \
	"[\"2024-10-01T00:00:00Z\", \"2024-11-01T00:00:00Z\"], "                                             \
	"[\"2024-01-01T00:00:00Z\", \"2024-02-01T00:00:00Z\"], "                                             \
	"[\"2025-01-01T00:00:00Z\", \"2026-01-01T00:00:00Z\"]]}}]}"

/* Of a run with another batch_size: what only begins with a batch of now is none. */
static void only_whole_batches_are_adopted(void **state)
{
	static const struct {
		enum batch_size size;
		const char *batch;
	} all[] = {{BATCH_HOUR, "2024-09-01T00"},
		   {BATCH_DAY, "2024-09-02"},
		   {BATCH_MONTH, "2024-10"},
		   {BATCH_YEAR, "2025"}};
	char path[] = "/tmp/batchfs-adopt-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	put_file(path, RESULTS);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct found_windows found = {0};
		struct error err = {0};
		struct model m = sessions;
		bool told;
		m.catalog = NULL;
		m.batch_size = all[i].size;
		assert_int_equal(adopt_read(path, NULL, &m, &found, &told, &err), 0);
		assert_true(told);
		/* Of two months both are whole. */
		assert_int_equal(found.n, all[i].size == BATCH_MONTH ? 2 : 1);
		assert_int_equal(found.batches[found.n - 1], day(all[i].batch));
		free(found.batches);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test(a_file_that_has_moved_on),
		cmocka_unit_test(words_of_a_run),
		cmocka_unit_test(words_of_a_look),
		cmocka_unit_test(what_a_look_shows),
		cmocka_unit_test(only_its_own_are_ended),
		cmocka_unit_test(only_whole_batches_are_adopted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
