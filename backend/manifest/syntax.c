/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the key at which a syntax error stands: jansson knows only the byte, and a person wants the key. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/strbuf.h"
#include "backend/manifest/steps.h"

#define DEPTH_MAX	64
#define PATH_MAX_BYTES	300
#define TOKEN_MAX_BYTES 60

/* The keys down to the place that is being read, and the text of the value there. */
struct trail {
	struct strbuf path, token;
	size_t base[DEPTH_MAX]; /* how long the path was where each level began */
	size_t depth;
	bool in_string, escaped;
};

static void cut(struct strbuf *b, size_t len)
{
	if (b->len > len) {
		b->len = len;
		b->str[len] = '\0';
	}
}

static void note(struct trail *t, char c)
{
	if (t->token.len < TOKEN_MAX_BYTES)
		strbuf_putc(&t->token, c);
}

static void name_level(struct trail *t)
{
	if (t->depth >= DEPTH_MAX || t->path.len > PATH_MAX_BYTES)
		return;
	cut(&t->path, t->base[t->depth]);
	if (t->path.len)
		strbuf_putc(&t->path, '.');
	if (t->token.len > 2)
		strbuf_add(&t->path, t->token.str + 1, t->token.len - 2);
}

static void feed_string(struct trail *t, char c)
{
	note(t, c);
	if (c == '"' && !t->escaped)
		t->in_string = false;
	t->escaped = c == '\\' && !t->escaped;
}

static void feed(struct trail *t, char c)
{
	if (t->in_string) {
		feed_string(t, c);
		return;
	}
	switch (c) {
	case '{':
	case '[':
		if (++t->depth < DEPTH_MAX)
			t->base[t->depth] = t->path.len;
		break;
	case '}':
	case ']':
		if (t->depth && --t->depth < DEPTH_MAX - 1)
			cut(&t->path, t->base[t->depth + 1]);
		break;
	case ':':
		name_level(t);
		break;
	case ',':
		if (t->depth < DEPTH_MAX)
			cut(&t->path, t->base[t->depth]);
		break;
	default:
		if (isspace((unsigned char)c))
			return;
		t->in_string = c == '"';
		note(t, c);
		return;
	}
	strbuf_clear(&t->token);
}

int syntax_error(const char *file, FILE *f, const json_error_t *wrong, struct error *err)
{
	struct trail t = {.path = STRBUF_INIT, .token = STRBUF_INIT};
	rewind(f);
	for (int i = 0, c; i < wrong->position && (c = getc(f)) != EOF; i++)
		feed(&t, (char)c);
	bool near = strstr(wrong->text, " near ") || !t.token.len;
	int r = error_set(err, EINVAL, "%s: not valid JSON at line %d, column %d%s%s: %s%s%s%s", file,
			  wrong->line, wrong->column, t.path.len ? ", in " : "", t.path.str, wrong->text,
			  near ? "" : " near '", near ? "" : t.token.str, near ? "" : "'");
	strbuf_fini(&t.path);
	strbuf_fini(&t.token);
	return r;
}
