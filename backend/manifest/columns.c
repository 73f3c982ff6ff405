/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of the YAML, with their constraints as dbt-adapters writes them (adapters/base/impl.py,
 * render_column_constraint and render_model_constraint).
 */
#include <string.h>
#include <strings.h>

#include "backend/manifest/raw.h"
#include "backend/manifest/steps.h"

/* A constraint as the YAML has it. Texts are "" where it says nothing. */
struct constraint {
	const char *type, *name, *expression, *to;
	const char **columns, **to_columns; /* NULL-terminated */
};

static void put_list(struct strbuf *out, const char *const *texts)
{
	for (size_t i = 0; texts[i]; i++)
		strbuf_printf(out, "%s%s", i ? ", " : "", texts[i]);
}

/*
 * The table that a foreign key points to. A manifest that dbt has compiled names the table, any other one has
 * ref('x') there.
 */
static const char *load_to(struct loader *l, const struct model *m, const char *text)
{
	struct jinja_call call;
	const char *p = text;
	bool pure;
	if (!jinja_find_call(&p, text + strlen(text), &call, &pure))
		return text;
	const struct node *n = &l->nodes[m->node];
	for (size_t i = 0; i < n->n_parents; i++) {
		int parent = n->parents[i];
		if (call_names(l, &call, parent))
			return json_string_value(json_object_get(l->json[parent], "relation_name"));
	}
	return NULL;
}

static int load_constraint(struct loader *l, const struct model *m, const struct place *at,
			   struct constraint *out)
{
	const struct {
		const char *key;
		const char **to;
	} texts[] = {{"type", &out->type},
		     {"name", &out->name},
		     {"expression", &out->expression},
		     {"to", &out->to}};
	int r = 0;
	for (size_t i = 0; !r && i < sizeof(texts) / sizeof(*texts); i++) {
		const char *text;
		r = get_string(at, texts[i].key, &text);
		*texts[i].to = text ? text : "";
	}
	if (!r)
		r = get_strings(at, "columns", l->arena, &out->columns);
	if (!r)
		r = get_strings(at, "to_columns", l->arena, &out->to_columns);
	if (!r && !(out->to = load_to(l, m, out->to)))
		r = place_wrong(at, "to", json_object_get(at->object, "to"),
				"which names no model that this one reads");
	return r;
}

/* Appends the table and the columns that a foreign key points to. False: it says neither. */
static bool put_references(const struct constraint *c, struct strbuf *out)
{
	if (*c->to && c->to_columns[0]) {
		strbuf_printf(out, "references %s (", c->to);
		put_list(out, c->to_columns);
		strbuf_putc(out, ')');
		return true;
	}
	if (*c->expression)
		strbuf_printf(out, "references %s", c->expression);
	return *c->expression;
}

/* What stands behind the column's type. False: nothing, as dbt leaves such a constraint out. */
static bool put_on_column(const struct constraint *c, struct strbuf *out)
{
	static const char *const words[][2] = {
		{"not_null", "not null"}, {"unique", "unique"}, {"primary_key", "primary key"}};
	const char *expression = c->expression;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(c->type, words[i][0]) == 0) {
			strbuf_printf(out, "%s%s%s", words[i][1], *expression ? " " : "", expression);
			return true;
		}
	}
	if (strcmp(c->type, "foreign_key") == 0)
		return put_references(c, out);
	if (!*expression)
		return false;
	if (strcmp(c->type, "check") == 0)
		strbuf_printf(out, "check (%s)", expression);
	else if (strcmp(c->type, "custom") == 0)
		strbuf_puts(out, expression);
	return out->len > 0;
}

/* What stands behind the columns of the table. */
static bool put_on_table(const struct constraint *c, struct strbuf *out)
{
	const char *expression = c->expression;
	if (*c->name)
		strbuf_printf(out, "constraint %s ", c->name);
	if (strcmp(c->type, "unique") == 0 || strcmp(c->type, "primary_key") == 0) {
		strbuf_printf(out, "%s%s%s (", *c->type == 'u' ? "unique" : "primary key",
			      *expression ? " " : "", expression);
		put_list(out, c->columns);
		strbuf_putc(out, ')');
		return true;
	}
	if (strcmp(c->type, "foreign_key") == 0) {
		strbuf_puts(out, "foreign key (");
		put_list(out, c->columns);
		strbuf_puts(out, ") ");
		return put_references(c, out);
	}
	bool check = strcmp(c->type, "check") == 0;
	if (!*expression || (!check && strcmp(c->type, "custom") != 0))
		return false;
	strbuf_printf(out, check ? "check (%s)" : "%s", expression);
	return true;
}

