/* SPDX-License-Identifier: Apache-2.0 */
/* The pictures of batches: which cell a batch is drawn in, what a cell shows, that any name may stand above.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/report/calendar_grid.h"

static int64_t at(const char *text)
{
	int64_t us;
	int32_t offset;

	assert_true(calendar_parse_time(text, &us, &offset));
	return us;
}

static ordinal batch(const char *name)
{
	enum batch_size size;
	ordinal o;

	assert_true(calendar_parse_name(name, strlen(name), &size, &o));
	return o;
}

/* Adds the batches [from, end) in that state. */
static void draw(struct calendar_grid *g, enum batch_size size, const char *from, const char *end,
		 enum batch_state state)
{
	struct state_runs runs = {.n = 0};

	for (ordinal o = batch(from); o < batch(end); o++)
		state_runs_add(&runs, o, state);
	assert_true(runs.n == 1 && !runs.broken);
	calendar_grid_add(g, size, &runs);
	state_runs_fini(&runs);
}

static void check_text(struct calendar_grid *g, const char *expected)
{
	auto_strbuf out = STRBUF_INIT;

	assert_int_equal(report_calendar(g, &out), 0);
	assert_string_equal(out.str, expected);
	calendar_grid_fini(g);
}

static void runs_join_what_is_equal(void **state)
{
	struct state_runs r = {.n = 0};

	for (ordinal o = 7; o < 1007; o++)
		state_runs_add(&r, o, o < 1000 ? BATCH_DONE : o % 2 ? BATCH_FAILED : BATCH_STALE);
	assert_int_equal(r.first, 7);
	assert_int_equal(r.n, 8);
	assert_int_equal(r.list[0].end, 1000);
	assert_int_equal(r.list[0].state, BATCH_DONE);
	assert_int_equal(r.list[7].end, 1007);
	state_runs_fini(&r);
	(void)state;
}

static void days_are_rows_of_months(void **state)
{
	struct calendar_grid g;

	assert_int_equal(calendar_grid_init(&g, BATCH_DAY, at("2024-01-30"), at("2024-03-02T12:00")), 0);
	g.title = "daily";
	draw(&g, BATCH_DAY, "2024-01-30", "2024-03-01", BATCH_DONE);
	draw(&g, BATCH_DAY, "2024-03-01", "2024-03-02", BATCH_FAILED);
	draw(&g, BATCH_DAY, "2024-03-02", "2024-03-03", BATCH_PARTIAL);
	check_text(&g, "daily: a character a day, UTC\n\n"
		       "            1   5   10   15   20   25   30\n"
		       "2024-01                                  ##\n"
		       "2024-02     #############################\n"
		       "2024-03     F+\n\n"
		       "F failed 1   + partial 1   # done 31\n");
	(void)state;
}

static void hours_months_and_years(void **state)
{
	struct calendar_grid g;

	assert_int_equal(calendar_grid_init(&g, BATCH_HOUR, at("2024-02-29T22:00"), at("2024-03-01T01:59")),
			 0);
	draw(&g, BATCH_HOUR, "2024-02-29T22", "2024-03-01T01", BATCH_DONE);
	draw(&g, BATCH_HOUR, "2024-03-01T01", "2024-03-01T02", BATCH_RUNNING);
	check_text(&g, "all models: a character an hour, UTC\n\n"
		       "            0  3  6  9 12 15 18 21\n"
		       "2024-02-29                        ##\n"
		       "2024-03-01  #R\n\n"
		       "R running 1   # done 3\n");
	assert_int_equal(calendar_grid_init(&g, BATCH_MONTH, at("2023-12-01"), at("2024-02-02")), 0);
	draw(&g, BATCH_MONTH, "2023-12", "2024-03", BATCH_UNKNOWN);
	check_text(&g, "all models: a character a month, UTC\n\n"
		       "            JFMAMJJASOND\n"
		       "2023                   ?\n"
		       "2024        ??\n\n"
		       "? unknown 3\n");
	/* The decade of the year 1 has no year 0. */
	assert_int_equal(calendar_grid_init(&g, BATCH_YEAR, at("0001-01-01"), at("0011-01-01")), 0);
	draw(&g, BATCH_YEAR, "0001", "0012", BATCH_STALE);
	check_text(&g, "all models: a character a year, UTC\n\n"
		       "            0123456789\n"
		       "0000s        ~~~~~~~~~\n"
		       "0010s       ~~\n\n"
		       "~ stale 11\n");
	(void)state;
}

/* Of a month, each of its days that has come. What lies outside, because the clock has gone on, is left out.
 */
