/* SPDX-License-Identifier: Apache-2.0 */
/* The codes are the same from dbt 1.9 on. */
#include "backend/dbt/events.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* "batch 2024-09-02 of schema.table" */
static bool read_batch(const json_t *data, struct event *e)
{
	static const char before[] = "batch ";
	const char *text = text_of(data, "description");
	if (strncmp(text, before, strlen(before)) != 0)
		return false;
	e->batch = text + strlen(before);
	e->batch_len = strcspn(e->batch, " ");
	return e->batch_len > 0;
}

/* "MERGE 4", "INSERT 0 4", "SUCCESS 4": the number at the end. Some adapters say only "OK". */
static int64_t rows_of(const char *status)
{
	const char *last = strrchr(status, ' ');
	if (!last || !isdigit((unsigned char)last[1]))
		return -1;
	char *end;
	long long n = strtoll(last + 1, &end, 10);
	return *end ? -1 : n;
}

static enum event_end end_of(const char *node_status, const char *status)
{
	if (strcmp(node_status, "success") == 0)
		return END_DONE;
	return strcmp(status, "skipped") == 0 || strcmp(node_status, "skipped") == 0 ? END_SKIPPED
										     : END_FAILED;
}

static void read_data(const json_t *data, const json_t *info, struct event *e)
{
	const char *code = text_of(info, "code");
	const json_t *node = json_object_get(data, "node_info");
	e->unique_id = text_of(node, "unique_id");
	e->relation = text_of(json_object_get(node, "node_relation"), "relation_name");
	if (strcmp(code, "Q045") == 0 && read_batch(data, e)) {
		e->kind = EVENT_BATCH_STARTED;
	} else if (strcmp(code, "Q046") == 0 && read_batch(data, e)) {
		e->kind = EVENT_BATCH_ENDED;
		e->end = end_of(text_of(node, "node_status"), text_of(data, "status"));
		e->rows = rows_of(text_of(data, "status"));
	} else if (strcmp(code, "Q027") == 0) {
		e->kind = EVENT_NODES;
		e->number = json_integer_value(json_object_get(data, "node_count"));
	} else if (strcmp(code, "Q041") == 0) {
		e->kind = EVENT_SHOWN;
		e->text = text_of(data, "preview");
	} else if (strcmp(text_of(info, "level"), "error") == 0 && !*text_of(data, "stack_trace")) {
		e->kind = EVENT_ERROR;
		e->text = text_of(data, "exc");
		if (!*e->text)
			e->text = text_of(info, "msg");
	}
}

/* A line of the resident program's own. */
static void read_own(const json_t *own, struct event *e)
{
	const json_t *code = json_object_get(own, "ended");
	if (json_is_true(json_object_get(own, "ready")))
		e->kind = EVENT_READY;
	if (!json_is_integer(code))
		return;
	e->kind = EVENT_ENDED;
	e->number = json_integer_value(code);
}

void event_parse(const char *line, size_t len, struct event *e)
{
	*e = (struct event){.invocation = "",
			    .thread = "",
			    .unique_id = "",
			    .relation = "",
			    .batch = "",
			    .rows = -1,
			    .text = ""};
	if (len == 0 || *line != '{')
		return;
	e->line = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *info = json_object_get(e->line, "info"), *data = json_object_get(e->line, "data");
	const json_t *own = json_object_get(e->line, "batchfs");
	if (json_is_object(own)) {
		read_own(own, e);
	} else if (json_is_object(info) && json_is_object(data)) {
		e->kind = EVENT_OTHER;
		e->invocation = text_of(info, "invocation_id");
		e->thread = text_of(info, "thread");
		read_data(data, info, e);
	}
}

void event_fini(struct event *e)
{
	json_decref(e->line);
	e->line = NULL;
}
