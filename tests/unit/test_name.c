/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "backend/base/strbuf.h"
#include "fs/name.h"
#include "fs/progress.h"

static ordinal day(const char *text)
{
	enum batch_size size;
	ordinal o;

	assert_true(calendar_parse_name(text, strlen(text), &size, &o));
	return o;
}

static void check(enum batch_size size, const char *text, enum node_kind kind, size_t len)
{
	struct name name;

	assert_int_equal(name_parse(size, text, &name), 0);
	assert_int_equal(name.kind, kind);
	assert_int_equal(name.len, len);
}

static void test_kinds(void **state)
{
	(void)state;
	check(BATCH_DAY, "2024-09-01", NODE_BATCH, 10);
	check(BATCH_DAY, "2024-09-01.failed", NODE_BATCH, 17);
	check(BATCH_DAY, "2024-09-01.sql", NODE_BATCH_SQL, 10);
	check(BATCH_DAY, "2024-09.sql", NODE_RANGE_SQL, 7);
	check(BATCH_DAY, "2024-09.failed", NODE_RANGE, 14);
	check(BATCH_MONTH, "2024-09.failed", NODE_BATCH, 14);
	check(BATCH_DAY, ".failed", NODE_RANGE, 7);
	check(BATCH_DAY, ".progress", NODE_PROGRESS, 0);
	check(BATCH_DAY, ".run.progress", NODE_PROGRESS, 4);
	check(BATCH_DAY, ".failed.progress", NODE_PROGRESS, 7);
	check(BATCH_DAY, "2024-09-01.failed.progress", NODE_PROGRESS, 17);
	check(BATCH_DAY, "2024-09-01.validate", NODE_BATCH_VALIDATE, 10);
	check(BATCH_DAY, "2024-09-01.validate.json", NODE_BATCH_VALIDATE_JSON, 10);
	check(BATCH_DAY, "2024-09.validate", NODE_RANGE_VALIDATE, 7);
	check(BATCH_DAY, "2024-09-01--2024-09-03.validate.json", NODE_RANGE_VALIDATE_JSON, 22);
	check(BATCH_DAY, ".failed.validate", NODE_RANGE_VALIDATE, 7);
	check(BATCH_DAY, "2024-09.progress", NODE_PROGRESS, 7);
}

static void test_sets(void **state)
{
	struct name name;

	(void)state;
	assert_int_equal(name_parse(BATCH_DAY, "2024-09-01--2024-09-04.stale", &name), 0);
	assert_int_equal(name.states, 1u << BATCH_STALE);
	assert_int_equal(name.batches.first, day("2024-09-01"));
	assert_int_equal(name.batches.end, day("2024-09-04"));
	assert_int_equal(name.suffix, 0);
	assert_int_equal(name_parse(BATCH_DAY, ".done", &name), 0);
	assert_int_equal(name.states, 1u << BATCH_DONE);
	assert_int_equal(name.batches.first, 0);
	assert_int_equal(name.batches.end, NAME_EVERY_BATCH.end);
	assert_int_equal(name_parse(BATCH_DAY, "2024-09-03.failed", &name), 0);
	assert_int_equal(name.states, 0);
	assert_int_equal(name.suffix, suffix_of(BATCH_FAILED));
}

static void test_what_is_no_name(void **state)
{
	static const char *const none[] = {
		"",
		".",
		".sql",
		".faile",
		".failed.sql",
		".run.sql",
		"2024-09-01.done",
		"2024-09-01.failed.sql",
		"2024.",
		"2024.failed.failed",
		"2024-09-01T05",
		"x.failed",
		"--.failed",
		"2024--.failed",
		".progress.sql",
		".progress.progress",
		".model.progress",
		"2024.sql.progress",
		"x.progress",
		".status.failed",
	};
	struct name name;

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(name_parse(BATCH_DAY, none[i], &name), -ENOENT);
	assert_int_equal(name_parse(BATCH_DAY, "2024--2024", &name), -EINVAL);
	assert_int_equal(name_parse(BATCH_DAY, "2024--2023.failed", &name), -EINVAL);
	assert_int_equal(name_parse(BATCH_DAY, "2024--2023.progress", &name), -EINVAL);
}

static void check_line(struct progress_line l, const char *text)
{
	struct strbuf out = STRBUF_INIT;

	progress_format(&l, &out);
	assert_string_equal(out.str, text);
	strbuf_fini(&out);
}

static void test_progress_lines(void **state)
{
	(void)state;
	check_line(
		(struct progress_line){
			.total = 365, .done = 183, .failed = 2, .left = 180, .ended = 31, .us = 1000000},
		"[#####.....] 183/365 done, 2 failed, 31/s, 6 s left\n");
	check_line((struct progress_line){0}, "[..........] 0/0 done, 0 failed\n");
	check_line((struct progress_line){.total = 4, .done = 4, .pending = 3},
		   "[##########] 4/4 done, 0 failed, 3 pending\n");
	check_line((struct progress_line){.total = 1000, .left = 999, .done = 1, .ended = 1, .us = 2000000},
		   "[..........] 1/1000 done, 0 failed, 0.5/s, 33 min left\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_what_is_no_name),
		cmocka_unit_test(test_progress_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
