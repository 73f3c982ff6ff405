/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/calendar.h"

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

static const enum batch_size sizes[] = {BATCH_HOUR, BATCH_DAY, BATCH_MONTH, BATCH_YEAR};

/* A calendar that only counts: a day after a day. */
struct naive {
	int year, month, day;
	int64_t us;
};

static int naive_month_length(const struct naive *n)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (n->month != 2)
		return lengths[n->month - 1];
	if (n->year % 400 == 0)
		return 29;
	if (n->year % 100 == 0)
		return 28;
	return n->year % 4 == 0 ? 29 : 28;
}

static void naive_step(struct naive *n)
{
	n->us += DAY;
	if (n->day++ < naive_month_length(n))
		return;
	n->day = 1;
	if (n->month++ < 12)
		return;
	n->month = 1;
	n->year++;
}

static int64_t parsed(const char *text)
{
	int64_t us;
	int32_t offset;
	if (!calendar_parse_time(text, &us, &offset))
		fail_msg("not parsed: %s", text);
	return us;
}

/* The batch of `size` that holds the time is called `name`, starts at `start`, and both ways lead back. */
static void check(enum batch_size size, int64_t us, const char *name, int64_t start)
{
	char buf[CALENDAR_NAME_MAX];
	enum batch_size size_back;
	ordinal o = calendar_ordinal(size, us), back;

	assert_int_equal(calendar_name(size, o, buf), strlen(name));
	assert_string_equal(buf, name);
	assert_true(calendar_parse_name(name, strlen(name), &size_back, &back));
	assert_int_equal(size_back, size);
	assert_int_equal(back, o);
	assert_true(calendar_start(size, o) == start);
	assert_true(us >= start && us < calendar_start(size, o + 1));
	assert_int_equal(calendar_ceil(size, us), us == start ? o : o + 1);
}

static void check_day(const struct naive *n, int64_t month_start, int64_t year_start)
{
	static const int hours[] = {0, 1, 12, 23};
	char name[64];

	snprintf(name, sizeof name, "%04d-%02d-%02d", n->year, n->month, n->day);
	check(BATCH_DAY, n->us, name, n->us);
	check(BATCH_DAY, n->us + DAY - 1, name, n->us);
	for (size_t i = 0; i < sizeof hours / sizeof *hours; i++) {
		int64_t start = n->us + hours[i] * HOUR;
		snprintf(name, sizeof name, "%04d-%02d-%02dT%02d", n->year, n->month, n->day, hours[i]);
		check(BATCH_HOUR, start, name, start);
		check(BATCH_HOUR, start + HOUR - 1, name, start);
	}
	snprintf(name, sizeof name, "%04d-%02d", n->year, n->month);
	check(BATCH_MONTH, n->us, name, month_start);
	check(BATCH_MONTH, n->us + DAY - 1, name, month_start);
	snprintf(name, sizeof name, "%04d", n->year);
	check(BATCH_YEAR, n->us, name, year_start);
	check(BATCH_YEAR, n->us + DAY - 1, name, year_start);
}

static void test_every_day_1900_to_2200(void **state)
{
	/* 70 years before 1970 with 17 leap years: 1900 has no 29th of February. */
	struct naive n = {1900, 1, 1, -(INT64_C(70) * 365 + 17) * DAY};
	int64_t month_start = n.us, year_start = n.us;
	ordinal last_hour = calendar_ordinal(BATCH_HOUR, n.us - 1);
	int days = 0;

	for (; n.year <= 2200; naive_step(&n), days++) {
		if (n.day == 1)
			month_start = n.us;
		if (n.day == 1 && n.month == 1)
			year_start = n.us;
		if (n.year == 1970 && n.month == 1 && n.day == 1)
			assert_true(n.us == 0);
		check_day(&n, month_start, year_start);
		assert_int_equal(calendar_ordinal(BATCH_HOUR, n.us), last_hour + 1);
		last_hour += 24;
	}
	assert_int_equal(days, 301 * 365 + 73);
	(void)state;
}

