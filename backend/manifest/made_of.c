/* SPDX-License-Identifier: Apache-2.0 */
/* What a model's SQL is compiled from, as far as a manifest tells: variables and the environment it does not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/hash.h"
#include "backend/manifest/macros.h"
#include "backend/manifest/steps.h"

/* dbt allows no deeper chain of ephemeral models than SQL allows nested WITHs; a circle is no project. */
#define EPHEMERAL_DEPTH 32

static uint64_t mix_json(uint64_t hash, const json_t *json)
{
	auto_free char *text =
		json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
	return hash_mix(hash, text);
}

static uint64_t mix_text(uint64_t hash, const json_t *of, const char *key)
{
	return hash_mix(hash, json_string_value(json_object_get(of, key)));
}

/* In whatever order they come. */
static bool mix_macro(void *ctx, const struct macro *macro)
{
	uint64_t *sum = ctx;
	*sum += hash_mix(FNV_BASIS, macro->sql);
	return true;
}

static uint64_t mix_parents(const struct loader *l, uint64_t hash, const json_t *of, int depth)
{
	const json_t *list = json_object_get(json_object_get(of, "depends_on"), "nodes");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_string_value(json_array_get(list, i));
		int node = id ? find_node(l, id) : -1;
		hash = hash_mix(hash, id);
		if (node < 0)
			continue;
		const json_t *parent = l->json[node], *config = json_object_get(parent, "config");
		hash = mix_text(hash, parent, "relation_name");
		hash = mix_json(hash, json_object_get(config, "event_time"));
		/* Its SQL is a part of the model's. */
		const char *materialized = l->nodes[node].materialized;
		if (!materialized || strcmp(materialized, "ephemeral") != 0 || depth == 0)
			continue;
		hash = mix_json(hash, json_object_get(parent, "checksum"));
		hash = mix_json(hash, config);
		hash = mix_parents(l, hash, parent, depth - 1);
	}
	return hash;
}

int load_made_of(struct loader *l, struct model *m)
{
	const json_t *node = l->json[m->node];
	uint64_t hash = FNV_BASIS, macros = 0;
	hash = mix_json(hash, json_object_get(node, "checksum"));
	hash = mix_json(hash, json_object_get(node, "config"));
	hash = mix_text(hash, node, "relation_name");
	hash = mix_text(hash, node, "raw_code");
	if (!macros_of(l, m, mix_macro, &macros))
		l->arena->broken = true;
	hash ^= macros;
	hash = mix_parents(l, hash, node, EPHEMERAL_DEPTH);
	snprintf(m->made_of, sizeof(m->made_of), "%016" PRIx64, hash);
	return loader_check(l);
}
