/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/jinja.h"
#include "backend/manifest/mentions.h"

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
 * Whether the macro comes with dbt or its adapter. What those macros do is known, so they are not searched.
 */
static bool is_dbts_own(const struct loader *l, const char *id)
{
	static const char prefix[] = "macro.dbt";
	if (strncmp(id, prefix, sizeof(prefix) - 1) != 0)
		return false;
	id += sizeof(prefix) - 1;
	if (*id == '.')
		return true;
	size_t len = strlen(l->catalog->adapter_type);
	return len && *id == '_' && strncmp(id + 1, l->catalog->adapter_type, len) == 0 && id[1 + len] == '.';
}

int macro_uses(struct loader *l, const struct model *m, struct jinja_uses *uses)
{
	struct macro_set set = {0};
	bool fine = add_called(&set, l->json[m->node]);
	for (size_t i = 0; fine && i < set.n; i++) {
		const char *name = strrchr(set.ids[i], '.');
		if (name &&
		    (strcmp(name, ".is_incremental") == 0 || strcmp(name, ".should_full_refresh") == 0))
			uses->incremental = true;
		if (is_dbts_own(l, set.ids[i]))
			continue;
		const json_t *macro = json_object_get(l->macros, set.ids[i]);
		const char *sql = json_string_value(json_object_get(macro, "macro_sql"));
		if (sql)
			jinja_uses(sql, uses);
		fine = add_called(&set, macro);
	}
	free(set.ids);
	if (!fine)
		l->arena->broken = true;
	return loader_check(l);
}
