/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/raw.h"

#include <stdlib.h>
#include <string.h>

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

static bool add_span(struct raw_code *r, int input, const struct jinja_call *call, bool nested)
{
	if (r->n_spans == r->max_spans) {
		size_t max = r->max_spans ? r->max_spans * 2 : 32;
		struct raw_span *spans = reallocarray(r->spans, max, sizeof(*spans));
		if (!spans)
			return false;
		r->spans = spans;
		r->max_spans = max;
	}
	r->spans[r->n_spans++] = (struct raw_span){.start = r->text.len,
						   .input = input,
						   .render = call && call->chain.kind == CHAIN_RENDER,
						   .nested = nested};
	return true;
}

/* Adds what a {{ }} or a {% %} puts into the text. */
static bool add_tag(struct loader *l, const struct model *m, struct raw_code *r,
		    const struct jinja_part *part)
{
	const char *p = part->text;
	struct jinja_call call;
	bool pure, placed = false;
	while (jinja_find_call(&p, part->end, &call, &pure)) {
		int input = resolve(l, m, &call);
		if (input < 0)
			r->unknown = true;
		else if (call.chain.kind > CHAIN_RENDER || call.chain.parts != PART_ALL)
			r->odd[input] = true;
		if (input < 0 || !pure || part->kind != JINJA_EXPRESSION ||
		    !m->inputs[input].relation.rendered)
			continue;
		if (!add_span(r, input, &call, part->nested))
			return false;
		strbuf_puts(&r->text, m->inputs[input].relation.rendered);
		r->renders += call.chain.kind == CHAIN_RENDER;
		placed = true;
	}
	if (placed || part->kind != JINJA_EXPRESSION)
		return true;
	/* What any other tag renders counts as a word of the SQL, but for config(), which renders nothing. */
	p = part->text;
	struct jinja_token word = jinja_lex(&p, part->end);
	if (!add_span(r, -1, NULL, part->nested))
		return false;
	strbuf_putc(&r->text, jinja_is(&word, "config") ? ' ' : 'x');
	return true;
}

int raw_code_read(struct loader *l, const struct model *m, const char *raw, struct raw_code *r)
{
	struct jinja j = {.p = raw, .end = raw + strlen(raw)};
	struct jinja_part part;
	r->text = (struct strbuf)STRBUF_INIT;
	r->odd = calloc(m->n_inputs + 1, sizeof(*r->odd));
	bool fine = r->odd;
	while (fine && jinja_next(&j, &part)) {
		if (part.kind == JINJA_TEXT) {
			fine = add_span(r, -1, NULL, part.nested);
			strbuf_add(&r->text, part.text, (size_t)(part.end - part.text));
		} else {
			fine = add_tag(l, m, r, &part);
		}
	}
	if (!fine || strbuf_broken(&r->text))
		l->arena->broken = true;
	return loader_check(l);
}

void raw_code_fini(struct raw_code *r)
{
	if (r->text.str)
		strbuf_fini(&r->text);
	free(r->spans);
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
