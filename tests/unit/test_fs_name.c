/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/name.h"
#include "fs/reason.h"

static ordinal at(enum batch_size size, const char *name)
{
	enum batch_size named;
	ordinal o = 0;

	assert_true(calendar_parse_name(name, strlen(name), &named, &o));
	return named == size ? o : calendar_ordinal(size, calendar_start(named, o));
}

static struct name parse(enum batch_size size, const char *text)
{
	struct name n;

	assert_int_equal(name_parse(size, text, &n), 0);
	return n;
}

static void assert_batches(struct name n, enum batch_size size, const char *first, const char *end)
{
	assert_int_equal(n.batches.first, at(size, first));
	assert_int_equal(n.batches.end, at(size, end));
}

static void test_batches(void **state)
{
	struct name n = parse(BATCH_DAY, "2024-09-01");

	assert_int_equal(n.kind, NODE_BATCH);
	assert_int_equal(n.suffix, 0);
	assert_batches(n, BATCH_DAY, "2024-09-01", "2024-09-02");
	n = parse(BATCH_HOUR, "2024-09-01T23.failed");
	assert_int_equal(n.kind, NODE_BATCH);
	assert_int_equal(n.suffix, suffix_of(BATCH_FAILED));
	n = parse(BATCH_MONTH, "2024-09.sql");
	assert_int_equal(n.kind, NODE_BATCH_SQL);
	assert_batches(n, BATCH_MONTH, "2024-09", "2024-10");
}

static void test_periods(void **state)
{
	struct name n = parse(BATCH_DAY, "2024-02");

	assert_int_equal(n.kind, NODE_RANGE);
	assert_batches(n, BATCH_DAY, "2024-02-01", "2024-03-01");
	assert_batches(parse(BATCH_HOUR, "2024"), BATCH_HOUR, "2024-01-01T00", "2025-01-01T00");
	assert_int_equal(parse(BATCH_DAY, "2024.sql").kind, NODE_RANGE_SQL);
}

static void test_ranges(void **state)
{
	assert_batches(parse(BATCH_DAY, "2024-09--2024-10"), BATCH_DAY, "2024-09-01", "2024-10-01");
	assert_batches(parse(BATCH_DAY, "2024-09-01--2024-09-04"), BATCH_DAY, "2024-09-01", "2024-09-04");
	/* An end inside a batch takes that batch in, and so does a start. */
	assert_batches(parse(BATCH_DAY, "2024-09-01T12--2024-09-03T01"), BATCH_DAY, "2024-09-01",
		       "2024-09-04");
	assert_batches(parse(BATCH_YEAR, "2023-05--2024-02"), BATCH_YEAR, "2023", "2025");
	assert_int_equal(parse(BATCH_DAY, "2024--2025.sql").kind, NODE_RANGE_SQL);
	/* What is not listed may be written short. */
	assert_batches(parse(BATCH_DAY, "2024-9-1--2024-9-04"), BATCH_DAY, "2024-09-01", "2024-09-04");
	assert_batches(parse(BATCH_DAY, "2024-9.failed"), BATCH_DAY, "2024-09-01", "2024-10-01");
	assert_batches(parse(BATCH_HOUR, "2024-9-1"), BATCH_HOUR, "2024-09-01T00", "2024-09-02T00");
}

static void test_no_names(void **state)
{
	static const char *const none[] = {
		"",
		"x",
		"2024-09-01T00",
		"2024-9-1",
		"2024-9-1.failed",
		"2024-9-0--2024-9-3",
		"2024-9-1--2024-9-31",
		"2024-09-1T5",
		"2024-009",
		"2024-09-01.done",
		"2024-09-01.",
		".",
		"2024-09-01.Failed",
		"2024-09-01.sql.sql",
		"2024-09-01.failed.sql",
		"2024-02-30",
		"2024.x",
		"2024-09-01 ",
		"2024-09-01--",
		"--2024-09-01",
		"2024-09--2024-10--2024-11",
		".sql",
		"2024-09.faild",
		".modelx",
		"2024-09-01..failed",
		"2024-09-01--x",
		"0000-01-01",
	};
	struct name n;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (name_parse(BATCH_DAY, none[i], &n) != -ENOENT)
			fail_msg("\"%s\" is a name", none[i]);
	assert_int_equal(name_parse(BATCH_DAY, "2024-09-02--2024-09-02", &n), -EINVAL);
	assert_int_equal(name_parse(BATCH_DAY, "2024-09-02--2024-09", &n), -EINVAL);
	assert_int_equal(name_parse(BATCH_DAY, "2024-09-02--2024-09.sql", &n), -EINVAL);
}

static struct name parse_selected(const char *text)
{
	struct name n;

