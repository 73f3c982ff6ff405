/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/manifest/jinja.h"
#include "backend/manifest/macros.h"
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

static const enum need_kind need_of[JINJA_USES] = {
	[USE_BATCH] = NEED_BATCH_VALUE,
	[USE_INCREMENTAL] = NEED_IS_INCREMENTAL,
	[USE_WAREHOUSE] = NEED_WAREHOUSE_LOOK,
	[USE_RUN] = NEED_RUN_CONTEXT,
};

/* What looks for uses in the model's file and its macros. One place is enough for each. */
struct search {
	struct loader *l;
	struct model *m;
	bool found[JINJA_USES];
};

static void search_text(struct search *s, const char *sql, const char *file, const json_t *of)
{
	static const char asked[] = "is_incremental()";
	struct jinja_words uses[JINJA_USES] = {0};
	jinja_uses(sql, uses);
	if (!uses[USE_INCREMENTAL].at && calls_is_incremental(of))
		uses[USE_INCREMENTAL] = (struct jinja_words){asked, sizeof(asked) - 1};
	for (int i = 0; i < JINJA_USES; i++) {
		if (!uses[i].at || s->found[i])
			continue;
		s->found[i] = true;
		need_for_words(s->l, s->m, need_of[i], file, NULL, uses[i].at, uses[i].len);
	}
}

static bool search_macro(void *ctx, const struct macro *macro)
{
	search_text(ctx, macro->sql, macro->file, macro->json);
	return true;
}

static int check_jinja(struct loader *l, struct model *m, const struct place *at)
{
	struct search s = {.l = l, .m = m};
	const char *raw;
	int r = get_string(at, "raw_code", &raw);
	if (r)
		return r;
	search_text(&s, raw ? raw : "", m->original_path, at->object);
	if (!macros_of(l, m, search_macro, &s))
		l->arena->broken = true;
	return loader_check(l);
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
	for (const struct own_macro *own = l->own_strategy; own->name; own++)
		need(l, m, NEED_OWN_STRATEGY, own->file, own->name);
	return loader_check(l);
}
