/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
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
		if (has_jinja(sql))
			refuse(l, m,
			       "Its %s holds Jinja, which only dbt can render: \"%.200s\"; run the model "
			       "with dbt, or "
			       "take the hook out",
			       key, sql);
		else if (*sql)
			refuse(l, m,
			       "It has a %s, and hooks are not run here: \"%.200s\"; run the model with dbt, "
			       "or take "
			       "the hook out",
			       key, sql);
	}
	return 0;
}

static int check_schema_change(struct loader *l, struct model *m, const struct place *config)
{
	const char *text;
	int r = get_string(config, "on_schema_change", &text);
	if (!r && text && *text && strcmp(text, "ignore") != 0)
		refuse(l, m,
		       "Its on_schema_change is %s, and columns are not changed here; set it to ignore, or "
		       "run "
		       "the model "
		       "with dbt",
		       text);
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
		refuse(l, m,
		       "Its contract is enforced, and contracts are not checked here; set contract.enforced "
		       "to "
		       "false, or run the model with dbt");
	return r;
}

static void check_said(struct loader *l, struct model *m, const struct place *config)
{
	static const struct {
		const char *key, *what;
	} unsupported[] = {
		{"grants", "grants are not given here"},
		{"sql_header", "a sql_header is not sent here"},
		{"incremental_predicates", "a batch replaces its whole window here, whatever the predicates"},
		{"predicates", "a batch replaces its whole window here, whatever the predicates"},
		{"merge_update_columns", "a batch replaces whole rows here"},
		{"merge_exclude_columns", "a batch replaces whole rows here"},
	};
	for (size_t i = 0; i < sizeof(unsupported) / sizeof(*unsupported); i++) {
		char excerpt[120];
		if (!json_says(config->object, unsupported[i].key))
			continue;
		json_excerpt(json_object_get(config->object, unsupported[i].key), excerpt, sizeof(excerpt));
		refuse(l, m, "Its config has %s %s, and %s; take it out, or run the model with dbt",
		       unsupported[i].key, excerpt, unsupported[i].what);
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
		refuse(l, m,
		       "%s (or a macro of it) uses model.batch, which has a value only inside of dbt's own "
		       "run of a "
		       "batch; run the model with dbt, or let event_time of the inputs do the filtering",
		       m->original_path);
	if (uses.incremental)
		refuse(l, m,
		       "%s (or a macro of it) uses is_incremental(), whose answer was fixed when the SQL "
		       "was "
		       "compiled; a microbatch model does not need it: take it out, or run the model with "
		       "dbt",
		       m->original_path);
	return r;
}

/* A project can put its own macro in the place of dbt's strategy. */
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
			refuse(l, m,
			       "%s takes the place of dbt's microbatch strategy, and only dbt can run it",
			       id);
	}
}

int check_features(struct loader *l, struct model *m)
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
