/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/raw.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/macros.h"
#include "backend/manifest/steps.h"
#include "backend/manifest/variables.h"

static bool same(const struct jinja_token *t, const char *text)
{
	return text && t->len == strlen(text) && memcmp(t->text, text, t->len) == 0;
}

/* Whether a ref() without a version means this node. */
static bool is_latest(const struct loader *l, int node)
{
	const json_t *latest = json_object_get(l->json[node], "latest_version");
	const json_t *version = json_object_get(l->json[node], "version");
	return latest && version && json_equal(latest, version);
}

bool call_names(const struct loader *l, const struct jinja_call *call, int index)
{
	const struct node *n = &l->nodes[index];
	if (!call->readable || call->source != node_is(n, "source"))
		return false;
	if (call->source)
		return same(&call->first, n->source_name) && same(&call->second, n->name);
	bool packaged = call->second.kind == JINJA_STRING;
	if (!same(packaged ? &call->second : &call->first, n->name) ||
	    (packaged && !same(&call->first, n->package)))
		return false;
	if (call->version.kind != JINJA_END)
		return same(&call->version, n->version);
	return !n->version || is_latest(l, index);
}

/*
 * The input that the call means; -1: it cannot be told. Of two models with one name, dbt takes the one of the
 * model's own package.
 */
static int resolve(const struct loader *l, const struct model *m, const struct jinja_call *call)
{
	int found = -1;
	for (size_t i = 0; i < m->n_inputs; i++) {
		int index = find_node(l, m->inputs[i].unique_id);
		if (!call_names(l, call, index))
			continue;
		if (found < 0 || strcmp(l->nodes[index].package, m->package) == 0)
			found = (int)i;
	}
	return found;
}

static bool add_span(struct raw_code *r, const struct raw_span *span)
{
	if (r->n_spans == r->max_spans) {
		size_t max = r->max_spans ? r->max_spans * 2 : 32;
		struct raw_span *spans = reallocarray(r->spans, max, sizeof(*spans));
		if (!spans)
			return false;
		r->spans = spans;
		r->max_spans = max;
	}
	r->spans[r->n_spans] = *span;
	r->spans[r->n_spans++].start = r->text.len;
	return true;
}

/* What reads the text of the model or of one of its macros. */
struct reader {
	struct loader *l;
	const struct model *m;
	struct raw_code *r;
	const char *file;
	const struct variables *variables; /* of the model's text */
	/* The text so far, in which what a tag renders counts as a word; `lexed`: where its last token
	 * begins. */
	struct strbuf *text;
	size_t lexed;
};

static void keep(const struct reader *rd, struct raw_words *words, struct jinja_words found)
{
	if (!words->file)
		*words = (struct raw_words){rd->file, found};
}

/* Whether the end of the text so far lies in a string or a comment, where no relation is read. */
static bool in_string(struct reader *rd)
{
	const struct strbuf *text = rd->text;
	struct sql_token t = {0};
	for (size_t at = rd->lexed; at < text->len; at = t.start + t.len) {
		t = sql_lex(rd->l->dialect, text->str, text->len, at);
		rd->lexed = t.start;
	}
	bool comment = t.kind == SQL_SPACE && text->len - t.start > 1 && text->str[t.start] == '-' &&
		       text->str[t.start + 1] == '-';
	return t.open || (comment && text->str[text->len - 1] != '\n');
}

static struct jinja_words words_of(const struct jinja_part *part)
{
	return (struct jinja_words){part->text, (size_t)(part->end - part->text)};
}

/* Notes whether the tag changes a relation that it does not name by a call of its own. */
static void note_changes(struct reader *rd, const struct jinja_part *part)
{
	const char *p = part->text;
	enum jinja_change change;
	bool first = true;
	while (jinja_find_change(&p, part->end, &change)) {
		if (first && part->kind == JINJA_EXPRESSION && in_string(rd))
			return;
		first = false;
		keep(rd, &rd->r->changes[change], words_of(part));
	}
}

static bool is_condition(const struct jinja_part *part)
{
	const char *p = part->text;
	struct jinja_token word = jinja_lex(&p, part->end);
	return part->kind == JINJA_STATEMENT && (jinja_is(&word, "if") || jinja_is(&word, "elif"));
}

/* Notes which relations the tag takes, without placing them itself, and what it makes of them. */
static void note_tag(struct reader *rd, const struct jinja_part *part)
{
	const char *p = part->text;
	struct jinja_call call;
	bool pure;
	if (jinja_is_silent(part) || is_condition(part))
		return;
	while (jinja_find_call(&p, part->end, &call, &pure)) {
		int input = resolve(rd->l, rd->m, &call);
		if (input >= 0)
			rd->r->handed[input] = true;
		if (input >= 0 && call.chain.kind == CHAIN_OTHER && part->kind == JINJA_EXPRESSION &&
		    !in_string(rd))
			keep(rd, &rd->r->odd[input], words_of(part));
		else if (input < 0 && !call.readable)
			rd->r->all_handed = true;
	}
	note_changes(rd, part);
}

/* What the call puts into the text; what a call of another kind does is not known. In the arena. */
static const char *written(const struct reader *rd, const struct raw_span *span)
{
	const struct input *in = &rd->m->inputs[span->input];
	switch (span->kind) {
	case CHAIN_RELATION:
	case CHAIN_RENDER:
		return relation_including(rd->l, in->relation.rendered, span->parts);
	case CHAIN_DATABASE:
	case CHAIN_SCHEMA:
	case CHAIN_IDENTIFIER:
		return relation_part(rd->l, (size_t)find_node(rd->l, in->unique_id), span->kind);
	case CHAIN_OTHER:
		break;
	}
	return "x";
}