static void the_worst_is_shown(void **state)
{
	struct calendar_grid g;
	const struct calendar_model models[] = {
		{.dir = "a", .states = {[BATCH_DONE] = 1, [BATCH_PARTIAL] = 1}},
		{.dir = "b\x1b[1m", .states = {[BATCH_FAILED] = 1, [BATCH_DONE] = 2}},
		{.dir = "longer", .states = {[BATCH_PENDING] = 20}}};

	assert_int_equal(calendar_grid_init(&g, BATCH_DAY, at("2024-01-28"), at("2024-02-04")), 0);
	g.title = "tag:x";
	g.models = models;
	g.n_models = 3;
	draw(&g, BATCH_MONTH, "2024-01", "2024-02", BATCH_DONE);
	draw(&g, BATCH_MONTH, "2024-02", "2024-03", BATCH_PARTIAL);
	draw(&g, BATCH_DAY, "2024-01-28", "2024-02-06", BATCH_PENDING);
	draw(&g, BATCH_HOUR, "2024-01-29T05", "2024-01-29T06", BATCH_FAILED);
	draw(&g, BATCH_HOUR, "2024-01-29T06", "2024-01-29T07", BATCH_SKIPPED);
	draw(&g, BATCH_HOUR, "2024-01-30T06", "2024-01-30T07", BATCH_QUEUED);
	draw(&g, BATCH_DAY, "2024-01-31", "2024-02-01", BATCH_DONE);
	check_text(&g, "tag:x: a character a day, the worst state of any model, UTC\n\n"
		       "            1   5   10   15   20   25   30\n"
		       "2024-01                                .FQ.\n"
		       "2024-02     ....\n\n"
		       "Q queued 1   F failed 1   S skipped 1   . pending 9   + partial 1   # done 2\n\n"
		       "b?[1m   F 1  # 2\n"
		       "longer  . 20\n"
		       "1 model of which everything is built\n");
	(void)state;
}

static void it_stays_a_picture(void **state)
{
	struct calendar_grid g;
	static const struct {
		enum batch_size size, unit;
		const char *start;
	} cases[] = {{BATCH_HOUR, BATCH_HOUR, "2021-12-10"},
		     {BATCH_HOUR, BATCH_DAY, "2021-12-01"},
		     {BATCH_HOUR, BATCH_MONTH, "1900-01-01"},
		     {BATCH_HOUR, BATCH_YEAR, "0001-01-01"}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(calendar_grid_init(&g, cases[i].size, at(cases[i].start), at("2024-09-04")),
				 0);
		assert_int_equal(g.unit, cases[i].unit);
		assert_int_equal(g.coarse, cases[i].unit != cases[i].size);
		struct calendar_rows rows = calendar_grid_rows(&g);
		assert_in_range(rows.end - rows.first, 1, CALENDAR_ROWS_MAX);
		/* The rows hold each cell once. */
		ordinal next = g.cells.first;
		for (int64_t row = rows.first; row < rows.end; row++) {
			unsigned column;
			struct ordinal_range cells = calendar_row_cells(&g, row, &column);
			assert_int_equal(cells.first, next);
			assert_true(cells.end > cells.first);
			assert_true(column + (cells.end - cells.first) <= calendar_grid_columns(&g));
			next = cells.end;
		}
		assert_int_equal(next, g.cells.end);
		calendar_grid_fini(&g);
	}
	/* Nothing has begun. */
	assert_int_equal(calendar_grid_init(&g, BATCH_DAY, at("2030-01-01"), at("2024-09-04")), 0);
	g.title = "later";
	check_text(&g, "later: a character a day, UTC\n\nThere is no batch yet.\n");
	(void)state;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *c = strstr(text, what); c; c = strstr(c + 1, what))
		n++;
	return n;
}

static void a_square_a_cell(void **state)
{
	struct calendar_grid g;
	auto_strbuf out = STRBUF_INIT;

	assert_int_equal(calendar_grid_init(&g, BATCH_DAY, at("2024-01-30"), at("2024-03-02")), 0);
	g.title = "<a&\"b\">\n\xc2\x9b\xff\xef\xbf\xbf\xc3\xbc";
	draw(&g, BATCH_DAY, "2024-01-30", "2024-03-01", BATCH_DONE);
	draw(&g, BATCH_DAY, "2024-03-01", "2024-03-03", BATCH_FAILED);
	assert_int_equal(report_calendar_svg(&g, &out), 0);
	/* 33 days, and two in the legend. */
	assert_int_equal(count(out.str, "<title>"), 35);
	assert_int_equal(count(out.str, ">F</text>"), 3);
	assert_int_equal(count(out.str, "<title>2024-03-02: failed</title>"), 1);
	assert_int_equal(count(out.str, ">&lt;a&amp;\"b\"&gt;????\xc3\xbc: a square a day, UTC<"), 1);
	calendar_grid_fini(&g);
	(void)state;
}

static void every_state_has_its_character(void **state)
{
	for (int s = 0; s < BATCH_STATES; s++)
		for (int t = 0; t <= s; t++)
			assert_true((batch_state_traits((enum batch_state)s)->mark ==
				     batch_state_traits((enum batch_state)t)->mark) == (s == t));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_join_what_is_equal),
		cmocka_unit_test(days_are_rows_of_months),
		cmocka_unit_test(hours_months_and_years),
		cmocka_unit_test(the_worst_is_shown),
		cmocka_unit_test(it_stays_a_picture),
		cmocka_unit_test(a_square_a_cell),
		cmocka_unit_test(every_state_has_its_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
