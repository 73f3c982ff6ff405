/* SPDX-License-Identifier: Apache-2.0 */
/* What a tally judges, how its findings travel, and how reports of stretches come of several validations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/validation/findings.h"
#include "backend/validation/list.h"

#define DAY INT64_C(86400000000)
/* 2024-09-01 */
#define FIRST INT64_C(1725148800000000)

static ordinal day(int n)
{
	return calendar_ordinal(BATCH_DAY, FIRST) + (ordinal)n;
}

static int64_t at(int n)
{
	return FIRST + n * DAY;
}

/* Of five days; findings of what was put into it. */
static void judged(struct tally *t, struct strbuf *text, struct findings *f)
{
	assert_int_equal(tally_judge(t, text), 0);
	assert_int_equal(findings_parse(text->str, BATCH_DAY, f), 0);
}

static void begin(struct tally *t, bool whole)
{
	assert_int_equal(tally_init(t, BATCH_DAY, (struct ordinal_range){day(0), day(5)}, whole), 0);
	for (int i = 0; i < 5; i++) {
		tally_state(t, day(i), true, false, 4);
		tally_rows(t, at(i), 4);
	}
}

#define CASE                                                                                                 \
	struct tally t;                                                                                      \
	auto_strbuf text = STRBUF_INIT;                                                                      \
	struct findings f
#define END                                                                                                  \
	findings_fini(&f);                                                                                   \
	tally_fini(&t)

static void nothing_is_found(void **state)
{
	CASE;
	begin(&t, true);
	tally_expect_begin(&t);
	for (int i = 0; i < 5; i++)
		tally_expect(&t, at(i), 4);
	judged(&t, &text, &f);
	assert_int_equal(t.batches, 5);
	assert_int_equal(t.found, 0);
	assert_int_equal(t.pending, 0);
	assert_int_equal(f.n, 0);
	END;
}

static void only_what_is_built_is_judged(void **state)
{
	CASE;
	assert_int_equal(tally_init(&t, BATCH_DAY, (struct ordinal_range){day(0), day(5)}, true), 0);
	tally_state(&t, day(1), true, true, 9);
	tally_state(&t, day(2), false, true, -1);
	tally_state(&t, day(3), true, false, -1);
	/* Rows of a gap, of what runs, of what was adopted. */
	for (int i = 0; i < 4; i++)
		tally_rows(&t, at(i), 3);
	tally_duplicates(&t, at(1), 2, "1");
	judged(&t, &text, &f);
	assert_int_equal(t.batches, 2);
	assert_int_equal(t.pending, 3);
	assert_int_equal(t.found, 0);
	assert_int_equal(f.n_gaps, 3);
	assert_int_equal(f.gaps[0].first, day(0));
	assert_int_equal(f.gaps[0].end, day(1));
	END;
}

static void a_batch_is_empty_where_each_input_has_rows(void **state)
{
	CASE;
	assert_int_equal(tally_init(&t, BATCH_DAY, (struct ordinal_range){day(0), day(5)}, true), 0);
	for (int i = 0; i < 5; i++)
		tally_state(&t, day(i), i > 0, false, 0);
	tally_rows(&t, at(4), 0);
	struct ordinal_range empty = tally_empty(&t);
	assert_int_equal(empty.first, day(1));
	assert_int_equal(empty.end, day(5));
	for (int input = 0; input < 2; input++) {
		tally_input_begin(&t);
		tally_input(&t, at(0), 5);
		tally_input(&t, at(1 + input), 5);
		tally_input(&t, at(3), 5);
		tally_input(&t, at(3), 1);
	}
	judged(&t, &text, &f);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.list[0].kind, PROBLEM_EMPTY);
	assert_int_equal(f.list[0].batch, day(3));
	assert_int_equal(f.list[0].input_rows, 12);
	END;
}

