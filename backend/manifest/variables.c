/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/variables.h"

#include <stdlib.h>
#include <string.h>

static bool same_name(const struct jinja_token *a, const struct jinja_token *b)
{
	return a->kind == JINJA_NAME && b->kind == JINJA_NAME && a->len == b->len &&
	       memcmp(a->text, b->text, a->len) == 0;
}

/* Names that mean something by themselves, whatever is assigned to them. */
static bool is_reserved(const struct jinja_token *name)
{
	static const char *const words[] = {"this", "model", "builtins", "ref", "source", "adapter"};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (jinja_is(name, words[i]))
			return true;
	}
	return false;
}

/* {% set x = ref('a') %} and nothing else, where dbt renders it once. */
static bool read_set(const struct jinja_part *part, struct variable *out)
{
	const char *p = part->text;
	struct jinja_token word = jinja_lex(&p, part->end), name = jinja_lex(&p, part->end),
			   equals = jinja_lex(&p, part->end);
	bool pure;
	if (part->kind != JINJA_STATEMENT || part->nested || !jinja_is(&word, "set") ||
	    name.kind != JINJA_NAME || is_reserved(&name) || !jinja_is(&equals, "="))
		return false;
	*out = (struct variable){.name = name, .set = part->text, .plain = true};
	return jinja_find_call(&p, part->end, &out->call, &pure) && pure && out->call.readable &&
	       out->call.chain.kind != CHAIN_OTHER;
}

static bool is_condition(const struct jinja_part *part)
{
	const char *p = part->text;
	struct jinja_token word = jinja_lex(&p, part->end);
	return part->kind == JINJA_STATEMENT && (jinja_is(&word, "if") || jinja_is(&word, "elif"));
}

/* Whether the tag is this name, with attributes or without; *call, as variables_read(). */
static bool is_alone(const struct variable *v, const struct jinja_part *part, struct jinja_call *call)
{
	const char *p = part->text;
	struct jinja_token name = jinja_lex(&p, part->end);
	if (part->kind != JINJA_EXPRESSION || !same_name(&name, &v->name) || part->text < v->set)
		return false;
	*call = v->call;
	call->chain = jinja_chain_of(v->call.chain, &p, part->end);
	return jinja_lex(&p, part->end).kind == JINJA_END;
}

/* Whether the tag does with the variable what cannot be followed. */
static bool takes_away(const struct variable *v, const struct jinja_part *part)
{
	struct jinja_call call;
	struct jinja_token t, before = {.kind = JINJA_END};
	const char *p = part->text;
	if (part->text == v->set || jinja_is_silent(part) || is_condition(part) || is_alone(v, part, &call))
		return false;
	while ((t = jinja_lex(&p, part->end)).kind != JINJA_END) {
		if (same_name(&t, &v->name) && !jinja_is(&before, "."))
			return true;
		before = t;
	}
	return false;
}

static bool add(struct variables *v, const struct variable *one)
{
	struct variable *list = reallocarray(v->list, v->n + 1, sizeof(*list));
	if (!list)
		return false;
	v->list = list;
	v->list[v->n++] = *one;
	return true;
}

bool variables_find(const char *raw, struct variables *out)
{
	const char *end = raw + strlen(raw);
	struct jinja j = {.p = raw, .end = end};
	struct jinja_part part;
	struct variable one;
	*out = (struct variables){0};
	while (jinja_next(&j, &part)) {
		if (part.kind == JINJA_STATEMENT && read_set(&part, &one) && !add(out, &one))
			return false;
	}
	j = (struct jinja){.p = raw, .end = end};
	while (out->n && jinja_next(&j, &part)) {
		for (size_t i = 0; part.kind != JINJA_TEXT && i < out->n; i++)
			out->list[i].plain &= !takes_away(&out->list[i], &part);
	}
	return true;
}

const struct variable *variables_set(const struct variables *v, const struct jinja_part *part)
{
	for (size_t i = 0; i < v->n; i++) {
		if (v->list[i].plain && v->list[i].set == part->text)
			return &v->list[i];
	}
	return NULL;
}

bool variables_read(const struct variables *v, const struct jinja_part *part, struct jinja_call *call)
{
	for (size_t i = 0; i < v->n; i++) {
		if (v->list[i].plain && is_alone(&v->list[i], part, call))
			return true;
	}
	return false;
}
