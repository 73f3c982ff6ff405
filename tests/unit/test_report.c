/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of documents: what it writes is JSON, and as long as it measures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "backend/report/metrics.h"
#include "backend/report/report.h"
#include "backend/report/writer.h"

static void write_everything(struct writer *w)
{
	write_open(w, NULL, '{');
	write_null(w, "null");
	write_bool(w, "bool", true);
	write_int(w, "least", INT64_MIN);
	write_int(w, "zero", 0);
	write_count(w, "unknown", -1);
	write_text(w, "text", "\"q\" \\ \n\t\x01\x7f \xc3\xbc \xe2\x9c\x93");
	write_text(w, "broken",
		   "a\xff"
		   "b\xc3");
	write_text(w, "none", "");
	write_instant(w, "start", INT64_C(1725148800000000));
	write_time(w, "at", INT64_C(1725148800000001));
	write_seconds(w, "whole", 3000000);
	write_seconds(w, "parts", 61023999);
	write_seconds(w, "tenth", 100000);
	write_open(w, "list", '[');
	write_text(w, NULL, "one");
	write_open(w, NULL, '[');
	write_close(w, ']');
	write_close(w, ']');
	write_open(w, "empty", '{');
	write_close(w, '}');
	write_close(w, '}');
	write_end(w);
}

static void what_is_written_is_json(void **state)
{
	auto_strbuf text = STRBUF_INIT;
	struct writer w = {.out = &text}, measured = {.out = NULL};

	write_everything(&w);
	write_everything(&measured);
	assert_int_equal(w.len, text.len);
	assert_int_equal(measured.len, text.len);
	json_t *value = json_loads(text.str, 0, NULL);
	assert_non_null(value);
	assert_string_equal(json_string_value(json_object_get(value, "text")),
			    "\"q\" \\ \n\t\x01\x7f \xc3\xbc \xe2\x9c\x93");
	assert_string_equal(json_string_value(json_object_get(value, "broken")), "a?b?");
	assert_true(json_real_value(json_object_get(value, "parts")) == 61.023);
	assert_true(json_integer_value(json_object_get(value, "least")) == INT64_MIN);
	char *dumped = json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	/* The same layout as the other documents'. */
	assert_int_equal(strlen(dumped) + 1, text.len);
	assert_memory_equal(dumped, text.str, strlen(dumped));
	free(dumped);
	json_decref(value);
	(void)state;
}

/* The same kinds as in .history, whatever else ends: what is tried again later has failed, too. */
static void attempts_are_counted_by_their_word(void **state)
{
	struct attempt_counts c = {.build_us = 0};
	const struct store_outcome ended[] = {
		{.kind = SETTLE_DONE,
		 .count = 1,
		 .started = 5,
		 .finished = 1500005,
		 .rows_inserted = 7,
		 .rows_deleted = 2},
		{.kind = SETTLE_DONE,
		 .count = 1,
		 .started = 5,
		 .finished = 6,
		 .rows_inserted = -1,
		 .rows_deleted = -1},
		{.kind = SETTLE_FAILED, .count = 1, .started = 5, .finished = 500005, .rows_inserted = 9},
		{.kind = SETTLE_REQUEUED, .count = 1, .started = 5, .finished = 4},
		{.kind = SETTLE_UNBUILDABLE, .count = 3, .finished = 4},
		{.kind = SETTLE_SKIPPED, .count = 30, .finished = 4},
		{.kind = SETTLE_INTERRUPTED, .count = 1, .started = 5},
	};
	for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
		attempt_count(&c, &ended[i]);
	const struct report_model_metrics of[] = {
		{.dir = "a",
		 .builder = "guest",
		 .states = {[BATCH_DONE] = 4},
		 .built_until = 1000000,
		 .attempts = c},
		{.dir = "b\\\"\n", .oldest_failure = 1000000},
	};
	const struct report_metrics m = {.models = of,
					 .n = 2,
					 .requests_open = 3,
					 .manifest_loaded_at = 2000001,
					 .version = "1",
					 .engine = "e",
					 .builders = {"e", "guest"},
					 .now = 3500000};
	auto_strbuf out = STRBUF_INIT;
	assert_int_equal(report_metrics(&m, &out), 0);
	static const char *const lines[] = {
		"batchfs_attempts_total{model=\"a\",outcome=\"done\"} 2\n",
		"batchfs_attempts_total{model=\"a\",outcome=\"failed\"} 5\n",
		"batchfs_attempts_total{model=\"a\",outcome=\"skipped\"} 30\n",
		"batchfs_attempts_total{model=\"a\",outcome=\"interrupted\"} 1\n",
		"batchfs_attempts_total{model=\"a\",outcome=\"cancelled\"} 0\n",
		"batchfs_build_seconds_total{model=\"a\"} 2.000001\n",
		"batchfs_rows_inserted_total{model=\"a\"} 7\n",
		"batchfs_rows_deleted_total{model=\"a\"} 2\n",
		"batchfs_lag_seconds{model=\"a\"} 2.500000\n",
		"batchfs_batches{model=\"b\\\\\\\"\\n\",state=\"done\"} 0\n",
		"batchfs_oldest_failure_timestamp_seconds{model=\"b\\\\\\\"\\n\"} 1.000000\n",
		"batchfs_requests_open 3\n",
		"batchfs_warehouse_up 0\n",
		"batchfs_manifest_loaded_timestamp_seconds 2.000001\n",
		"batchfs_models{builder=\"e\"} 0\n",
		"batchfs_models{builder=\"guest\"} 1\n",
		"batchfs_models{builder=\"\"} 1\n",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		const char *at = strstr(out.str, lines[i]);
		assert_non_null(at);
		assert_true(at[-1] == '\n' && !strstr(at + 1, lines[i]));
	}
	assert_null(strstr(out.str, "batchfs_lag_seconds{model=\"b"));
	assert_null(strstr(out.str, "batchfs_oldest_failure_timestamp_seconds{model=\"a"));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_json),
		cmocka_unit_test(attempts_are_counted_by_their_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