static void what_is_in_no_batch_is_of_the_table(void **state)
{
	for (int whole = 0; whole < 2; whole++) {
		CASE;
		begin(&t, whole);
		tally_rows(&t, at(-3), 2);
		tally_rows(&t, at(5), 1);
		tally_rows(&t, CALENDAR_MIN_US - 1, 1);
		tally_rows(&t, CALENDAR_END_US, 1);
		tally_no_event_time(&t, 7);
		judged(&t, &text, &f);
		assert_int_equal(f.n, whole ? 2 : 0);
		for (size_t i = 0; i < f.n; i++)
			assert_true(f.list[i].of_table);
		if (whole) {
			assert_int_equal(f.list[0].kind, PROBLEM_OUTSIDE);
			assert_int_equal(f.list[0].rows, 5);
			assert_int_equal(f.list[1].kind, PROBLEM_NO_EVENT_TIME);
			assert_int_equal(f.list[1].rows, 7);
			assert_string_equal(f.list[1].detail,
					    "7 rows have no event_time, and are in no batch");
		}
		END;
	}
}

static void what_is_expected(void **state)
{
	CASE;
	begin(&t, true);
	tally_expect_begin(&t);
	for (int i = 0; i < 3; i++)
		tally_expect(&t, at(i), i ? 4 : 5);
	tally_expect(&t, at(9), 5); /* of no batch that is looked at */
	judged(&t, &text, &f);
	assert_int_equal(f.n, 3);
	assert_int_equal(f.list[0].batch, day(0));
	assert_int_equal(f.list[0].input_rows, 5);
	assert_int_equal(f.list[2].batch, day(4));
	assert_int_equal(f.list[2].input_rows, 0);
	findings_fini(&f);
	strbuf_clear(&text);
	tally_expect(&t, at(1) + 1, 4);
	judged(&t, &text, &f);
	assert_int_equal(f.n, 1);
	assert_true(f.list[0].of_table);
	assert_non_null(
		strstr(f.list[0].detail, "2024-09-02T00:00:00.000001Z, which is the start of no batch"));
	END;
}

