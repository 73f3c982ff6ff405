/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/mentions.h"

#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/raw.h"

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

/* What comes out when the mentions of one relation in raw_code are put beside those in the compiled code. */
struct pairing {
	bool agrees;	/* each mention in raw_code has its mention in the compiled code */
	bool uniform;	/* all of them come from calls of the same input, all with or all without .render() */
	bool nested;	/* one of them stands where dbt may render it never or many times */
	bool opted_out; /* one of them is written out by hand or ends in .render(), so dbt does not filter it
			 */
};

/*
 * Counts the calls that mean the relation. Text that touches a call can hide its mention; then the numbers
 * differ, and nothing can be told from the mentions.
 */
static void count_calls(const struct model *m, const char *rendered, const struct raw_code *raw, size_t found,
			struct pairing *p)
{
	size_t calls = 0;
	for (size_t i = 0; i < raw->n_spans; i++) {
		const struct raw_span *span = &raw->spans[i];
		if (span->input < 0 || !same_text(m->inputs[span->input].relation.rendered, rendered))
			continue;
		calls++;
		p->opted_out |= span->render;
	}
	if (calls != found)
		p->agrees = false;
}

static struct pairing pair(const struct model *m, const char *rendered, const struct raw_code *raw,
			   const struct mention_list *in_raw, const struct mention_list *compiled)
{
	struct pairing p = {.agrees = in_raw->n == compiled->n, .uniform = true};
	const struct raw_span *first = in_raw->n ? raw_code_span(raw, in_raw->at[0].start) : NULL;
	size_t calls = 0;
	for (size_t i = 0; i < in_raw->n; i++) {
		const struct raw_span *span = raw_code_span(raw, in_raw->at[i].start);
		if (p.agrees && in_raw->at[i].code != compiled->at[i].code)
			p.agrees = false;
		if (span->input != first->input || span->render != first->render)
			p.uniform = false;
		p.nested |= span->nested;
		p.opted_out |= span->input < 0;
		calls += span->input >= 0;
	}
	count_calls(m, rendered, raw, calls, &p);
	return p;
}

struct reading {
	const struct raw_code *raw;
	bool loose; /* there is a .render() that cannot be given to one call, in a macro or behind a variable
		     */
};

static int load_input_mentions(struct loader *l, struct model *m, struct input *in,
			       const struct reading *reading, bool *windowed)
{
	struct mention_list compiled = {0}, in_raw = {0};
	int index = (int)(in - m->inputs);
	int r = list_mentions(l, m->compiled, in->relation.rendered, &compiled);
	auto_free struct sql_mention *free_compiled = compiled.at;
	if (r)
		return r;
	r = list_mentions(l, reading->raw->text.str, in->relation.rendered, &in_raw);
	auto_free struct sql_mention *free_raw = in_raw.at;
	if (r)
		return r;
	struct pairing p = pair(m, in->relation.rendered, reading->raw, &in_raw, &compiled);
	bool paired = p.agrees && (p.uniform || (!p.nested && !reading->raw->unknown));
	if (reading->loose || reading->raw->odd[index] || (!paired && (p.opted_out || shared(m, in)))) {
		need(l, m, NEED_CLEAR_WINDOWS, m->original_path, in->relation.rendered);
		return loader_check(l);
	}
	char *mentions = paired ? arena_alloc(l->arena, compiled.n + 1, 1) : NULL;
	*windowed = true;
	for (size_t i = 0; i < compiled.n && !l->arena->broken; i++) {
		const struct raw_span *span = paired ? raw_code_span(reading->raw, in_raw.at[i].start) : NULL;
		bool filter = !span || (span->input == index && !span->render);
		/*
		 * A place that belongs to another input of the same relation says nothing about this input.
		 */
		bool ours = !span || span->input == index || span->input < 0;
		if (mentions)
			mentions[i] = filter ? 'f' : '-';
		if (compiled.at[i].code && filter)
			in->filtered = true;
		if (compiled.at[i].code && ours && !filter)
			*windowed = false;
	}
	in->mentions = mentions;
	return loader_check(l);
}

int load_mentions(struct loader *l, struct model *m, struct input *inputs, bool *windowed)
{
	__attribute__((cleanup(raw_code_fini))) struct raw_code raw = {0};
	struct jinja_uses uses = {0}, macros = {0};
	const char *code = json_string_value(json_object_get(l->json[m->node], "raw_code"));
	int r = raw_code_read(l, m, code ? code : "", &raw);
	if (r)
		return r;
	jinja_uses(code ? code : "", &uses);
	r = macro_uses(l, m, &macros);
	struct reading reading = {.raw = &raw, .loose = uses.renders > raw.renders || macros.renders};
	for (size_t i = 0; !r && i < m->n_inputs; i++) {
		if (inputs[i].event_time && inputs[i].relation.rendered)
			r = load_input_mentions(l, m, &inputs[i], &reading, &windowed[i]);
	}
	return r;
}
