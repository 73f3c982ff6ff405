/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/strbuf.h"
#include "backend/manifest/steps.h"

#define PARTS_MAX 3

/*
 * Takes one part of a rendered relation and moves *p behind it. NULL: the text is not written as a relation
 * is, or there is no memory.
 */
static char *take_part(struct loader *l, const char **p)
{
	static const char open[] = "\"`[", close[] = "\"`]";
	const char *s = *p, *quote = *s ? strchr(open, *s) : NULL;
	auto_strbuf part = STRBUF_INIT;
	if (!quote) {
		/*
		 * PostgreSQL folds an unquoted name to lower case; SQLite compares names without regard to
		 * case.
		 */
		for (; *s && *s != '.'; s++)
			strbuf_putc(&part, l->dialect == SQL_POSTGRES && *s > 0 ? (char)tolower(*s) : *s);
		*p = s;
		return part.len ? arena_strdup(l->arena, part.str) : NULL;
	}
	char end = close[quote - open];
	for (s++; *s && (*s != end || (s[1] == end && end != ']')); s++) {
		strbuf_putc(&part, *s);
		if (*s == end)
			s++;
	}
	if (!*s)
		return NULL;
	*p = s + 1;
	return part.len ? arena_strdup(l->arena, part.str) : NULL;
}

static bool take_apart(struct loader *l, const char *rendered, struct relation *out)
{
	char *parts[PARTS_MAX] = {0};
	int n = 0;
	const char *p = rendered;
	do {
		if (n == PARTS_MAX || !(parts[n] = take_part(l, &p)))
			return false;
		n++;
	} while (*p++ == '.');
	if (p[-1])
		return false;
	out->identifier = parts[n - 1];
	out->schema = n > 1 ? parts[n - 2] : NULL;
	out->database = n > 2 ? parts[0] : NULL;
	return true;
}

int load_relation(struct loader *l, const struct place *at, struct relation *out)
{
	const char *rendered, *database, *schema, *alias, *identifier, *name;
	int r = get_string(at, "relation_name", &rendered);
	if (!r)
		r = get_string(at, "database", &database);
	if (!r)
		r = get_string(at, "schema", &schema);
	if (!r)
		r = get_string(at, "alias", &alias);
	if (!r)
		r = get_string(at, "identifier", &identifier);
	if (r)
		return r;
	*out = (struct relation){.rendered = arena_strdup(l->arena, rendered)};
	name = json_string_value(json_object_get(at->object, "name"));
	if (!rendered) {
		out->database = arena_strdup(l->arena, database);
		out->identifier = arena_strdup(l->arena, identifier ? identifier : alias ? alias : name);
	} else if (!take_apart(l, rendered, out) && !l->arena->broken) {
		*out = (struct relation){0};
		return place_wrong(at, "relation_name", json_object_get(at->object, "relation_name"),
				   "not the name of a table");
	}
	if (!out->schema)
		out->schema = arena_strdup(l->arena, schema ? schema : "");
	return loader_check(l);
}

const char *relation_part(const struct loader *l, size_t node, enum jinja_chain_kind part)
{
	static const char *const identifiers[] = {"identifier", "alias", "name"};
	const json_t *object = l->json[node];
	const char *text = NULL;
	if (part == CHAIN_DATABASE)
		text = json_string_value(json_object_get(object, "database"));
	else if (part == CHAIN_SCHEMA)
		text = json_string_value(json_object_get(object, "schema"));
	for (size_t i = 0; part == CHAIN_IDENTIFIER && !text && i < 3; i++)
		text = json_string_value(json_object_get(object, identifiers[i]));
	return text ? text : "";
}

const char *relation_including(struct loader *l, const char *rendered, unsigned parts)
{
	if (parts == PART_ALL)
		return rendered;
	size_t len = strlen(rendered), start[PARTS_MAX + 1] = {0}, n = 1;
	for (struct sql_token t = sql_lex(l->dialect, rendered, len, 0); t.kind != SQL_END;
	     t = sql_lex(l->dialect, rendered, len, t.start + t.len)) {
		if (t.kind == SQL_PUNCT && rendered[t.start] == '.' && n < PARTS_MAX)
			start[n++] = t.start + 1;
	}
	start[n] = len + 1;
	auto_strbuf out = STRBUF_INIT;
	for (size_t i = 0; i < n; i++) {
		if (parts >> (PARTS_MAX - n + i) & 1)
			strbuf_printf(&out, "%s%.*s", out.len ? "." : "", (int)(start[i + 1] - start[i] - 1),
				      rendered + start[i]);
	}
	if (strbuf_broken(&out))
		l->arena->broken = true;
	return arena_strndup(l->arena, out.str, out.len);
}
