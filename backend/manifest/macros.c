/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/macros.h"

/* The macros that a model calls, directly or through others, each once. */
struct macro_set {
	const char **ids;
	size_t n, max;
};

static bool add(struct macro_set *set, const char *id)
{
	for (size_t i = 0; i < set->n; i++) {
		if (strcmp(set->ids[i], id) == 0)
			return true;
	}
	if (set->n == set->max) {
		size_t max = set->max ? set->max * 2 : 16;
		const char **ids = reallocarray(set->ids, max, sizeof(*ids));
		if (!ids)
			return false;
		set->ids = ids;
		set->max = max;
	}
	set->ids[set->n++] = id;
	return true;
}

static bool add_called(struct macro_set *set, const json_t *of)
{
	const json_t *list = json_object_get(json_object_get(of, "depends_on"), "macros");
	bool fine = true;
	for (size_t i = 0; fine && i < json_array_size(list); i++) {
		const char *id = json_string_value(json_array_get(list, i));
		if (id)
			fine = add(set, id);
	}
	return fine;
}

/*
 * Whether the macro comes with dbt or its adapter, or with one that other adapters build upon. What those
 * macros do is known, so they are not searched.
 */
static bool is_dbts_own(const struct loader *l, const char *id)
{
	static const char prefix[] = "macro.dbt";
	const char *const adapters[] = {l->catalog->adapter_type, "postgres", "spark"};
	if (strncmp(id, prefix, sizeof(prefix) - 1) != 0)
		return false;
	id += sizeof(prefix) - 1;
	if (*id == '.')
		return true;
	for (size_t i = 0; i < sizeof(adapters) / sizeof(*adapters); i++) {
		size_t len = strlen(adapters[i]);
		if (len && *id == '_' && strncmp(id + 1, adapters[i], len) == 0 && id[1 + len] == '.')
			return true;
	}
	return false;
}

static const char *place_of(struct loader *l, const json_t *macro)
{
	const char *file = json_string_value(json_object_get(macro, "original_file_path"));
	const char *package = json_string_value(json_object_get(macro, "package_name"));
	if (!file || !package || strcmp(package, l->catalog->project) == 0)
		return file ? file : "a macro";
	return arena_printf(l->arena, "%s of the package %s", file, package);
}

bool macros_of(struct loader *l, const struct model *m, bool (*visit)(void *ctx, const struct macro *macro),
	       void *ctx)
{
	struct macro_set set = {0};
	bool fine = add_called(&set, l->json[m->node]);
	for (size_t i = 0; fine && i < set.n; i++) {
		if (is_dbts_own(l, set.ids[i]))
			continue;
		const json_t *json = json_object_get(l->macros, set.ids[i]);
		struct macro macro = {.json = json,
				      .sql = json_string_value(json_object_get(json, "macro_sql")),
				      .file = place_of(l, json)};
		fine = macro.file && (!macro.sql || visit(ctx, &macro)) && add_called(&set, json);
	}
	free(set.ids);
	return fine;
}

bool calls_is_incremental(const json_t *of)
{
	const json_t *list = json_object_get(json_object_get(of, "depends_on"), "macros");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_string_value(json_array_get(list, i));
		const char *name = id ? strrchr(id, '.') : NULL;
		if (name &&
		    (strcmp(name, ".is_incremental") == 0 || strcmp(name, ".should_full_refresh") == 0))
			return true;
	}
	return false;
}

/* Whether dbt calls a macro of this name, or finds it by dispatch, when it builds a microbatch model. */
static bool builds(const struct loader *l, const char *name)
{
	/* The strategy with what it calls, and what makes the table. */
	static const char *const names[] = {
		"get_incremental_microbatch_sql",
		"get_incremental_merge_sql",
		"get_merge_sql",
		"get_merge_update_columns",
		"get_quoted_csv",
		"create_table_as",
		"get_create_table_as_sql",
	};
	static const char materialization[] = "materialization_incremental_";
	const char *const prefixes[] = {"default", "postgres", l->catalog->adapter_type};
	const size_t len = sizeof(materialization) - 1;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		size_t prefix = strlen(prefixes[i]);
		if (strncmp(name, materialization, len) == 0 && strcmp(name + len, prefixes[i]) == 0)
			return true;
		if (prefix && strncmp(name, prefixes[i], prefix) == 0 &&
		    strncmp(name + prefix, "__", 2) == 0) {
			name += prefix + 2;
			break;
		}
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

int find_own_strategy(struct loader *l)
{
	const char *id;
	json_t *macro;
	size_t most = 1, n = 0;
	json_object_foreach(l->macros, id, macro)
	{
		const char *name = strrchr(id, '.');
		most += name && builds(l, name + 1) && !is_dbts_own(l, id);
	}
	l->own_strategy = arena_alloc(l->arena, most, sizeof(*l->own_strategy));
	if (!l->own_strategy || !l->macros)
		return loader_check(l);
	json_object_foreach(l->macros, id, macro)
	{
		const char *name = strrchr(id, '.');
		if (name && builds(l, name + 1) && !is_dbts_own(l, id))
			l->own_strategy[n++] =
				(struct own_macro){arena_strdup(l->arena, name + 1), place_of(l, macro)};
	}
	return loader_check(l);
}