	assert_int_equal(name_parse_in_selection(text, &n), 0);
	return n;
}

static void assert_spans(const char *text, enum batch_size size, const char *first, const char *end)
{
	struct ordinal_range batches = name_batches(size, parse_selected(text).span);

	assert_int_equal(batches.first, at(size, first));
	assert_int_equal(batches.end, at(size, end));
}

static void test_names_in_a_selection(void **state)
{
	struct name n = parse_selected("2024-09-01.failed");

	assert_int_equal(n.kind, NODE_RANGE);
	assert_int_equal(n.suffix, 0);
	assert_int_equal(n.states, 1u << BATCH_FAILED);
	assert_int_equal(parse_selected(".run.progress").kind, NODE_PROGRESS);
	assert_int_equal(parse_selected("2024.progress").kind, NODE_PROGRESS);
	assert_int_equal(parse_selected(".progress").kind, NODE_PROGRESS);
	assert_int_equal(name_batches(BATCH_DAY, parse_selected(".pending").span).end, NAME_EVERY_BATCH.end);
	/* Each model takes it in its own size, and an end inside a batch takes that batch in. */
	assert_spans("2024-09", BATCH_DAY, "2024-09-01", "2024-10-01");
	assert_spans("2024-09", BATCH_YEAR, "2024", "2025");
	assert_spans("2024-9-1", BATCH_DAY, "2024-09-01", "2024-09-02");
	assert_spans("2024-09-01T05", BATCH_DAY, "2024-09-01", "2024-09-02");
	assert_spans("2024-09-15--2024-10-02T01", BATCH_HOUR, "2024-09-15T00", "2024-10-02T01");
	assert_spans("2024-09-15--2024-10-02T01", BATCH_DAY, "2024-09-15", "2024-10-03");
	assert_spans("2024-09-15--2024-10-02T01", BATCH_MONTH, "2024-09", "2024-11");
	for (const char *const *bad =
		     (const char *const[]){".model", ".full-refresh", "2024.sql", "2024-9-", "x", ".new",
					   "2024.new", ".status.progress", ".validate", ".validate.json",
					   "2024-09-01.validate.failed", "2024.validate.sql", NULL};
	     *bad; bad++)
		assert_int_equal(name_parse_in_selection(*bad, &n), -ENOENT);
	assert_int_equal(name_parse_in_selection("2024-09--2024-09", &n), -EINVAL);
}

static void test_format_is_parsed_back(void **state)
{
	char buf[BATCH_FILE_NAME_MAX];

	for (uint8_t suffix = 0; suffix < NODE_SUFFIXES; suffix++) {
		ordinal o = at(BATCH_HOUR, "9999-12-31T23");
		size_t len = name_format(BATCH_HOUR, o, suffix, buf);
		assert_int_equal(len, strlen(buf));
		struct name n = parse(BATCH_HOUR, buf);
		assert_int_equal(n.kind, NODE_BATCH);
		assert_int_equal(n.batches.first, o);
		assert_int_equal(n.suffix, suffix);
	}
	name_format(BATCH_DAY, at(BATCH_DAY, "2024-09-03"), suffix_of(BATCH_FAILED), buf);
	assert_string_equal(buf, "2024-09-03.failed");
	name_format(BATCH_DAY, at(BATCH_DAY, "2024-09-03"), suffix_of(BATCH_DONE), buf);
	assert_string_equal(buf, "2024-09-03");
}

static void assert_reason(const char *text, size_t len, const char *want)
{
	char out[REASON_BYTES + 1];

	reason_clean(text, len, out);
	assert_string_equal(out, want);
}

static void test_reason(void **state)
{
	char text[3000], out[REASON_BYTES + 1];

	assert_reason("  because\n", 10, "because");
	assert_reason("\n\n", 2, "");
	assert_reason("", 0, "");
	assert_reason("a\nb\tc", 5, "a\nb\tc");
	assert_reason("a\0b\033c", 5, "a b c");
	assert_reason("caf\xc3\xa9", 5, "caf\xc3\xa9");
	assert_reason("x\xff\xc3", 3, "x??");
	assert_reason("\xed\xa0\x80", 3, "???");
	assert_reason("\xc0\x80|\xf4\x90\x80\x80", 7, "??|????");
	/* Cut at a character. */
	memset(text, 'x', sizeof(text));
	memcpy(text + REASON_BYTES - 1, "\xc3\xa9", 2);
	reason_clean(text, sizeof(text), out);
	assert_int_equal(strlen(out), REASON_BYTES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_periods),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_format_is_parsed_back),
		cmocka_unit_test(test_reason),
		cmocka_unit_test(test_names_in_a_selection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
