/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/steps.h"

/*
 * Reads the node's resource type. *type is NULL where the graph leaves nodes of that type, in this map, out.
 */
static int graph_type(const struct place *at, enum node_map map, const char **type)
{
	const char *text;
	int r = need_string(at, "resource_type", &text);
	*type = r ? NULL : graph_type_in(map, text);
	return r;
}

struct found {
	const char *id, *type;
	json_t *json;
};

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->id, ((const struct found *)b)->id);
}

static int collect(const struct loader *l, enum node_map map, struct found *found, size_t *n)
{
	const struct place *in = &l->maps[map];
	const char *id;
	json_t *value;
	json_object_foreach(in->object, id, value)
	{
		if (!json_is_object(value))
			return place_wrong(in, id, value, "not an object");
		struct place at = place_under(in, id, value);
		json_t *config;
		const char *type;
		int r = graph_type(&at, map, &type);
		if (!r)
			r = get_object(&at, "config", &config);
		if (r)
			return r;
		if (type && !json_is_false(json_object_get(config, "enabled")))
			found[(*n)++] = (struct found){.id = id, .type = type, .json = value};
	}
	return 0;
}

/* Reads the version, which dbt writes as a number or as a string. */
static int load_version(struct loader *l, const struct place *at, const char **out)
{
	json_t *value = json_object_get(at->object, "version");
	if (json_is_integer(value)) {
		*out = arena_printf(l->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return 0;
	}
	if (json_is_real(value)) {
		*out = arena_printf(l->arena, "%g", json_real_value(value));
		return 0;
	}
	const char *text;
	int r = get_string(at, "version", &text);
	*out = arena_intern(l->arena, text);
	return r;
}

/*
 * For the result of a getter: -EINVAL costs this node alone. The sentence is kept in `wrong`, and refuses the
 * models that read the node.
 */
static int forgive(struct loader *l, size_t i, int r)
{
	struct error *err = l->root.err;
	if (r != -EINVAL)
		return r;
	log_warning(l->log, "%s", err->text);
	if (!l->wrong[i])
		l->wrong[i] = arena_strdup(l->arena, err->text);
	*err = (struct error){0};
	return loader_check(l);
}

static int load_strings(struct loader *l, const struct place *at, size_t i)
{
	struct node *n = &l->nodes[i];
	const struct {
		const char *key;
		const char **to;
		bool needed;
	} texts[] = {
		{"package_name", &n->package, true},
		{"original_file_path", &n->path, false},
		{"source_name", &n->source_name, node_is(n, "source")},
	};
	for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++) {
		const char *text;
		int r = (texts[k].needed ? need_string : get_string)(at, texts[k].key, &text);
		*texts[k].to = arena_intern(l->arena, text ? text : "");
		r = forgive(l, i, r);
		if (r)
			return r;
	}
	if (!node_is(n, "source"))
		n->source_name = NULL;
	return 0;
}

static int load_node(struct loader *l, size_t i)
{
	struct node *n = &l->nodes[i];
	struct place at = loader_place(l, i);
	json_t *name = json_object_get(at.object, "name");
	const char *materialized = NULL;
	/* A NUL in a name costs one model and not the manifest: models.c looks for it. */
	if (!json_is_string(name))
		return place_wrong(&at, "name", name, "not a string");
	n->name = arena_intern(l->arena, json_string_value(name));
	n->place = -1;
	n->config = "\n";
	int r = load_strings(l, &at, i);
	if (!r)
		r = forgive(l, i, load_version(l, &at, &n->version));
	if (!r)
		r = forgive(l, i, get_strings(&at, "fqn", l->arena, &n->fqn));
	if (!r)
		r = forgive(l, i, get_strings(&at, "tags", l->arena, &n->tags));
	struct place config = place_under(&at, "config", json_object_get(at.object, "config"));
	if (!r)
		r = forgive(l, i, get_string(&config, "materialized", &materialized));
	n->materialized = arena_intern(l->arena, materialized);
	return r ? r : forgive(l, i, load_selectable(l, &at, n));
}

static int by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

static int load_parents(struct loader *l, size_t i)
{
	struct node *n = &l->nodes[i];
	struct place at = loader_place(l, i);
	json_t *depends, *list = NULL, *item;
	size_t k;
	int r = get_object(&at, "depends_on", &depends);
	if (r || !depends)
		return r;
	struct place depends_at = place_under(&at, "depends_on", depends);
	const char **ids;
	r = get_array(&depends_at, "nodes", &list);
	if (!r)
		r = get_strings(&depends_at, "nodes", l->arena, &ids);
	if (r)
		return r;
	int *parents = arena_alloc(l->arena, json_array_size(list) + 1, sizeof(*parents));
	if (!parents)
		return loader_check(l);
	size_t count = 0;
	json_array_foreach(list, k, item)
	{
		int parent = find_node(l, ids[k]);
		if (parent >= 0)
			parents[count++] = parent;
	}
	qsort(parents, count, sizeof(*parents), by_number);
	for (k = 0; k < count; k++) {
		if (!k || parents[k] != parents[k - 1])
			parents[n->n_parents++] = parents[k];
	}
	n->parents = parents;
	return 0;
}

int load_nodes(struct loader *l)
{
	size_t most = 0;
	for (size_t i = 0; i < MAP_COUNT; i++)
		most += json_object_size(l->maps[i].object);
	auto_free struct found *found = calloc(most + 1, sizeof(*found));
	l->nodes = arena_alloc(l->arena, most + 1, sizeof(*l->nodes));
	l->json = calloc(most + 1, sizeof(*l->json));
	l->wrong = arena_alloc(l->arena, most + 1, sizeof(*l->wrong));
	if (!found || !l->json)
		l->arena->broken = true;
	if (l->arena->broken)
		return loader_check(l);
	int r = 0;
	for (size_t i = 0; !r && i < MAP_COUNT; i++)
		r = collect(l, (enum node_map)i, found, &l->n_nodes);
	qsort(found, l->n_nodes, sizeof(*found), by_id);
	for (size_t i = 0; !r && i < l->n_nodes; i++) {
		l->nodes[i].unique_id = arena_strdup(l->arena, found[i].id);
		l->nodes[i].resource_type = found[i].type;
		l->json[i] = found[i].json;
		r = loader_check(l);
	}
	for (size_t i = 0; !r && i < l->n_nodes; i++)
		r = load_node(l, i);
	if (!r)
		r = loader_check(l);
	for (size_t i = 0; !r && i < l->n_nodes; i++)
		r = forgive(l, i, load_parents(l, i));
	return r;
}
