/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of documents: what it writes is JSON, and as long as it measures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