static int load_constraints(struct loader *l, const struct model *m, const struct place *in, bool of_table,
			    const char ***out)
{
	json_t *list, *item;
	size_t i, n = 0;
	int r = get_array(in, "constraints", &list);
	const char **texts = arena_alloc(l->arena, json_array_size(list) + 1, sizeof(*texts));
	*out = texts;
	if (r || !texts)
		return r ? r : loader_check(l);
	struct place list_at = place_under(in, "constraints", list);
	json_array_foreach(list, i, item)
	{
		char key[32];
		struct constraint c;
		snprintf(key, sizeof(key), "[%zu]", i);
		struct place at = place_under(&list_at, key, item);
		r = json_is_object(item) ? load_constraint(l, m, &at, &c)
					 : place_wrong(&list_at, key, item, "not an object");
		if (r)
			return r;
		auto_strbuf text = STRBUF_INIT;
		if ((of_table ? put_on_table : put_on_column)(&c, &text))
			texts[n++] = arena_strdup(l->arena, text.str);
	}
	return loader_check(l);
}

static int load_column(struct loader *l, struct model *m, const struct place *at, const char *key,
		       struct column_config *out)
{
	enum tristate quote;
	const char *name, *type, *description;
	int r = get_string(at, "name", &name);
	if (!r)
		r = get_string(at, "data_type", &type);
	if (!r)
		r = get_string(at, "description", &description);
	if (!r)
		r = get_bool(at, "quote", &quote);
	if (!r && m->contract && !(type && *type))
		r = place_wrong(at, "data_type", json_object_get(at->object, "data_type"),
				"and an enforced contract needs the type of every column");
	if (!r)
		r = load_constraints(l, m, at, false, &out->constraints);
	if (r)
		return r;
	out->name = arena_strdup(l->arena, name ? name : key);
	out->quote = quote == TRI_TRUE;
	out->type = arena_strdup(l->arena, type);
	out->description = m->column_docs && description ? arena_strdup(l->arena, description) : "";
	return loader_check(l);
}

/* `string` is dbt's word for text, unless the contract says alias_types: false. */
static void translate_types(struct model *m, struct column_config *columns, const json_t *contract)
{
	for (size_t i = 0; i < m->n_columns && !json_is_false(json_object_get(contract, "alias_types"));
	     i++) {
		if (columns[i].type && strcasecmp(columns[i].type, "string") == 0)
			columns[i].type = "TEXT";
	}
}

static int load_contract(const struct place *in, struct model *m)
{
	json_t *contract;
	enum tristate enforced = TRI_UNSET;
	int r = get_object(in, "contract", &contract);
	if (!r && contract) {
		struct place at = place_under(in, "contract", contract);
		r = get_bool(&at, "enforced", &enforced);
	}
	m->contract |= enforced == TRI_TRUE;
	return r;
}

int load_columns(struct loader *l, struct model *m)
{
	static const char *none[] = {NULL};
	struct place at = loader_place(l, (size_t)m->node);
	struct place config = place_under(&at, "config", json_object_get(at.object, "config"));
	json_t *map, *value;
	const char *key;
	m->constraints = none;
	int r = load_contract(&config, m);
	if (!r)
		r = load_contract(&at, m);
	if (!r)
		r = get_object(&at, "columns", &map);
	if (r || (!m->contract && !m->column_docs))
		return r;
	struct column_config *columns = arena_alloc(l->arena, json_object_size(map) + 1, sizeof(*columns));
	if (!columns)
		return loader_check(l);
	m->columns = columns;
	struct place map_at = place_under(&at, "columns", map);
	json_object_foreach(map, key, value)
	{
		struct place column_at = place_under(&map_at, key, value);
		if (!json_is_object(value))
			return place_wrong(&map_at, key, value, "not an object");
		r = load_column(l, m, &column_at, key, &columns[m->n_columns++]);
		if (r)
			return r;
	}
	translate_types(m, columns, json_object_get(at.object, "contract"));
	if (m->contract && !m->n_columns)
		return place_wrong(&at, "columns", json_object_get(at.object, "columns"),
				   "and an enforced contract needs the type of every column");
	return m->contract ? load_constraints(l, m, &at, true, &m->constraints) : 0;
}
