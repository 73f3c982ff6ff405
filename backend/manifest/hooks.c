/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks. Most hold no Jinja, or only {{ this }}: those are rendered here. Only dbt can render the others.
 */
#include <ctype.h>
#include <string.h>

#include "backend/manifest/steps.h"

static void trim_end(struct strbuf *b)
{
	while (b->len && isspace((unsigned char)b->str[b->len - 1]))
		b->str[--b->len] = '\0';
}

/* Appends what the expression renders to. False: it is not about {{ this }} alone. */
static bool render_this(struct loader *l, const struct model *m, const struct jinja_part *part,
			struct strbuf *out)
{
	const char *p = part->text;
	struct jinja_token word = jinja_lex(&p, part->end);
	if (!jinja_is(&word, "this"))
		return false;
	struct jinja_chain chain = jinja_chain(&p, part->end);
	if (jinja_lex(&p, part->end).kind != JINJA_END)
		return false;
	switch (chain.kind) {
	case CHAIN_RELATION:
	case CHAIN_RENDER:
		strbuf_puts(out, relation_including(l, m->relation.rendered, chain.parts));
		return true;
	case CHAIN_DATABASE:
	case CHAIN_SCHEMA:
	case CHAIN_IDENTIFIER:
		strbuf_puts(out, relation_part(l, (size_t)m->node, chain.kind));
		return true;
	case CHAIN_OTHER:
		break;
	}
	return false;
}

/* Renders the hook as far as that takes no dbt. False: it takes one. */
static bool render(struct loader *l, const struct model *m, const char *text, struct strbuf *out)
{
	struct jinja j = {.p = text, .end = text + strlen(text)};
	struct jinja_part part;
	bool trim = false;
	while (jinja_next(&j, &part)) {
		if (part.kind == JINJA_TEXT) {
			while (trim && part.text < part.end && isspace((unsigned char)*part.text))
				part.text++;
			strbuf_add(out, part.text, (size_t)(part.end - part.text));
			trim = false;
			continue;
		}
		const char *in = part.text;
		struct jinja_token word = jinja_lex(&in, part.end);
		/* {{- and -}} take the white space beside them away. */
		if (part.text[-1] == '-')
			trim_end(out);
		trim = *part.end == '-';
		if (part.kind == JINJA_STATEMENT ? !jinja_is(&word, "raw") : !render_this(l, m, &part, out))
			return false;
	}
	return true;
}

static bool is_blank(enum sql_dialect dialect, const char *sql, size_t len)
{
	size_t at = 0;
	struct sql_token t = {.kind = SQL_SPACE};
	while (t.kind == SQL_SPACE) {
		t = sql_lex(dialect, sql, len, at);
		at = t.start + t.len;
	}
	return t.kind == SQL_END;
}

/* Cuts the SQL at its semicolons. Pieces that hold nothing but comments are left out. */
static const char **cut(struct loader *l, const char *sql)
{
	size_t len = strlen(sql), most = 2, n = 0, start = 0;
	for (const char *p = sql; *p; p++)
		most += *p == ';';
	const char **out = arena_alloc(l->arena, most, sizeof(*out));
	while (out && start < len) {
		struct sql_token t = sql_lex(l->dialect, sql, len, start);
		while (t.kind != SQL_END && !(t.kind == SQL_PUNCT && sql[t.start] == ';'))
			t = sql_lex(l->dialect, sql, len, t.start + t.len);
		if (!is_blank(l->dialect, sql + start, t.start - start))
			out[n++] = arena_strndup(l->arena, sql + start, t.start - start);
		start = t.start + t.len + (t.kind == SQL_END);
	}
	return out;
}

static int load_hook(struct loader *l, struct model *m, const struct place *list, size_t i, bool post)
{
	const char *text;
	enum tristate transaction = TRI_UNSET;
	char key[32];
	json_t *item = json_array_get(list->object, i);
	snprintf(key, sizeof(key), "[%zu]", i);
	struct place at = place_under(list, key, item);
	int r = json_is_object(item) ? need_string(&at, "sql", &text) : 0;
	if (!r && json_is_object(item))
		r = get_bool(&at, "transaction", &transaction);
	else if (!r && !(text = json_string_value(item)))
		r = place_wrong(list, key, item, "not a hook with its sql");
	if (r)
		return r;
	auto_strbuf sql = STRBUF_INIT;
	/* A model without a name for its table is wrong, so that nobody runs its hooks. */
	bool rendered = m->relation.rendered && render(l, m, text, &sql);
	if (strbuf_broken(&sql))
		l->arena->broken = true;
	if (rendered && is_blank(l->dialect, sql.str, sql.len))
		return loader_check(l);
	struct hook *hook = (struct hook *)&m->hooks[m->n_hooks++];
	hook->post = post;
	hook->transaction = transaction != TRI_FALSE;
	hook->text = arena_strdup(l->arena, text);
	hook->sql = rendered ? arena_strndup(l->arena, sql.str, sql.len) : NULL;
	hook->statements = hook->sql ? cut(l, hook->sql) : NULL;
	return loader_check(l);
}

int load_hooks(struct loader *l, struct model *m)
{
	static const char *const keys[] = {"pre-hook", "pre_hook", "post-hook", "post_hook"};
	struct place at = loader_place(l, (size_t)m->node);
	struct place config = place_under(&at, "config", json_object_get(at.object, "config"));
	size_t most = 1;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		most += json_array_size(json_object_get(config.object, keys[i]));
	m->hooks = arena_alloc(l->arena, most, sizeof(*m->hooks));
	int r = loader_check(l);
	for (size_t i = 0; !r && i < sizeof(keys) / sizeof(*keys); i++) {
		if (!json_says(config.object, keys[i]))
			continue;
		json_t *list;
		r = get_array(&config, keys[i], &list);
		struct place list_at = place_under(&config, keys[i], list);
		for (size_t k = 0; !r && k < json_array_size(list); k++)
			r = load_hook(l, m, &list_at, k, i > 1);
	}
	return r;
}
