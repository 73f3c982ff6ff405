/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/manifest/jinja.h"
#include "backend/manifest/mentions.h"
#include "backend/manifest/steps.h"

/* Whether the target's rows, or what surrounds them, come about with more than a query and a window. */
static void check_target(struct loader *l, struct model *m)
{
	static const char *const modes[] = {
		[SCHEMA_APPEND] = "append_new_columns",
		[SCHEMA_SYNC] = "sync_all_columns",
		[SCHEMA_FAIL] = "fail",
	};
	for (size_t i = 0; i < m->n_hooks; i++) {
		const struct hook *hook = &m->hooks[i];
		need(l, m, hook->sql ? NEED_HOOK : NEED_HOOK_JINJA, hook->post ? "post-hook" : "pre-hook",
		     hook->text);
	}
	if (m->on_schema_change != SCHEMA_IGNORE)
		need(l, m, NEED_SCHEMA_CHANGE, "on_schema_change", modes[m->on_schema_change]);
	if (m->contract)
		need(l, m, NEED_CONTRACT, "contract", NULL);
	if (m->sql_header)
		need(l, m, NEED_SQL_HEADER, "sql_header", m->sql_header);
}

static void check_said(struct loader *l, struct model *m, const struct place *config)
{
	static const struct {
		const char *key;
		enum need_kind kind;
	} keys[] = {
		{"grants", NEED_GRANTS},
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
	struct place at = loader_place(l, (size_t)m->node);
	struct place config = place_under(&at, "config", json_object_get(at.object, "config"));
	int r = check_jinja(l, m, &at);
	if (r)
		return r;
	check_target(l, m);
	check_said(l, m, &config);
	check_strategy(l, m);
	return loader_check(l);
}
