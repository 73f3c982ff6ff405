/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/report/json.h"

static json_t *tristate(enum tristate t)
{
	return t == TRI_UNSET ? json_null() : json_boolean(t == TRI_TRUE);
}

static json_t *inputs(const struct model *m)
{
	json_t *array = json_array();
	for (size_t i = 0; array && i < m->n_inputs; i++) {
		const struct input *in = &m->inputs[i];
		json_array_append_new(array, json_pack("{s:o, s:o, s:b}", "relation",
						       json_text(in->relation.rendered), "event_time",
						       json_text(in->event_time), "filtered", in->filtered));
	}
	return array;
}

/* Writes the key as dbt has it: one column as a text, several as a list. */
static json_t *unique_key(const struct model *m)
{
	if (!m->unique_key || !m->unique_key[0])
		return json_null();
	return m->unique_key[1] ? json_strings(m->unique_key) : json_string(m->unique_key[0]);
}

/* What differs from what dbt does with this model, and stays so: batchfs.5, MODELS. */
static void add_differences(const struct report_model *r, json_t *array)
{
	const struct model *m = r->model;
	if (m->unique_key && m->unique_key[0])
		json_array_append_new(
			array,
			json_text("unique_key is not enforced across batches: a batch replaces the rows "
				  "of its window, where dbt-postgres merges by the key, so that a row whose "
				  "event_time moves to another batch stands in both until the batch that "
				  "it has left is built again"));
	if (m->full_refresh == TRI_TRUE)
		json_array_append_new(
			array,
			json_text("its config says full_refresh: true, with which every run of dbt drops the "
				  "table and leaves the batches of that run alone; here nothing is dropped, "
				  "and .run builds what is missing"));
	if (m->run_hooks)
		json_array_append_new(array,
				      json_text("the project's on-run-start and on-run-end hooks are not run "
						"here"));
	if (r->frozen)
		json_array_append_new(array,
				      json_text("what is frozen is frozen for batchfs: dbt builds it all the "
						"same"));
}

static json_t *notes(const struct report_model *r)
{
	json_t *array = json_array();
	for (const char *line = r->notes; array && *line;
	     line += strcspn(line, "\n"), line += *line != '\0') {
		auto_free char *one = strndup(line, strcspn(line, "\n"));
		json_array_append_new(array, json_text(one ? one : ""));
	}
	if (array)
		add_differences(r, array);
	return array;
}

static json_t *protected_by(const struct report_model *r)
{
	const char *by = report_protected_by(&r->protection);
	return by ? json_string(by) : json_false();
}

/* null: it has none. */
static json_t *sql_of(const struct report_model *r)
{
	const struct model *m = r->model;
	return m->compiled ? json_pack("{s:s, s:o}", "from", m->remembered ? "remembered" : "manifest",
				       "compiled_at", json_time(r->compiled_at))
			   : json_null();
}

int report_model(const struct report_model *r, struct strbuf *out)
{
	const struct model *m = r->model;
	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:b, s:o, s:o, s:o, s:o}",
		"name", m->name, "package", m->package, "unique_id", m->unique_id, "relation",
		json_text(m->relation.rendered), "event_time", json_text(m->event_time), "event_time_type",
		json_text(time_type_name(r->event_time_type)), "batch_size", json_text(m->batch_size_text),
		"begin", m->begin == INT64_MAX ? json_null() : json_instant(m->begin), "lookback",
		(int)m->lookback, "strategy", json_text(r->strategy ? r->strategy : m->strategy),
		"unique_key", unique_key(m), "concurrent_batches", tristate(m->concurrent_batches),
		"full_refresh", tristate(m->full_refresh), "protected", protected_by(r), "tags",
		json_strings(m->tags), "inputs", inputs(m), "builder",
		json_text(r->why_not ? NULL : r->builder), "runnable", r->why_not == NULL, "why_not",
		json_text(r->why_not), "looked_at", json_time(r->looked_at), "sql", sql_of(r), "notes",
		notes(r));
	return json_finish(o, out);
}