static void test_whole_calendar(void **state)
{
	struct naive n = {1, 1, 1, CALENDAR_MIN_US};
	char name[64], buf[CALENDAR_NAME_MAX];

	for (ordinal o = 0; n.year <= 9999; naive_step(&n), o++) {
		snprintf(name, sizeof name, "%04d-%02d-%02d", n.year, n.month, n.day);
		calendar_name(BATCH_DAY, o, buf);
		if (strcmp(name, buf) != 0 || calendar_start(BATCH_DAY, o) != n.us)
			fail_msg("day %u: %s, not %s", o, buf, name);
	}
	assert_true(n.us == CALENDAR_END_US);
	(void)state;
}

static void test_ends(void **state)
{
	check(BATCH_HOUR, CALENDAR_MIN_US, "0001-01-01T00", CALENDAR_MIN_US);
	check(BATCH_YEAR, CALENDAR_MIN_US, "0001", CALENDAR_MIN_US);
	check(BATCH_HOUR, CALENDAR_END_US - 1, "9999-12-31T23", CALENDAR_END_US - HOUR);
	check(BATCH_MONTH, CALENDAR_END_US - 1, "9999-12", CALENDAR_END_US - 31 * DAY);
	check(BATCH_YEAR, CALENDAR_END_US - 1, "9999", CALENDAR_END_US - 365 * DAY);
	for (size_t i = 0; i < 4; i++) {
		ordinal last = calendar_ordinal(sizes[i], INT64_MAX);
		assert_true(last < UINT32_C(1) << 27);
		assert_int_equal(calendar_ordinal(sizes[i], CALENDAR_END_US), last);
		assert_int_equal(calendar_ordinal(sizes[i], INT64_MIN), 0);
		assert_int_equal(calendar_ceil(sizes[i], INT64_MIN), 0);
		assert_int_equal(calendar_ceil(sizes[i], INT64_MAX), last + 1);
		assert_true(calendar_start(sizes[i], last + 1) == CALENDAR_END_US);
		assert_true(calendar_start(sizes[i], UINT32_MAX) == CALENDAR_END_US);
	}
	(void)state;
}

static void test_sizes(void **state)
{
	enum batch_size size;

	for (size_t i = 0; i < 4; i++) {
		assert_true(calendar_size_parse(calendar_size_name(sizes[i]), &size));
		assert_int_equal(size, sizes[i]);
	}
	assert_string_equal(calendar_size_name(BATCH_MONTH), "month");
	assert_false(calendar_size_parse("week", &size));
	assert_false(calendar_size_parse("Day", &size));
	assert_false(calendar_size_parse("", &size));
	(void)state;
}

