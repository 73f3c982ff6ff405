/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a selection, over a project in which models read each other, have tags, versions and packages.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/steps.h"
#include "backend/selection.h"
#include "tests/fuzz/fuzz.h"

#define NODE(id, name, package, materialized, strategy, more, reads)                                         \
	"\"model." id "\": {\"resource_type\": \"model\", \"name\": \"" name                                 \
	"\", \"package_name\": \"" package "\", \"unique_id\": \"model." id "\", \"relation_name\": \"" name \
	"\", \"fqn\": [\"" package "\", \"marts\", \"" name                                                  \
	"\"], \"original_file_path\": \"models/marts/" name ".sql\", \"tags\": [\"nightly\"], " more         \
	"\"raw_code\": \"select 1\", \"compiled_code\": \"select 1\", "                                      \
	"\"depends_on\": {\"nodes\": [" reads "]}, \"config\": {\"materialized\": \"" materialized           \
	"\", \"incremental_strategy\": \"" strategy                                                          \
	"\", \"event_time\": \"at\", \"batch_size\": \"day\", \"begin\": \"2024-01-01\", \"tags\": [\"nightly\"]}}"

static const char manifest[] =
	"{\"metadata\": {\"dbt_schema_version\": \"/manifest/v12.json\", \"project_name\": \"p\"}, "
	"\"nodes\": {" NODE("p.a", "a", "p", "incremental", "microbatch", "", "") ", " NODE(
		"p.b", "b", "p", "incremental", "microbatch", "",
		"\"model.p.a\"") ", " NODE("p.v", "v", "p", "view", "", "",
					   "\"model.p.b\"") ", " NODE("p.c.v2", "c", "p", "incremental",
								      "microbatch",
								      "\"version\": 2, \"latest_version\": 2, ",
								      "\"model.p.v\", \"model.p.a\"") ", " NODE("q.a",
														"a",
														"q",
														"incremental",
														"microbatch",
														"",
														"\"model.p.c.v2\"") "}}";

/* For the life of the process, so that each input is no more than its own text. */
static const struct catalog *project(void)
{
	static struct catalog *c;
	struct error err = {0};

	if (!c) {
		json_t *root = json_loads(manifest, 0, NULL);
		assert(root);
		int r = catalog_from_json(root, "fuzz/manifest.json", NULL, &c, &err);
		json_decref(root);
		assert(r == 0 && c->n_models == 4);
	}
	return c;
}

static void check(const struct catalog *c, const struct selection *s)
{
	for (size_t i = 0; i < s->n_nodes; i++)
		assert(s->nodes[i] >= 0 && (size_t)s->nodes[i] < c->n_nodes &&
		       (i == 0 || s->nodes[i] > s->nodes[i - 1]));
	for (size_t i = 0; i < s->n_models; i++) {
		assert(s->models[i] >= 0 && (size_t)s->models[i] < c->n_models);
		for (size_t k = 0; k < i; k++) {
			const struct model *before = &c->models[s->models[k]];
			assert(s->models[k] != s->models[i]);
			for (size_t u = 0; u < before->n_upstreams; u++)
				assert(before->upstreams[u].place != s->models[i]);
		}
	}
	for (size_t i = 0; i < s->n_not_rebuilt; i++)
		assert(i == 0 || strcmp(s->not_rebuilt[i - 1], s->not_rebuilt[i]) <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = calloc(1, size + 1);
	struct selection s;
	struct error err = {0};

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	int r = selection_resolve(project(), text, &s, &err);
	assert(r == 0 || (r == -EINVAL && err.err == EINVAL && err.text[0]));
	if (r)
		assert(s.n_nodes == 0 && s.n_models == 0 && s.n_not_rebuilt == 0);
	else
		check(project(), &s);
	selection_fini(&s);
	return 0;
}
