/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/mentions.h"

#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/raw.h"
#include "backend/manifest/steps.h"

struct mention_list {
	struct sql_mention *at;
	size_t n;
};

/* Lists the mentions of a relation in the SQL, but for those in the definition of a __dbt__cte__. */
static int list_mentions(struct loader *l, const char *sql, const char *rendered, struct mention_list *out)
{
	size_t n = sql_mentions(l->dialect, sql, rendered, NULL, 0);
	out->at = calloc(n + 1, sizeof(*out->at));
	if (!out->at) {
		l->arena->broken = true;
		return loader_check(l);
	}
	sql_mentions(l->dialect, sql, rendered, out->at, n);
	for (size_t i = 0; i < n; i++) {
		if (!out->at[i].definition)
			out->at[out->n++] = out->at[i];
	}
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether another input is the same relation with another event_time. */
static bool shared(const struct model *m, const struct input *in)
{
	for (size_t i = 0; i < m->n_inputs; i++) {
		const struct input *other = &m->inputs[i];
		if (other != in && same_text(other->relation.rendered, in->relation.rendered) &&
		    !same_text(other->event_time, in->event_time))
			return true;
	}
	return false;
}

/*
 * One text by which an input is read, its own name or what an .include() makes of it: an entry of m->inputs.
 * Those of ref().include() stand behind the others.
 */
struct entry {
	int input;	/* the input whose text it is */
	unsigned parts; /* PART_ALL: its own name */
	struct mention_list raw, compiled;
};

static void entry_fini(struct entry *e)
{
	free(e->raw.at);
	free(e->compiled.at);
}

/* Whether the call puts the entry's text into the SQL. */
static bool writes(const struct raw_span *span, const struct entry *e)
{
	return span->input == e->input && span->parts == e->parts &&
	       (span->kind == CHAIN_RELATION || span->kind == CHAIN_RENDER);
}

static bool filters(const struct raw_span *span, const struct entry *e)
{
	return writes(span, e) && span->kind == CHAIN_RELATION;
}

/* What comes out when the mentions of one text in raw_code are put beside those in the compiled code. */
struct pairing {
	bool agrees;  /* each mention in raw_code has its mention in the compiled code */
	bool uniform; /* all of them come from calls of the same input, all with or all without .render() */
	bool nested;  /* one of them stands where dbt may render it never or many times */
	bool fewer;   /* the compiled code has not all of those that dbt renders once */
	struct jinja_words call; /* the first one that is a call; `at` NULL: none is */
	/* A place that is written out by hand or ends in .render(), so that dbt does not filter it. */
	struct raw_words opted_out;
};

static void opt_out(const struct model *m, struct pairing *p, struct jinja_words words)
{
	if (!p->opted_out.file)
		p->opted_out = (struct raw_words){m->original_path, words};
}

/*
 * Counts the calls that write the text. What touches a call can hide its mention; then the numbers differ,
 * and nothing can be told from the mentions.
 */
static void count_calls(const struct model *m, const struct entry *e, const struct raw_code *raw,
			struct pairing *p)
{
	const char *rendered = m->inputs[e->input].relation.rendered;
	size_t calls = 0, found = 0;
	for (size_t i = 0; i < raw->n_spans; i++) {
		const struct raw_span *span = &raw->spans[i];
		if (span->input < 0 || span->kind > CHAIN_RENDER || span->parts != e->parts ||
		    !same_text(m->inputs[span->input].relation.rendered, rendered))
			continue;
		calls++;
		if (span->kind == CHAIN_RENDER)
			opt_out(m, p, span->words);
	}
	for (size_t i = 0; i < e->raw.n; i++) {
		const struct raw_span *span = raw_code_span(raw, e->raw.at[i].start);
		found += span->input >= 0 && span->kind <= CHAIN_RENDER;
	}
	if (calls != found)
		p->agrees = false;
}

static struct pairing pair(const struct model *m, const struct entry *e, const struct raw_code *raw)
{
	struct pairing p = {.uniform = true};
	const struct raw_span *first = NULL;
	size_t in_raw = 0, once = 0, compiled = 0;
	for (size_t i = 0; i < e->compiled.n; i++)
		compiled += e->compiled.at[i].code;
	for (size_t i = 0; i < e->raw.n; i++) {
		const struct sql_mention *mention = &e->raw.at[i];
		const struct raw_span *span = raw_code_span(raw, mention->start);
		if (!mention->code)
			continue;
		in_raw++;
		first = first ? first : span;
		p.uniform &= span->input == first->input && span->kind == first->kind;
		p.nested |= span->nested;
		if (!p.call.at && span->input >= 0)
			p.call = span->words;
		once += !span->nested && span->input >= 0;
		if (span->input < 0 || span->kind > CHAIN_RENDER)
			opt_out(m, &p, (struct jinja_words){raw->text.str + mention->start, mention->len});
	}
	p.agrees = in_raw == compiled;
	p.fewer = compiled < once;
	count_calls(m, e, raw, &p);
	return p;
}

/*
 * Whether a text that an .include() would make of the input stands more often in the compiled code than in
 * raw_code: then a macro or a variable has put it there, with the window or without.
 */
static int is_reshaped(struct loader *l, const struct model *m, const char *raw, int input, bool *reshaped)
{
	static const unsigned shapes[] = {PART_SCHEMA | PART_IDENTIFIER, PART_IDENTIFIER};
	const char *rendered = m->inputs[input].relation.rendered;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		const char *text = relation_including(l, rendered, shapes[i]);
		const char *const sql[] = {raw, m->compiled};
		size_t n[2] = {0};
		if (!text || same_text(text, rendered))
			continue;
		for (size_t k = 0; k < 2; k++) {
			struct mention_list list = {0};
			int r = list_mentions(l, sql[k], text, &list);
			for (size_t j = 0; j < list.n; j++)
				n[k] += list.at[j].code && !list.at[j].column;
			free(list.at);
			if (r)
				return r;
		}
		*reshaped |= n[0] != n[1];
	}
	return loader_check(l);
}

