/* SPDX-License-Identifier: Apache-2.0 */
/* Anything that a dbt may write, a line an event. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "backend/dbt/events.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct event *e)
{
	assert(e->invocation && e->thread && e->unique_id && e->relation && e->text);
	switch (e->kind) {
	case EVENT_GARBAGE:
	case EVENT_OTHER:
	case EVENT_NODES:
	case EVENT_ERROR:
	case EVENT_SHOWN:
	case EVENT_READY:
	case EVENT_ENDED:
		break;
	case EVENT_BATCH_STARTED:
	case EVENT_BATCH_ENDED:
		assert(e->batch_len > 0 && strnlen(e->batch, e->batch_len) == e->batch_len);
		assert(e->rows >= -1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data, *end = line + size;

	while (line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((newline ? newline : end) - line);
		auto_event e;
		event_parse(line, len, &e);
		check(&e);
		line += len + 1;
	}
	return 0;
}