static void test_names_that_are_none(void **state)
{
	static const char *const none[] = {
		"",
		"2",
		"202",
		"02024",
		"2024-",
		"2024-9",
		"2024-00",
		"2024-13",
		"2024-09-",
		"2024-9-01",
		"2024-09-1",
		"2024-02-30",
		"2023-02-29",
		"1900-02-29",
		"2024-04-31",
		"2024-09-00",
		"2024-09-01T",
		"2024-09-01T1",
		"2024-09-01T24",
		"2024-09-01t10",
		"2024-09-01 10",
		"2024-09-01T10:00",
		"2024-09-01T100",
		"0000",
		"0000-01-01",
		"-001",
		"+2024",
		" 2024",
		"2024 ",
		"2024.",
		"2024-09.failed",
		"2024/09",
		"20240901",
		"2024-09-01--2024-09-04",
		"10000",
		"２０２４",
	};
	enum batch_size size;
	ordinal o;

	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (calendar_parse_name(none[i], strlen(none[i]), &size, &o))
			fail_msg("taken for a name: '%s'", none[i]);
	assert_true(calendar_parse_name("2024-02-29", 10, &size, &o));
	assert_true(calendar_parse_name("2000-02-29", 10, &size, &o));
	assert_true(calendar_parse_name("2024-09.failed", 7, &size, &o));
	assert_int_equal(size, BATCH_MONTH);
	for (const char *const *text =
		     (const char *const[]){"2024-9", "2024-9-01", "2024-09-1", "2024-9-1", NULL};
	     *text; text++) {
		ordinal loose;
		assert_false(calendar_parse_name(*text, strlen(*text), &size, &o));
		assert_true(calendar_parse_loose_name(*text, strlen(*text), &size, &loose));
		assert_int_equal(size, (*text)[6] ? BATCH_DAY : BATCH_MONTH);
		assert_true(calendar_start(size, loose) == parsed("2024-09-01"));
	}
	for (const char *const *text = (const char *const[]){"2024-0", "2024-9-0", "2023-2-29", "2024-13",
							     "2024-9-1T5", "24-9", "2024-009", NULL};
	     *text; text++)
		assert_false(calendar_parse_loose_name(*text, strlen(*text), &size, &o));
	(void)state;
}

static void test_touched(void **state)
{
	int64_t day = parsed("2024-02-28");
	ordinal o = calendar_ordinal(BATCH_DAY, day);
	static const struct {
		int64_t start, end;
		ordinal first, last;
	} cases[] = {
		{0, DAY, 0, 1},	      {0, 1, 0, 1},	      {0, DAY + 1, 0, 2},
		{DAY - 1, DAY, 0, 1}, {HOUR, 2 * HOUR, 0, 1}, {DAY - 1, DAY + 1, 0, 2},
		{0, 3 * DAY, 0, 3},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ordinal_range r =
			calendar_touched(BATCH_DAY, day + cases[i].start, day + cases[i].end);
		assert_int_equal(r.first, o + cases[i].first);
		assert_int_equal(r.end, o + cases[i].last);
	}
	struct ordinal_range r = calendar_touched(BATCH_DAY, day, day);
	assert_true(r.first >= r.end);
	r = calendar_touched(BATCH_DAY, day + 1, day - DAY);
	assert_true(r.first >= r.end);
	r = calendar_touched(BATCH_HOUR, parsed("2024-02-29"), parsed("2024-03-01"));
	assert_int_equal(r.end - r.first, 24);
	r = calendar_touched(BATCH_MONTH, parsed("2024-01-31"), parsed("2024-03-01 00:00:01"));
	assert_int_equal(r.end - r.first, 3);
	r = calendar_touched(BATCH_YEAR, INT64_MIN, INT64_MAX);
	assert_int_equal(r.end - r.first, 9999);
	r = calendar_touched(BATCH_HOUR, INT64_MIN, CALENDAR_MIN_US);
	assert_true(r.first >= r.end);
	r = calendar_touched(BATCH_HOUR, CALENDAR_END_US, INT64_MAX);
	assert_true(r.first >= r.end);
	(void)state;
}

static void test_parse_time(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
		int32_t offset;
	} good[] = {
		{"1970-01-01", 0, 0},
		{"1970-01-02T00:00", DAY, 0},
		{"1970-01-01 05:30:00", 5 * HOUR + HOUR / 2, 0},
		{"1970-01-01T00:00:00Z", 0, 0},
		{"1970-01-01T00:00:00+00:00", 0, 0},
		{"1970-01-01T02:00:00+02:00", 2 * HOUR, 7200},
		{"1970-01-01 02:00-09:30", 2 * HOUR, -34200},
		{"1970-01-01 02:00:01+05", 2 * HOUR + SECOND, 18000},
		{"1970-01-01T00:00:00.5", SECOND / 2, 0},
		{"1970-01-01T00:00:00.000001Z", 1, 0},
		{"1970-01-01T00:00:00.123456789Z", 123456, 0},
		{"1969-12-31T23:59:59.999999", -1, 0},
		{"0001-01-01", CALENDAR_MIN_US, 0},
		{"9999-12-31 23:59:59.999999", CALENDAR_END_US - 1, 0},
	};
	int64_t us;
	int32_t offset;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (!calendar_parse_time(good[i].text, &us, &offset))
			fail_msg("not parsed: %s", good[i].text);
		assert_true(us == good[i].us);
		assert_int_equal(offset, good[i].offset);
	}
	(void)state;
}

