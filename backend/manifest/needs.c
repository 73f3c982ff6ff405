/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/manifest/jinja.h"
#include "backend/manifest/mentions.h"
#include "backend/manifest/steps.h"

static bool has_jinja(const char *text)
{
	return strstr(text, "{{") || strstr(text, "{%");
}

static int check_hooks(struct loader *l, struct model *m, const struct place *config, const char *key)
{
	json_t *list = json_object_get(config->object, key), *hook;
	size_t i;
	if (!json_says(config->object, key))
		return 0;
	if (!json_is_array(list))
		return place_wrong(config, key, list, "not a list");
	json_array_foreach(list, i, hook)
	{
		const char *sql =
			json_string_value(json_is_object(hook) ? json_object_get(hook, "sql") : hook);
		if (!sql)
			return place_wrong(config, key, hook, "not a hook with its sql");
		if (*sql)
			need(l, m, has_jinja(sql) ? NEED_HOOK_JINJA : NEED_HOOK, key, sql);
	}
	return 0;
}

static int check_schema_change(struct loader *l, struct model *m, const struct place *config)
{
	const char *text;
	int r = get_string(config, "on_schema_change", &text);
	if (!r && text && *text && strcmp(text, "ignore") != 0)
		need(l, m, NEED_SCHEMA_CHANGE, "on_schema_change", text);
	return r;
}

static int check_contract(struct loader *l, struct model *m, const struct place *in)
{
	json_t *contract;
	enum tristate enforced = TRI_UNSET;
	int r = get_object(in, "contract", &contract);
	if (!r && contract) {
		struct place at = place_under(in, "contract", contract);
		r = get_bool(&at, "enforced", &enforced);
	}
	if (!r && enforced == TRI_TRUE)
		need(l, m, NEED_CONTRACT, "contract", NULL);
	return r;
}

static void check_said(struct loader *l, struct model *m, const struct place *config)
{
	static const struct {
		const char *key;
		enum need_kind kind;
	} keys[] = {
		{"grants", NEED_GRANTS},
		{"sql_header", NEED_SQL_HEADER},
		{"incremental_predicates", NEED_PREDICATES},
		{"predicates", NEED_PREDICATES},
		{"merge_update_columns", NEED_COLUMN_CHOICE},
		{"merge_exclude_columns", NEED_COLUMN_CHOICE},
	};
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		char excerpt[120];
		if (!json_says(config->object, keys[i].key))
			continue;
		json_excerpt(json_object_get(config->object, keys[i].key), excerpt, sizeof(excerpt));
		need(l, m, keys[i].kind, keys[i].key, excerpt);
	}
}

static int check_jinja(struct loader *l, struct model *m, const struct place *at)
{
	const char *raw;
	struct jinja_uses uses = {0};
	int r = get_string(at, "raw_code", &raw);
	if (r)
		return r;
	if (raw)
		jinja_uses(raw, &uses);
	r = macro_uses(l, m, &uses);
	if (uses.batch)
		need(l, m, NEED_BATCH_VALUE, m->original_path, NULL);
	if (uses.incremental)
		need(l, m, NEED_IS_INCREMENTAL, m->original_path, NULL);
	return r;
}

/* A project can define a macro of its own that dbt calls in the place of its microbatch strategy. */
static void check_strategy(struct loader *l, struct model *m)
{
	static const char suffix[] = ".get_incremental_microbatch_sql";
	const char *id;
	json_t *macro;
	if (!l->macros)
		return;
	json_object_foreach(l->macros, id, macro)
	{
		const char *dot = strrchr(id, '.');
		if (dot && strcmp(dot, suffix) == 0 && strncmp(id, "macro.dbt.", 10) != 0 &&
		    strncmp(id, "macro.dbt_", 10) != 0)
			need(l, m, NEED_OWN_STRATEGY, id, NULL);
	}
}

int load_needs(struct loader *l, struct model *m)
{
	static const char *const hooks[] = {"pre-hook", "post-hook", "pre_hook", "post_hook"};
	struct place at = loader_place(l, (size_t)m->node);
	struct place config = place_under(&at, "config", json_object_get(at.object, "config"));
	int r = check_jinja(l, m, &at);
	for (size_t i = 0; !r && i < sizeof(hooks) / sizeof(*hooks); i++)
		r = check_hooks(l, m, &config, hooks[i]);
	if (!r)
		r = check_schema_change(l, m, &config);
	if (!r)
		r = check_contract(l, m, &config);
	if (!r)
		r = check_contract(l, m, &at);
	if (r)
		return r;
	check_said(l, m, &config);
	check_strategy(l, m);
	return loader_check(l);
}