/* Why it cannot be told which mentions get the window; file NULL: it can be told. */
static int find_doubt(struct loader *l, const struct model *m, const struct entry *e,
		      const struct raw_code *raw, const struct pairing *p, struct raw_words *doubt)
{
	const struct input *in = &m->inputs[e->input];
	bool handed = raw->handed[e->input] || raw->all_handed, reshaped = false;
	bool loose = handed && raw->changes[CHANGE_RENDER].file;
	bool paired = p->agrees && (!p->nested || (p->uniform && !loose));
	*doubt = (struct raw_words){0};
	if (raw->odd[e->input].file) {
		*doubt = raw->odd[e->input];
		return 0;
	}
	if (handed && raw->changes[CHANGE_OTHER].file) {
		*doubt = raw->changes[CHANGE_OTHER];
		return 0;
	}
	if (handed && raw->changes[CHANGE_INCLUDE].file) {
		int r = is_reshaped(l, m, raw->text.str, e->input, &reshaped);
		if (reshaped)
			*doubt = raw->changes[CHANGE_INCLUDE];
		if (r || reshaped)
			return r;
	}
	if (paired)
		return 0;
	if (p->opted_out.file)
		*doubt = p->opted_out;
	else if (loose)
		*doubt = raw->changes[CHANGE_RENDER];
	else if (p->fewer || shared(m, in))
		*doubt = (struct raw_words){m->original_path, p->call};
	/* Two inputs of one relation that a macro reads, say. */
	if (doubt->file && !doubt->words.at)
		doubt->words = (struct jinja_words){in->relation.rendered, strlen(in->relation.rendered)};
	return 0;
}

