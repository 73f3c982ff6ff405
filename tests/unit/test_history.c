/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an open history, and its lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/schedule/runtime.h"

static void the_older_half_goes(void **state)
{
	static struct backend b;
	struct backend_history h = {.b = &b, .text = STRBUF_INIT};
	auto_strbuf line = STRBUF_INIT;
	size_t most = 0, dropped = 0;
	for (unsigned i = 0; i < 200000; i++) {
		size_t before = h.text.len;
		strbuf_clear(&line);
		strbuf_printf(&line, "{\"line\": %u, \"message\": \"%.*s\"}\n", i, (int)(i % 100),
			      ".............................................................................."
			      "......."
			      "...............");
		assert_int_equal(history_append(&h, &line), 0);
		most = h.text.len > most ? h.text.len : most;
		if (h.text.len >= before)
			continue;
		dropped++;
		assert_in_range(h.text.len, HISTORY_BYTES / 2 - 200, HISTORY_BYTES / 2 + 200);
		assert_int_equal(strncmp(h.text.str, "{\"line\": ", 9), 0);
		assert_string_equal(h.text.str + h.text.len - line.len, line.str);
	}
	assert_int_equal(dropped, 2);
	assert_true(most <= HISTORY_BYTES);
	strbuf_fini(&h.text);
}

static void all_that_are_open_share(void **state)
{
	static struct backend b;
	static struct backend_history open[1000];
	auto_strbuf lines = STRBUF_INIT;

	for (size_t i = 0; i < 1000; i++) {
		open[i] = (struct backend_history){.b = &b, .text = STRBUF_INIT};
		LIST_INSERT_HEAD(&b.histories, &open[i], link);
	}
	/* More than the share of each. */
	while (lines.len < 4 * HISTORY_LEAST)
		strbuf_puts(&lines, "{\"line\": 1}\n");
	size_t all = 0;
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(history_append(&open[i], &lines), 0);
		assert_true(open[i].text.len > 0 && open[i].text.str[0] == '{');
		all += open[i].text.len;
	}
	assert_true(all <= HISTORIES_BYTES);
	for (size_t i = 0; i < 1000; i++)
		strbuf_fini(&open[i].text);
	(void)state;
}

static void a_line(void **state)
{
	const struct model m = {.dir = "fct", .batch_size = BATCH_DAY};
	auto_strbuf out = STRBUF_INIT;
	struct ended_attempt a = {.batch = calendar_ordinal(BATCH_DAY, INT64_C(1725148800000000)),
				  .attempt = 2,
				  .outcome = "failed",
				  .at = INT64_C(1725148801500000),
				  .us = 1250400,
				  .rows_deleted = -1,
				  .rows_inserted = -1,
				  .uid = 0,
				  .command = "",
				  .reason = "a \"reason\"\nof two lines",
				  .sqlstate = "22012",
				  .message = "division by zero"};
	assert_int_equal(report_attempt(&m, &a, &out), 0);
	assert_string_equal(
		out.str,
		"{\"at\": \"2024-09-01T00:00:01.500000Z\", \"model\": \"fct\", \"batch\": \"2024-09-01\","
		" \"attempt\": 2, \"outcome\": \"failed\", \"seconds\": 1.25, \"rows_deleted\": null,"
		" \"rows_inserted\": null, \"uid\": 0, \"command\": null,"
		" \"reason\": \"a \\\"reason\\\"\\nof two lines\", \"sqlstate\": \"22012\","
		" \"message\": \"division by zero\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_older_half_goes),
					   cmocka_unit_test(all_that_are_open_share),
					   cmocka_unit_test(a_line)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
