/* SPDX-License-Identifier: Apache-2.0 */
/* run_results.json: what it says, and that it says the same in pieces of any size. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "backend/report/run_results.h"

#define NOW INT64_C(1725624000000000) /* 2024-09-06T12:00:00Z */

static const struct run_results_head head = {.dbt_version = "1.11.16", .target = "prod", .now = NOW};

static struct model model_of(const char *id, enum batch_size size)
{
	return (struct model){.unique_id = id,
			      .batch_size = size,
			      .compiled = "select 1",
			      .relation.rendered = (char *)"\"s\".\"t\""};
}

/* The states of the batches from `first` on, a letter each. */
static void note(struct report_outcomes *o, ordinal first, const char *states)
{
	static const char letters[] = "df.sqrp";
	static const enum batch_state of[] = {BATCH_DONE,   BATCH_FAILED,  BATCH_PENDING, BATCH_SKIPPED,
					      BATCH_QUEUED, BATCH_RUNNING, BATCH_PARTIAL};
	assert_int_equal(
		report_outcomes_init(o, (struct ordinal_range){first, first + (ordinal)strlen(states)}), 0);
	for (ordinal i = 0; states[i]; i++) {
		enum batch_state state = of[strchr(letters, states[i]) - letters];
		struct batch_info info = {.state = state,
					  .started = NOW + i * 1000000,
					  .finished = NOW + i * 1000000 + 500000,
					  .built = state == BATCH_QUEUED || state == BATCH_DONE ? NOW : 0,
					  .rows_inserted = 10};
		report_note_outcome(o, first + i, &info);
	}
}

static void add(struct run_results *r, const struct model *m, const char *first, const char *states)
{
	struct report_outcomes o;
	int64_t us;
	int32_t zone;
	assert_true(calendar_parse_time(first, &us, &zone));
	note(&o, calendar_ordinal(m->batch_size, us), states);
	const struct run_result one = {.model = m, .outcomes = &o, .message = "no such \"column\""};
	assert_int_equal(run_results_add(r, &one), 0);
	report_outcomes_fini(&o);
}

static json_t *parse(const struct run_results *r)
{
	auto_strbuf text = STRBUF_INIT;
	run_results_read(r, 0, run_results_size(r), &text);
	assert_int_equal(text.len, run_results_size(r));
	json_t *all = json_loads(text.str, 0, NULL);
	assert_non_null(all);
	return all;
}

static const char *text_at(const json_t *all, size_t i, const char *key)
{
	return json_string_value(json_object_get(json_array_get(json_object_get(all, "results"), i), key));
}

static const json_t *windows(const json_t *all, size_t i, const char *key)
{
	const json_t *result = json_array_get(json_object_get(all, "results"), i);
	return json_object_get(json_object_get(result, "batch_results"), key);
}

static void assert_window(const json_t *list, size_t i, const char *start, const char *end)
{
	assert_string_equal(json_string_value(json_array_get(json_array_get(list, i), 0)), start);
	assert_string_equal(json_string_value(json_array_get(json_array_get(list, i), 1)), end);
}