/* The relation without its database, or without its schema, too, is read in such a shape. */
static void know_shape(const struct input *in, const char *text, struct raw_span *span)
{
	if (span->kind > CHAIN_RENDER)
		return;
	if (in->ephemeral || strcmp(text, in->relation.rendered) == 0)
		span->parts = PART_ALL;
	else if (span->parts != PART_IDENTIFIER && span->parts != (PART_SCHEMA | PART_IDENTIFIER))
		span->kind = CHAIN_OTHER;
}

/*
 * Places the relation where the tag is nothing but a call. 0: it is more than that; -1: no memory.
 */
static int place_call(struct reader *rd, const struct jinja_part *part)
{
	struct jinja_call call;
	const char *p = part->text;
	bool pure;
	if (part->kind != JINJA_EXPRESSION)
		return 0;
	if ((!jinja_find_call(&p, part->end, &call, &pure) || !pure) &&
	    !variables_read(rd->variables, part, &call))
		return 0;
	int input = resolve(rd->l, rd->m, &call);
	if (input < 0 || !rd->m->inputs[input].relation.rendered)
		return 0;
	struct raw_span span = {.input = input,
				.kind = call.chain.kind,
				.parts = call.chain.parts,
				.nested = part->nested,
				.words = words_of(part)};
	const char *text = written(rd, &span);
	if (!text)
		return -1;
	know_shape(&rd->m->inputs[input], text, &span);
	if (span.kind > CHAIN_RENDER && in_string(rd))
		span.input = -1;
	else if (span.kind == CHAIN_OTHER)
		keep(rd, &rd->r->odd[input], span.words);
	bool fine = add_span(rd->r, &span);
	strbuf_puts(rd->text, text);
	return fine ? 1 : -1;
}

/* Adds what a {{ }} or a {% %} puts into the text. */
static bool add_tag(struct reader *rd, const struct jinja_part *part)
{
	int placed = place_call(rd, part);
	if (placed)
		return placed > 0;
	/* What it names is placed where the variable stands. */
	if (variables_set(rd->variables, part))
		return true;
	note_tag(rd, part);
	if (part->kind != JINJA_EXPRESSION)
		return true;
	/* What any other tag renders counts as a word of the SQL, but for config() and log(), which render
	 * nothing. */
	struct raw_span plain = {.input = -1, .nested = part->nested};
	bool fine = add_span(rd->r, &plain);
	strbuf_putc(rd->text, jinja_is_silent(part) ? ' ' : 'x');
	return fine;
}

static bool read_model(struct reader *rd, const char *raw)
{
	struct jinja j = {.p = raw, .end = raw + strlen(raw)};
	struct jinja_part part;
	bool fine = true;
	while (fine && jinja_next(&j, &part)) {
		if (part.kind == JINJA_TEXT) {
			struct raw_span plain = {.input = -1, .nested = part.nested};
			fine = add_span(rd->r, &plain);
			strbuf_add(rd->text, part.text, (size_t)(part.end - part.text));
		} else {
			fine = add_tag(rd, &part);
		}
	}
	return fine && !strbuf_broken(rd->text);
}

/* Reads a macro for the relations that it names and for what it makes of those that are handed to it. */
static bool read_macro(void *ctx, const struct macro *macro)
{
	struct reader rd = *(struct reader *)ctx;
	struct jinja j = {.p = macro->sql, .end = macro->sql + strlen(macro->sql)};
	struct jinja_part part;
	auto_strbuf text = STRBUF_INIT;
	rd.file = macro->file;
	rd.text = &text;
	rd.lexed = 0;
	if (!jinja_names_relations(macro->sql))
		return true;
	while (jinja_next(&j, &part)) {
		if (part.kind == JINJA_TEXT) {
			strbuf_add(&text, part.text, (size_t)(part.end - part.text));
			continue;
		}
		note_tag(&rd, &part);
		if (part.kind == JINJA_EXPRESSION)
			strbuf_putc(&text, 'x');
	}
	return !strbuf_broken(&text);
}

/* Only where the relation is an input that can be placed. */
static bool find_variables(const struct loader *l, const struct model *m, const char *raw,
			   struct variables *out)
{
	bool fine = variables_find(raw, out);
	for (size_t i = 0; i < out->n; i++) {
		int input = resolve(l, m, &out->list[i].call);
		out->list[i].plain &= input >= 0 && m->inputs[input].relation.rendered;
	}
	return fine;
}

int raw_code_read(struct loader *l, const struct model *m, struct raw_code *r)
{
	const char *text = json_string_value(json_object_get(l->json[m->node], "raw_code"));
	const char *raw = text ? text : "";
	struct variables variables;
	struct reader rd = {
		.l = l, .m = m, .r = r, .file = m->original_path, .variables = &variables, .text = &r->text};
	r->text = (struct strbuf)STRBUF_INIT;
	r->handed = calloc(m->n_inputs + 1, sizeof(*r->handed));
	r->odd = calloc(m->n_inputs + 1, sizeof(*r->odd));
	if (!find_variables(l, m, raw, &variables) || !r->handed || !r->odd || !read_model(&rd, raw) ||
	    !macros_of(l, m, read_macro, &rd))
		l->arena->broken = true;
	free(variables.list);
	return loader_check(l);
}

void raw_code_fini(struct raw_code *r)
{
	if (r->text.str)
		strbuf_fini(&r->text);
	free(r->spans);
	free(r->handed);
	free(r->odd);
}

const struct raw_span *raw_code_span(const struct raw_code *r, size_t offset)
{
	size_t low = 0, high = r->n_spans;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (r->spans[middle].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return &r->spans[low];
}