static void test_times_that_are_none(void **state)
{
	static const char *const none[] = {
		"",
		"2024",
		"2024-09",
		"2024-9-1",
		"2024-02-30",
		"2024-13-01",
		"0000-01-01",
		"2024-09-01T",
		"2024-09-01T10",
		"2024-09-01T24:00",
		"2024-09-01T10:60",
		"2024-09-01T10:00:60",
		"2024-09-01T10:00:00.",
		"2024-09-01T10:00:00.1234567890",
		"2024-09-01T10:00:00,5",
		"2024-09-01T10:00:00 Z",
		"2024-09-01T10:00:00z",
		"2024-09-01T10:00+",
		"2024-09-01T10:00+2",
		"2024-09-01T10:00+24",
		"2024-09-01T10:00+02:",
		"2024-09-01T10:00+02:60",
		"2024-09-01T10:00+02:00 ",
		"2024-09-01T10:00 Europe/Berlin",
		"2024-09-01Z",
		"2024-09-01  10:00",
		" 2024-09-01",
	};
	int64_t us;
	int32_t offset;

	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (calendar_parse_time(none[i], &us, &offset))
			fail_msg("taken for a time: '%s'", none[i]);
	(void)state;
}

static void test_format(void **state)
{
	char buf[CALENDAR_TIME_MAX];
	int64_t t = parsed("2024-09-17 16:05:07.000120");

	assert_int_equal(calendar_format_time(t, buf), 27);
	assert_string_equal(buf, "2024-09-17T16:05:07.000120Z");
	assert_true(parsed(buf) == t);
	calendar_format_time(t - 120, buf);
	assert_string_equal(buf, "2024-09-17T16:05:07Z");
	assert_int_equal(calendar_format_sql(t - 120, buf), 26);
	assert_string_equal(buf, "2024-09-17 16:05:07.000000");
	calendar_format_sql(-1, buf);
	assert_string_equal(buf, "1969-12-31 23:59:59.999999");
	assert_int_equal(calendar_format_date(t, buf), 10);
	assert_string_equal(buf, "2024-09-17");
	calendar_format_time(CALENDAR_MIN_US, buf);
	assert_string_equal(buf, "0001-01-01T00:00:00Z");
	calendar_format_time(CALENDAR_END_US - 1, buf);
	assert_string_equal(buf, "9999-12-31T23:59:59.999999Z");
	calendar_format_time(INT64_MAX, buf);
	assert_string_equal(buf, "10000-01-01T00:00:00Z");
	calendar_format_time(INT64_MIN, buf);
	assert_string_equal(buf, "0001-01-01T00:00:00Z");
	(void)state;
}

static void test_midnight(void **state)
{
	assert_true(calendar_is_midnight(parsed("2024-09-17")));
	assert_true(calendar_is_midnight(parsed("1969-12-31")));
	assert_false(calendar_is_midnight(parsed("2024-09-17 00:00:00.000001")));
	assert_false(calendar_is_midnight(-1));
	assert_false(calendar_is_midnight(INT64_MAX));
	assert_false(calendar_is_midnight(INT64_MIN));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_day_1900_to_2200),
		cmocka_unit_test(test_whole_calendar),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_names_that_are_none),
		cmocka_unit_test(test_touched),
		cmocka_unit_test(test_parse_time),
		cmocka_unit_test(test_times_that_are_none),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_midnight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