static int mark(struct loader *l, struct input *in, const struct entry *e, const struct raw_code *raw,
		bool paired, bool *windowed)
{
	char *mentions = paired ? arena_alloc(l->arena, e->compiled.n + 1, 1) : NULL;
	size_t k = 0;
	for (size_t i = 0; i < e->compiled.n && !l->arena->broken; i++) {
		const struct raw_span *span = NULL;
		bool code = e->compiled.at[i].code;
		while (paired && code && !e->raw.at[k].code)
			k++;
		if (paired && code)
			span = raw_code_span(raw, e->raw.at[k++].start);
		bool filter = paired ? span && filters(span, e) : code;
		/* A place that belongs to another input of the same relation says nothing about this input.
		 */
		bool ours = !span || span->input == e->input || span->input < 0;
		if (mentions)
			mentions[i] = filter ? 'f' : '-';
		in->filtered |= code && filter;
		in->whole |= code && ours && !filter;
	}
	*windowed &= !in->whole;
	in->mentions = mentions;
	return loader_check(l);
}

static int load_entry(struct loader *l, struct model *m, struct input *in, struct entry *e,
		      const struct raw_code *raw, bool *windowed)
{
	struct raw_words doubt;
	int r = list_mentions(l, m->compiled, in->relation.rendered, &e->compiled);
	if (!r)
		r = list_mentions(l, raw->text.str, in->relation.rendered, &e->raw);
	if (r)
		return r;
	struct pairing p = pair(m, e, raw);
	r = find_doubt(l, m, e, raw, &p, &doubt);
	if (r)
		return r;
	if (doubt.file) {
		*windowed = false;
		need_for_words(l, m, NEED_CLEAR_WINDOWS, doubt.file, in->relation.rendered, doubt.words.at,
			       doubt.words.len);
		return loader_check(l);
	}
	bool paired = p.agrees && (!p.nested || p.uniform);
	return mark(l, in, e, raw, paired, windowed);
}

/* Adds an input for each text that a ref().include() puts into the SQL. */
static void add_included(struct loader *l, struct model *m, struct input *inputs, struct entry *entries,
			 const struct raw_code *raw, bool *windowed)
{
	size_t n = m->n_inputs;
	for (size_t i = 0; i < raw->n_spans; i++) {
		const struct raw_span *span = &raw->spans[i];
		if (span->input < 0 || span->kind > CHAIN_RENDER || span->parts == PART_ALL)
			continue;
		size_t k = n;
		while (k < m->n_inputs &&
		       (entries[k].input != span->input || entries[k].parts != span->parts))
			k++;
		if (k < m->n_inputs)
			continue;
		entries[k] = (struct entry){.input = span->input, .parts = span->parts};
		inputs[k] = inputs[span->input];
		inputs[k].relation.rendered =
			(char *)relation_including(l, inputs[span->input].relation.rendered, span->parts);
		windowed[k] = windowed[span->input];
		m->n_inputs++;
	}
}

/* A name that is put together of its parts has no window, and may be read in a place that is not found here.
 */
static void note_names(struct input *in, const struct entry *e, const struct raw_code *raw, bool *windowed)
{
	for (size_t i = 0; i < raw->n_spans; i++)
		in->whole |= raw->spans[i].input == e->input && raw->spans[i].kind == CHAIN_IDENTIFIER;
	*windowed &= !in->whole;
}

int load_mentions(struct loader *l, struct model *m, struct input *inputs, bool *windowed)
{
	__attribute__((cleanup(raw_code_fini))) struct raw_code raw = {0};
	size_t n = m->n_inputs;
	int r = raw_code_read(l, m, &raw);
	if (r)
		return r;
	auto_free struct entry *entries = calloc(n * MENTIONS_SHAPES + 1, sizeof(*entries));
	if (!entries) {
		l->arena->broken = true;
		return loader_check(l);
	}
	for (size_t i = 0; i < n; i++) {
		entries[i] = (struct entry){.input = (int)i, .parts = PART_ALL};
		windowed[i] = true;
		note_names(&inputs[i], &entries[i], &raw, &windowed[i]);
	}
	add_included(l, m, inputs, entries, &raw, windowed);
	r = loader_check(l);
	for (size_t i = 0; !r && i < m->n_inputs; i++) {
		if (!inputs[i].event_time || !inputs[i].relation.rendered)
			windowed[i] = false;
		else
			r = load_entry(l, m, &inputs[i], &entries[i], &raw, &windowed[i]);
	}
	for (size_t i = 0; i < m->n_inputs; i++)
		entry_fini(&entries[i]);
	return r;
}
