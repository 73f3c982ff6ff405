/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/results.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* The windows [start, end] that are exactly one batch of the chunk each. *whole stays true if all are. */
static struct run_marks batches_of(const json_t *windows, enum batch_size size, ordinal first, uint32_t count,
				   bool *whole)
{
	struct run_marks out = {0};
	size_t i;
	json_t *window;
	json_array_foreach(windows, i, window)
	{
		const char *start = json_string_value(json_array_get(window, 0));
		int64_t us = 0;
		bool known = start && calendar_parse_instant(start, &us);
		ordinal batch = calendar_ordinal(size, us);
		known &= calendar_start(size, batch) == us && batch >= first && batch - first < count;
		if (known)
			run_mark(&out, batch - first);
		*whole &= known;
	}
	return out;
}

void results_read(const char *path, const char *invocation, const struct model *m, ordinal first,
		  uint32_t count, struct results *out)
{
	*out = (struct results){0};
	json_t *file = json_load_file(path, 0, NULL), *result;
	const json_t *results = json_object_get(file, "results");
	size_t i;
	bool ours = *invocation &&
		    strcmp(text_of(json_object_get(file, "metadata"), "invocation_id"), invocation) == 0;
	json_array_foreach(results, i, result)
	{
		const json_t *batches = json_object_get(result, "batch_results");
		if (!ours || strcmp(text_of(result, "unique_id"), m->unique_id) != 0)
			continue;
		const json_t *good = json_object_get(batches, "successful"),
			     *bad = json_object_get(batches, "failed");
		out->found = true;
		out->whole = json_is_array(good) && json_is_array(bad);
		out->successful = batches_of(good, m->batch_size, first, count, &out->whole);
		out->failed = batches_of(bad, m->batch_size, first, count, &out->whole);
		snprintf(out->message, sizeof out->message, "%s", text_of(result, "message"));
	}
	json_decref(file);
}
