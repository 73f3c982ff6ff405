/* SPDX-License-Identifier: Apache-2.0 */
/* Any file name, in a model whose batch size the first byte chooses, and in a selection. */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "fs/name.h"
#include "tests/fuzz/fuzz.h"

static void check_in_model(enum batch_size size, const char *text)
{
	struct name n;
	int r = name_parse(size, text, &n);

	assert(r == 0 || r == -ENOENT || r == -EINVAL);
	if (r)
		return;
	assert(n.len <= strlen(text));
	assert(n.batches.first < n.batches.end);
	assert(n.suffix < NODE_SUFFIXES);
	if (n.kind != NODE_BATCH)
		return;
	/* The name of a single batch is the one way to write it. */
	char again[BATCH_FILE_NAME_MAX];
	size_t len = name_format(size, n.batches.first, n.suffix, again);
	assert(n.batches.end == n.batches.first + 1);
	assert(len == strlen(text) && strcmp(again, text) == 0);
}

static void check_in_selection(const char *text)
{
	struct name n;
	int r = name_parse_in_selection(text, &n);

	assert(r == 0 || r == -ENOENT || r == -EINVAL);
	if (r)
		return;
	assert(n.len <= strlen(text) && n.span.start_us < n.span.end_us);
	for (int size = BATCH_HOUR; size <= BATCH_YEAR; size++) {
		struct ordinal_range batches = name_batches((enum batch_size)size, n.span);
		assert(batches.first < batches.end);
	}
}

static void check_time(const char *text)
{
	char again[CALENDAR_TIME_MAX];
	int32_t offset_s, none;
	int64_t us, same;

	if (!calendar_parse_time(text, &us, &offset_s) || us < CALENDAR_MIN_US || us >= CALENDAR_END_US)
		return;
	calendar_format_time(us, again);
	assert(calendar_parse_time(again, &same, &none) && same == us && none == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	auto_free char *text = calloc(1, size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	check_in_model((enum batch_size)(data[0] % 4), text);
	check_in_selection(text);
	check_time(text);
	return 0;
}