static void findings_are_bounded_and_clean(void **state)
{
	CASE;
	enum { MANY = PROBLEMS_KEPT + 50 };
	assert_int_equal(tally_init(&t, BATCH_DAY, (struct ordinal_range){day(0), day(MANY)}, true), 0);
	for (int i = 0; i < MANY; i++) {
		tally_state(&t, day(i), true, false, -1);
		tally_rows(&t, at(i), 4);
		tally_duplicates(&t, at(i), 2, "a\tb\nc");
	}
	judged(&t, &text, &f);
	assert_int_equal(t.found, MANY);
	assert_int_equal(f.n, PROBLEMS_KEPT);
	assert_int_equal(f.complete_to, day(PROBLEMS_KEPT));
	assert_string_equal(f.list[1].detail, "2 rows share the unique_key with another one: a b c");
	END;
	static const char *const wrong[] = {"x", "count\t1", "nonsense\t0\t1\t1\t1\t1\tx\n", "gap\t1\n",
					    "count\t9223372036854775807\t1\t1\t1\t1\tx\n"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(findings_parse(wrong[i], BATCH_DAY, &f), -EINVAL);
}

/* Of days [first, end) of five, on which those of `bad` have a wrong number of rows. */
static void over(struct validation_list *l, int64_t id, int first, int end, unsigned bad)
{
	struct tally t;
	auto_strbuf text = STRBUF_INIT;
	bool whole = end == 9;
	struct ordinal_range looked = {day(first), day(whole ? 5 : end)};
	assert_int_equal(tally_init(&t, BATCH_DAY, looked, whole), 0);
	for (int i = 0; i < 5; i++) {
		/* The last one is a gap. */
		tally_state(&t, day(i), i < 4, false, 4);
		tally_rows(&t, at(i), bad >> i & 1 ? 5 : 4);
	}
	assert_int_equal(tally_judge(&t, &text), 0);
	const struct store_validation v = {.id = id,
					   .batches = whole ? VALIDATION_WHOLE : looked,
					   .state = VALIDATION_DONE,
					   .at = at(4) + id,
					   .looked = looked,
					   .batches_looked = t.batches,
					   .found = t.found,
					   .findings = text.str,
					   .message = ""};
	assert_int_equal(validation_list_put(l, BATCH_DAY, &v), 0);
	tally_fini(&t);
}

/* id 0: nobody has looked at all of it. bad: the batches that are shown as wrong, a bit each. */
static void shows(const struct validation_list *l, int first, int end, int64_t id, unsigned bad)
{
	struct validation_part p;
	bool whole = end == 9;
	struct ordinal_range part = {day(first), day(whole ? 5 : end)};
	unsigned seen = 0;
	assert_int_equal(validation_compose(l, BATCH_DAY, part, whole, &p), 0);
	assert_int_equal(p.covered, id != 0);
	if (id)
		assert_int_equal(p.at, at(4) + id);
	for (size_t i = 0; i < p.n; i++)
		seen |= 1u << (p.list[i]->batch - day(0));
	assert_int_equal(seen, bad);
	assert_int_equal(p.found, p.n);
	validation_part_fini(&p);
}

static void a_part_shows_what_was_found_last(void **state)
{
	struct validation_list l = {.n = 0};
	shows(&l, 0, 9, 0, 0);
	over(&l, 1, 1, 3, 2);
	shows(&l, 1, 3, 1, 2);
	shows(&l, 2, 3, 1, 0);
	shows(&l, 0, 3, 0, 0);
	shows(&l, 0, 9, 0, 0);
	over(&l, 2, 0, 9, 1 | 2 | 8);
	assert_int_equal(l.n, 1);
	shows(&l, 0, 9, 2, 1 | 2 | 8);
	shows(&l, 1, 2, 2, 2);
	over(&l, 3, 1, 2, 0);
	over(&l, 4, 3, 5, 8);
	shows(&l, 0, 9, 2, 1 | 8);
	shows(&l, 1, 2, 3, 0);
	shows(&l, 0, 2, 2, 1);
	shows(&l, 3, 4, 4, 8);
	/* Both of it were looked at, but never all of it at once since. */
	shows(&l, 1, 4, 2, 8);
	over(&l, 5, 3, 4, 0);
	shows(&l, 0, 9, 2, 1);
	assert_int_equal(l.n, 4);
	over(&l, 6, 0, 9, 0);
	assert_int_equal(l.n, 1);
	shows(&l, 0, 9, 6, 0);
	/* An older one that comes late changes nothing. */
	over(&l, 4, 3, 5, 8);
	assert_int_equal(l.n, 1);
	shows(&l, 3, 4, 6, 0);
	validation_list_forget(&l);
	shows(&l, 0, 9, 0, 0);
	validation_list_fini(&l);
}

static void what_lies_in_no_batch_is_told_of_the_whole(void **state)
{
	struct validation_list l = {.n = 0};
	struct validation_part p;
	const struct store_validation v = {
		.id = 1,
		.batches = VALIDATION_WHOLE,
		.state = VALIDATION_DONE,
		.at = at(4),
		.looked = {day(0), day(5)},
		.found = 2,
		.findings = "outside\t-9223372036854775808\t1\t-1\t-1\t-1\tx\n"
			    "expect\t-9223372036854775808\t-1\t-1\t-1\t-1\tit is wrong\n",
		.message = ""};
	assert_int_equal(validation_list_put(&l, BATCH_DAY, &v), 0);
	for (int whole = 0; whole < 2; whole++) {
		struct ordinal_range part = {day(0), day(whole ? 5 : 2)};
		assert_int_equal(validation_compose(&l, BATCH_DAY, part, whole, &p), 0);
		assert_true(p.covered);
		assert_int_equal(p.n, whole ? 2 : 1);
		assert_int_equal(p.found, p.n);
		assert_int_equal(p.list[p.n - 1]->kind, PROBLEM_EXPECT);
		validation_part_fini(&p);
	}
	validation_list_fini(&l);
}

static void gaps_are_counted_in_parts(void **state)
{
	struct validation_list l = {.n = 0};
	struct validation_part p;
	over(&l, 1, 0, 9, 0);
	over(&l, 2, 2, 3, 0);
	assert_int_equal(validation_compose(&l, BATCH_DAY, (struct ordinal_range){day(0), day(5)}, true, &p),
			 0);
	assert_int_equal(p.batches, 4);
	assert_int_equal(p.pending, 1);
	validation_part_fini(&p);
	/* Its numbers are known where it was looked at alone. */
	assert_int_equal(validation_compose(&l, BATCH_DAY, (struct ordinal_range){day(2), day(3)}, false, &p),
			 0);
	assert_int_equal(p.rows, 4);
	assert_int_equal(p.recorded, 4);
	validation_part_fini(&p);
	assert_int_equal(validation_compose(&l, BATCH_DAY, (struct ordinal_range){day(3), day(4)}, false, &p),
			 0);
	assert_int_equal(p.rows, -1);
	validation_part_fini(&p);
	/* What came after it was looked at is nobody's fault; alone it was not looked at. */
	assert_int_equal(validation_compose(&l, BATCH_DAY, (struct ordinal_range){day(2), day(7)}, false, &p),
			 0);
	assert_true(p.covered);
	validation_part_fini(&p);
	shows(&l, 6, 7, 0, 0);
	validation_list_fini(&l);
}

static void what_is_kept_is_bounded(void **state)
{
	struct validation_list l = {.n = 0};
	for (int i = 0; i < VALIDATIONS_KEPT + 20; i++) {
		const struct store_validation v = {.id = i + 1,
						   .batches = {day(2 * i), day(2 * i + 1)},
						   .looked = {day(2 * i), day(2 * i + 1)},
						   .state = VALIDATION_DONE,
						   .findings = "",
						   .message = ""};
		assert_int_equal(validation_list_put(&l, BATCH_DAY, &v), 0);
	}
	assert_int_equal(l.n, VALIDATIONS_KEPT);
	assert_null(validation_list_find(&l, 20));
	assert_non_null(validation_list_find(&l, 21));
	validation_list_fini(&l);
}

static void what_does_not_end_well_leaves_the_former_report(void **state)
{
	struct validation_list l = {.n = 0};
	struct store_validation v = {.id = 2,
				     .batches = VALIDATION_WHOLE,
				     .state = VALIDATION_ASKED,
				     .findings = "",
				     .message = ""};
	over(&l, 1, 0, 9, 1);
	assert_int_equal(validation_list_put(&l, BATCH_DAY, &v), 0);
	struct validation_part p;
	assert_int_equal(validation_compose(&l, BATCH_DAY, (struct ordinal_range){day(0), day(5)}, true, &p),
			 0);
	assert_non_null(p.under_way);
	validation_part_fini(&p);
	v.state = VALIDATION_FAILED;
	v.message = "no right";
	assert_int_equal(validation_list_put(&l, BATCH_DAY, &v), 0);
	assert_string_equal(l.failed, "no right");
	v.id = 3;
	v.state = VALIDATION_CANCELLED;
	assert_int_equal(validation_list_put(&l, BATCH_DAY, &v), 0);
	assert_int_equal(l.n, 1);
	shows(&l, 0, 9, 1, 1);
	validation_list_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_found),
		cmocka_unit_test(only_what_is_built_is_judged),
		cmocka_unit_test(a_batch_is_empty_where_each_input_has_rows),
		cmocka_unit_test(what_is_in_no_batch_is_of_the_table),
		cmocka_unit_test(what_is_expected),
		cmocka_unit_test(findings_are_bounded_and_clean),
		cmocka_unit_test(a_part_shows_what_was_found_last),
		cmocka_unit_test(what_lies_in_no_batch_is_told_of_the_whole),
		cmocka_unit_test(gaps_are_counted_in_parts),
		cmocka_unit_test(what_is_kept_is_bounded),
		cmocka_unit_test(what_does_not_end_well_leaves_the_former_report),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
