/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/jinja.h"

#include <ctype.h>
#include <string.h>

static bool starts(const char *p, const char *end, const char *with)
{
	size_t len = strlen(with);
	return (size_t)(end - p) >= len && memcmp(p, with, len) == 0;
}

static const char *find(const char *p, const char *end, const char *what)
{
	const char *at = memmem(p, (size_t)(end - p), what, strlen(what));
	return at ? at : end;
}

/* Where the closing delimiter stands; one inside of a string does not count. */
static const char *find_close(const char *p, const char *end, const char *close)
{
	while (p < end && !starts(p, end, close)) {
		char quote = *p++;
		if (quote != '\'' && quote != '"')
			continue;
		while (p < end && *p != quote)
			p += *p == '\\' && end - p > 1 ? 2 : 1;
		if (p < end)
			p++;
	}
	return p;
}

struct jinja_token jinja_lex(const char **p, const char *end)
{
	const char *s = *p;
	while (s < end && isspace((unsigned char)*s))
		s++;
	struct jinja_token t = {.kind = JINJA_END, .text = s};
	if (s == end) {
		*p = s;
		return t;
	}
	unsigned char c = (unsigned char)*s;
	if (c == '\'' || c == '"') {
		t.kind = JINJA_STRING;
		t.text = ++s;
		while (s < end && *s != (char)c)
			s += *s == '\\' && end - s > 1 ? 2 : 1;
		t.len = (size_t)(s - t.text);
		*p = s < end ? s + 1 : s;
		return t;
	}
	if (isalnum(c) || c == '_' || c >= 0x80) {
		t.kind = isdigit(c) ? JINJA_NUMBER : JINJA_NAME;
		while (s < end && (isalnum((unsigned char)*s) || *s == '_' || (unsigned char)*s >= 0x80))
			s++;
	} else {
		t.kind = JINJA_PUNCT;
		s++;
	}
	t.len = (size_t)(s - t.text);
	*p = s;
	return t;
}

bool jinja_is(const struct jinja_token *t, const char *text)
{
	return (t->kind == JINJA_NAME || t->kind == JINJA_PUNCT) && t->len == strlen(text) &&
	       memcmp(t->text, text, t->len) == 0;
}

/* How many bodies the tag opens (1) or closes (-1); `{% set x = 1 %}` has no body, `{% set x %}` has one. */
static int depth_change(const struct jinja_part *part)
{
	static const char *const blocks[] = {"if",     "for",	"macro", "call",
					     "filter", "block", "with",	 "materialization"};
	const char *p = part->text;
	struct jinja_token word = jinja_lex(&p, part->end);
	if (word.kind == JINJA_NAME && word.len > 3 && memcmp(word.text, "end", 3) == 0)
		return -1;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		if (jinja_is(&word, blocks[i]))
			return 1;
	}
	if (!jinja_is(&word, "set"))
		return 0;
	struct jinja_token t;
	do
		t = jinja_lex(&p, part->end);
	while (t.kind != JINJA_END && !jinja_is(&t, "="));
	return t.kind == JINJA_END ? 1 : 0;
}

/* Takes the tag that starts at p ("{{" or "{%"): *part is its inside. Returns where the tag ends. */
static const char *take_tag(const char *p, const char *end, struct jinja_part *part)
{
	bool expression = p[1] == '{';
	const char *close = find_close(p + 2, end, expression ? "}}" : "%}");
	part->kind = expression ? JINJA_EXPRESSION : JINJA_STATEMENT;
	part->text = p + 2;
	part->end = close;
	if (part->text < part->end && (*part->text == '-' || *part->text == '+'))
		part->text++;
	if (part->text < part->end && (part->end[-1] == '-' || part->end[-1] == '+'))
		part->end--;
	return close < end ? close + 2 : end;
}

static bool is_tag(const char *p, const char *end)
{
	return starts(p, end, "{{") || starts(p, end, "{%") || starts(p, end, "{#");
}

/* Takes the body of a {% raw %} as text, and passes over its end tag. */
static void take_raw(struct jinja *j, struct jinja_part *part)
{
	const char *p = j->p;
	for (; p < j->end; p++) {
		struct jinja_part tag;
		if (!starts(p, j->end, "{%"))
			continue;
		const char *behind = take_tag(p, j->end, &tag), *in = tag.text;
		struct jinja_token word = jinja_lex(&in, tag.end);
		if (jinja_is(&word, "endraw")) {
			part->end = p;
			j->p = behind;
			return;
		}
	}
	part->end = j->p = j->end;
}

bool jinja_next(struct jinja *j, struct jinja_part *part)
{
	while (!j->raw && starts(j->p, j->end, "{#")) {
		const char *close = find(j->p + 2, j->end, "#}");
		j->p = close < j->end ? close + 2 : j->end;
	}
	if (j->p >= j->end)
		return false;
	*part = (struct jinja_part){.kind = JINJA_TEXT, .text = j->p, .nested = j->depth > 0};
	if (j->raw) {
		j->raw = false;
		take_raw(j, part);
		return true;
	}
	if (!is_tag(j->p, j->end)) {
		while (j->p < j->end && !is_tag(j->p, j->end))
			j->p++;
		part->end = j->p;
		return true;
	}
	j->p = take_tag(j->p, j->end, part);
	if (part->kind == JINJA_STATEMENT) {
		const char *in = part->text;
		struct jinja_token word = jinja_lex(&in, part->end);
		int change = depth_change(part);
		j->raw = jinja_is(&word, "raw");
		if (change > 0)
			j->depth++;
		else if (change < 0 && j->depth)
			j->depth--;
	}
	return true;
}