static void what_became_of_each(void **state)
{
	struct model sessions = model_of("model.shop.sessions", BATCH_DAY),
		     hours = model_of("model.shop.hours", BATCH_HOUR),
		     years = model_of("model.shop.years", BATCH_YEAR),
		     never = model_of("model.shop.never", BATCH_DAY);
	struct run_results *r = run_results_new(&head);
	add(r, &sessions, "2024-09-01T00:00:00Z", "ddfsqr.p");
	add(r, &hours, "2024-09-01T22:00:00Z", "dss");
	add(r, &years, "2023-01-01T00:00:00Z", "dp");
	add(r, &never, "2023-01-01T00:00:00Z", ".....");
	assert_int_equal(run_results_end(r), 0);
	json_t *all = parse(r);
	assert_int_equal(json_array_size(json_object_get(all, "results")), 3);
	assert_string_equal(text_at(all, 0, "status"), "error");
	assert_string_equal(text_at(all, 0, "message"),
			    "1 of 6 batches failed, the first one is 2024-09-03: no such \"column\"");
	assert_string_equal(text_at(all, 1, "status"), "skipped");
	assert_string_equal(
		text_at(all, 1, "message"),
		"2 of 3 batches were skipped, the first one is 2024-09-01T23: no such \"column\"");
	assert_string_equal(text_at(all, 2, "status"), "success");
	assert_string_equal(text_at(all, 2, "message"), "SUCCESS");
	/* What is queued counts by the rows that are there. */
	assert_int_equal(json_array_size(windows(all, 0, "successful")), 4);
	assert_window(windows(all, 0, "successful"), 2, "2024-09-05T00:00:00+00:00",
		      "2024-09-06T00:00:00+00:00");
	assert_int_equal(json_array_size(windows(all, 0, "failed")), 2);
	assert_window(windows(all, 0, "failed"), 0, "2024-09-03T00:00:00+00:00", "2024-09-04T00:00:00+00:00");
	assert_window(windows(all, 1, "failed"), 1, "2024-09-02T00:00:00+00:00", "2024-09-02T01:00:00+00:00");
	assert_window(windows(all, 2, "successful"), 1, "2024-01-01T00:00:00+00:00",
		      "2025-01-01T00:00:00+00:00");
	assert_int_equal(json_array_size(windows(all, 2, "failed")), 0);
	/* Each of them has a success, so dbt is told the windows and needs no range. */
	const json_t *args = json_object_get(all, "args");
	assert_null(json_object_get(args, "event_time_start"));
	assert_string_equal(json_string_value(json_object_get(args, "target")), "prod");
	json_decref(all);
	run_results_free(r);
	(void)state;
}

static void nothing_succeeded(void **state)
{
	struct model one = model_of("model.shop.one", BATCH_DAY), two = model_of("model.shop.two", BATCH_DAY);
	struct run_results *r = run_results_new(&head);
	add(r, &one, "2024-09-01T00:00:00Z", ".ff.f.");
	add(r, &two, "2024-08-01T00:00:00Z", "fd");
	assert_int_equal(run_results_end(r), 0);
	json_t *all = parse(r);
	const json_t *args = json_object_get(all, "args");
	assert_string_equal(json_string_value(json_object_get(args, "event_time_start")),
			    "2024-09-02T00:00:00");
	assert_string_equal(json_string_value(json_object_get(args, "event_time_end")),
			    "2024-09-06T00:00:00");
	json_decref(all);
	run_results_free(r);
	(void)state;
}

static void the_same_in_pieces(void **state)
{
	static const size_t sizes[] = {1, 7, 69, 70, 71, 4096};
	struct model models[] = {model_of("model.shop.a", BATCH_HOUR), model_of("model.shop.b", BATCH_DAY),
				 model_of("model.shop.c", BATCH_MONTH)};
	struct run_results *r = run_results_new(&head);
	add(r, &models[0], "2024-02-28T20:00:00Z",
	    "ddddddddddddddddddddddddddddddddffffffff....ffddd.d.d.f.f.f...........................d");
	add(r, &models[1], "1969-12-30T00:00:00Z", "fffff");
	add(r, &models[2], "2023-11-01T00:00:00Z", "d");
	assert_int_equal(run_results_end(r), 0);
	json_decref(parse(r));
	auto_strbuf whole = STRBUF_INIT;
	run_results_read(r, 0, run_results_size(r), &whole);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		auto_strbuf pieces = STRBUF_INIT;
		for (size_t at = 0; at < whole.len; at += sizes[i]) {
			size_t end = whole.len - at < sizes[i] ? whole.len : at + sizes[i];
			run_results_read(r, at, end, &pieces);
			assert_int_equal(pieces.len, end);
		}
		assert_memory_equal(pieces.str, whole.str, whole.len);
	}
	run_results_free(r);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_became_of_each),
		cmocka_unit_test(nothing_succeeded),
		cmocka_unit_test(the_same_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
