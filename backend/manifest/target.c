/* SPDX-License-Identifier: Apache-2.0 */
/* What the config says of the target besides its rows: how it is made, who may read it, what it is called. */
#include <string.h>

#include "backend/manifest/steps.h"

static int load_index(struct loader *l, const struct place *list, size_t i, struct index_config *out)
{
	char key[32];
	json_t *item = json_array_get(list->object, i);
	snprintf(key, sizeof(key), "[%zu]", i);
	if (!json_is_object(item))
		return place_wrong(list, key, item, "not an object");
	struct place at = place_under(list, key, item);
	enum tristate unique;
	const char *type;
	int r = get_strings(&at, "columns", l->arena, &out->columns);
	if (!r && !out->columns[0])
		return place_wrong(&at, "columns", json_object_get(item, "columns"), "not a list of columns");
	if (!r)
		r = get_bool(&at, "unique", &unique);
	if (!r)
		r = get_string(&at, "type", &type);
	if (r)
		return r;
	out->unique = unique == TRI_TRUE;
	out->type = type && *type ? arena_strdup(l->arena, type) : NULL;
	return 0;
}

static int load_indexes(struct loader *l, const struct place *config, struct model *m)
{
	json_t *list;
	int r = get_array(config, "indexes", &list);
	if (r || !list)
		return r;
	struct place at = place_under(config, "indexes", list);
	struct index_config *indexes = arena_alloc(l->arena, json_array_size(list) + 1, sizeof(*indexes));
	if (!indexes)
		return loader_check(l);
	for (size_t i = 0; !r && i < json_array_size(list); i++)
		r = load_index(l, &at, i, &indexes[i]);
	m->indexes = indexes;
	m->n_indexes = r ? 0 : json_array_size(list);
	return r;
}

/* dbt warns of another value and takes it for `ignore`. */
static int load_schema_change(const struct place *config, struct model *m)
{
	static const char *const words[] = {
		[SCHEMA_IGNORE] = "ignore",
		[SCHEMA_APPEND] = "append_new_columns",
		[SCHEMA_SYNC] = "sync_all_columns",
		[SCHEMA_FAIL] = "fail",
	};
	const char *text;
	int r = get_string(config, "on_schema_change", &text);
	for (size_t i = 0; !r && text && i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(text, words[i]) == 0)
			m->on_schema_change = (enum schema_change)i;
	}
	return r;
}

static int load_grants(struct loader *l, const struct place *config, struct model *m)
{
	json_t *map, *value;
	const char *privilege;
	int r = get_object(config, "grants", &map);
	struct grant *grants = arena_alloc(l->arena, json_object_size(map) + 1, sizeof(*grants));
	if (r || !grants)
		return r ? r : loader_check(l);
	m->grants = grants;
	struct place at = place_under(config, "grants", map);
	json_object_foreach(map, privilege, value)
	{
		struct grant *grant = &grants[m->n_grants++];
		grant->privilege = arena_strdup(l->arena, privilege);
		r = get_strings(&at, privilege, l->arena, &grant->roles);
		if (r)
			return r;
	}
	return loader_check(l);
}

static int load_docs(struct loader *l, const struct place *at, const struct place *config, struct model *m)
{
	json_t *docs;
	enum tristate relation = TRI_UNSET, columns = TRI_UNSET;
	const char *text;
	int r = get_object(config, "persist_docs", &docs);
	struct place docs_at = place_under(config, "persist_docs", docs);
	if (!r && docs)
		r = get_bool(&docs_at, "relation", &relation);
	if (!r && docs)
		r = get_bool(&docs_at, "columns", &columns);
	if (!r)
		r = get_string(at, "description", &text);
	if (r)
		return r;
	if (relation == TRI_TRUE && text && *text)
		m->comment = arena_strdup(l->arena, text);
	m->column_docs = columns == TRI_TRUE;
	return loader_check(l);
}

static int load_header(struct loader *l, const struct place *config, struct model *m)
{
	const char *text;
	enum tristate unlogged = TRI_UNSET;
	int r = get_string(config, "sql_header", &text);
	if (!r)
		r = get_bool(config, "unlogged", &unlogged);
	if (r)
		return r;
	m->unlogged = unlogged == TRI_TRUE;
	if (text && text[strspn(text, " \t\r\n")])
		m->sql_header = arena_strdup(l->arena, text);
	return loader_check(l);
}

int load_target_config(struct loader *l, struct model *m)
{
	struct place at = loader_place(l, (size_t)m->node);
	struct place config = place_under(&at, "config", json_object_get(at.object, "config"));
	int r = refuse_wrong(l, m, load_indexes(l, &config, m));
	if (!r)
		r = refuse_wrong(l, m, load_schema_change(&config, m));
	if (!r)
		r = refuse_wrong(l, m, load_grants(l, &config, m));
	if (!r)
		r = refuse_wrong(l, m, load_docs(l, &at, &config, m));
	return r ? r : refuse_wrong(l, m, load_header(l, &config, m));
}
