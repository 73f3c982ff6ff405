/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any JSON as a manifest; and, where the input does not start with '{', any text as a model's
 * raw_code and, behind its first NUL or form feed, as its compiled code.
 */
#include <assert.h>
#include <string.h>

#include "backend/manifest/steps.h"
#include "backend/verdict.h"
#include "tests/fuzz/fuzz.h"

static json_t *node(const char *name, const char *materialized)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s}}", "resource_type", "model",
			 "name", name, "package_name", "p", "relation_name", name, "config", "materialized",
			 materialized, "incremental_strategy", "microbatch", "event_time", "at", "batch_size",
			 "day", "begin", "2024-01-01");
}

static json_t *around(const char *data, size_t size)
{
	size_t raw = 0;
	while (raw < size && data[raw] && data[raw] != '\f')
		raw++;
	const char *compiled = raw < size ? data + raw + 1 : "";
	json_t *model = node("m", "incremental");
	json_object_set_new(model, "raw_code", json_stringn_nocheck(data, raw));
	json_object_set_new(model, "compiled_code",
			    json_stringn_nocheck(compiled, raw < size ? size - raw - 1 : 0));
	json_object_set_new(model, "depends_on",
			    json_pack("{s:[s, s]}", "nodes", "model.p.src", "model.p.eph"));
	return json_pack("{s:{s:s}, s:{s:o, s:o, s:o}}", "metadata", "dbt_schema_version",
			 "/manifest/v12.json", "nodes", "model.p.m", model, "model.p.src",
			 node("src", "table"), "model.p.eph", node("eph", "ephemeral"));
}

static void check_model(const struct catalog *c, size_t i)
{
	const struct model *m = &c->models[i];
	assert(catalog_find(c, m->dir) == (int)i && !strchr(m->dir, '/') && m->dir[0] && m->dir[0] != '.');
	assert(strlen(m->code) == 16 && m->unique_key);
	auto_strbuf why_not = STRBUF_INIT;
	bool builds = verdict_builds(m, 0);
	verdict_why_not(m, 0, &why_not);
	assert(builds == (why_not.len == 0));
	/* What is no name of a table has no parts. */
	assert(!builds || (m->compiled && m->event_time && m->begin != INT64_MAX && m->relation.rendered &&
			   m->relation.schema));
	for (size_t k = 0; k < m->n_inputs; k++)
		assert(!builds || m->inputs[k].relation.rendered);
	for (size_t k = 0; k < m->n_upstreams; k++)
		assert(m->upstreams[k].place >= 0 && (size_t)m->upstreams[k].place < c->n_models);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	json_t *root = size && text[0] == '{'
			       ? json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL)
			       : around(text, size);
	struct catalog *c = NULL;
	struct error err = {0};
	if (!root)
		return 0;
	int r = catalog_from_json(root, "fuzz/manifest.json", NULL, &c, &err);
	json_decref(root);
	assert(r ? !c && err.err == -r && err.text[0] : c != NULL);
	for (size_t i = 0; c && i < c->n_models; i++)
		check_model(c, i);
	catalog_free(c);
	return 0;
}
