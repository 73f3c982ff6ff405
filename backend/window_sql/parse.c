/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the template from compiled SQL by way of a list of edits: one for each place where a relation is
 * named and something else has to stand.
 */
#include "backend/base/cleanup.h"
#include "backend/base/count.h"
#include "backend/window_sql/chars.h"
#include "backend/window_sql/scan.h"
#include "backend/window_sql/template.h"
#include "backend/window_sql/words.h"

#include <string.h>

enum edit_kind {
	EDIT_FILTER, /* the relation becomes a subquery with the window as its filter */
	EDIT_NAME,   /* the relation is written as the engine calls it */
	EDIT_COLUMN, /* the relation before a column becomes its alias */
};

/* A relation that the model reads. Inputs that are the same relation share one. */
struct source {
	const char *rendered;
	const char *native; /* how the engine calls it; NULL: as it is written */
	char *alias;
	struct sql_mention *found;
	size_t n_found;
	bool filtered; /* a mention of it becomes a filtered subquery */
};

struct edit {
	size_t start, len;
	enum edit_kind kind;
	bool alias; /* our alias is written behind it, because the user has given none */
	const struct source *source;
	size_t input; /* of an EDIT_FILTER: the input whose window it is */
};

struct parser {
	enum sql_dialect dialect;
	const struct model *model;
	struct scan scan;
	struct source *sources;
	size_t n_sources;
	struct edit *edits;
	size_t n_edits;
	struct error *err;
};

static int no_memory(struct parser *p)
{
	return error_set(p->err, ENOMEM, "out of memory while reading SQL");
}

/* The relation's identifier in quotes. An identifier without quotes is folded as the server folds it. */
static char *alias_of(enum sql_dialect dialect, const char *rendered)
{
	size_t len = strlen(rendered);
	struct sql_token last = {0};
	auto_strbuf b = STRBUF_INIT;

	for (struct sql_token t = sql_lex(dialect, rendered, len, 0); t.kind != SQL_END;
	     t = sql_lex(dialect, rendered, len, t.start + t.len))
		last = t;
	const char *text = rendered + last.start;
	if (last.kind != SQL_WORD) {
		strbuf_add(&b, text, last.len);
		return strbuf_detach(&b);
	}
	strbuf_putc(&b, '"');
	for (size_t i = 0; i < last.len; i++)
		strbuf_putc(&b, dialect == SQL_POSTGRES ? sql_lower(text[i]) : text[i]);
	strbuf_putc(&b, '"');
	return strbuf_detach(&b);
}

static struct source *known_source(struct parser *p, const char *rendered)
{
	for (size_t i = 0; i < p->n_sources; i++)
		if (strcmp(p->sources[i].rendered, rendered) == 0)
			return &p->sources[i];
	return NULL;
}

static int find_mentions(struct parser *p, struct source *s)
{
	const char *sql = p->model->compiled;

	s->n_found = sql_mentions(p->dialect, sql, s->rendered, NULL, 0);
	s->found = calloc(s->n_found + 1, sizeof *s->found);
	s->alias = alias_of(p->dialect, s->rendered);
	if (!s->found || !s->alias)
		return no_memory(p);
	sql_mentions(p->dialect, sql, s->rendered, s->found, s->n_found);
	return 0;
}

static int collect_sources(struct parser *p, const char *const *native)
{
	const struct model *m = p->model;

	p->sources = calloc(m->n_inputs + 1, sizeof *p->sources);
	if (!p->sources)
		return no_memory(p);
	for (size_t i = 0; i < m->n_inputs; i++) {
		const struct input *in = &m->inputs[i];
		struct source *s = known_source(p, in->relation.rendered);
		if (!s) {
			s = &p->sources[p->n_sources++];
			s->rendered = in->relation.rendered;
			s->native = native && !in->ephemeral ? native[i] : NULL;
			int rc = find_mentions(p, s);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static bool stands_for(const struct input *in, const struct source *s)
{
	return strcmp(in->relation.rendered, s->rendered) == 0;
}

/*
 * The input whose window the k-th mention outside of definitions gets; -1: none. A mention behind the last
 * mark reads '\0', which is no mark.
 */
static int window_of(const struct parser *p, const struct source *s, const struct sql_mention *m, size_t k)
{
	if (!m->code || m->column || m->definition)
		return -1;
	for (size_t i = 0; i < p->model->n_inputs; i++) {
		const struct input *in = &p->model->inputs[i];
		if (in->event_time && stands_for(in, s) && (!in->mentions || in->mentions[k] == 'f'))
			return (int)i;
	}
	return -1;
}

/*
 * Counts the mentions as the manifest has counted them for input.mentions. If the numbers differ, filters
 * would go to the wrong places.
 */
static int check_marks(struct parser *p, const struct source *s)
{
	size_t outside = 0;

	for (size_t i = 0; i < s->n_found; i++)
		outside += !s->found[i].definition;
	for (size_t i = 0; i < p->model->n_inputs; i++) {
		const struct input *in = &p->model->inputs[i];
		if (in->mentions && stands_for(in, s) && strlen(in->mentions) != outside)
			return error_set(p->err, EINVAL,
					 "%s is named %s in the compiled SQL and %s in the model's "
					 "source, so it is not certain which of them the window belongs to",
					 s->rendered, count_of(outside, "time", "times").text,
					 count_of(strlen(in->mentions), "time", "times").text);
	}
	return 0;
}

static bool has_user_alias(const struct parser *p, const struct sql_mention *m)
{
	const struct scan *s = &p->scan;
	size_t next = scan_find(s, m->start + m->len);

	if (next == s->n)
		return false;
	const struct scan_token *t = &s->tokens[next];
	if (t->kind == SQL_WORD)
		return scan_is_word(s, next, "as") ||
		       sql_word_is_alias(p->dialect, s->sql + t->start, t->len);
	return t->kind == SQL_QUOTED || (t->kind == SQL_STRING && p->dialect == SQL_SQLITE);
}

static int edit_table(struct parser *p, const struct source *s, const struct sql_mention *m, int input)
{
	size_t token = scan_find(&p->scan, m->start);

	if (token == 0 || !p->scan.tokens[token - 1].tables)
		return error_set(p->err, EINVAL,
				 "line %zu: %s stands where it cannot be replaced, only a plain place in a "
				 "FROM clause will do",
				 scan_line(p->scan.sql, m->start), s->rendered);
	p->edits[p->n_edits++] = (struct edit){
		.start = m->start,
		.len = m->len,
		.kind = input >= 0 ? EDIT_FILTER : EDIT_NAME,
		.alias = !has_user_alias(p, m) && !scan_is_word(&p->scan, token - 1, "in"),
		.source = s,
		.input = input >= 0 ? (size_t)input : 0,
	};
	return 0;
}

/*
 * Writes the alias for the relation before a column, if a filtered subquery stands in the relation's place
 * somewhere. Another mention that is left as it is written is called by its own identifier, which is the
 * same.
 */
static void edit_column(struct parser *p, const struct source *s, const struct sql_mention *m)
{
	if (!s->native && (m->definition || !s->filtered))
		return;
	p->edits[p->n_edits++] = (struct edit){m->start, m->len, EDIT_COLUMN, false, s, 0};
}

static int edit_source(struct parser *p, struct source *s)
{
	int rc = check_marks(p, s);

	for (size_t i = 0, k = 0; rc == 0 && i < s->n_found; i++) {
		s->filtered |= window_of(p, s, &s->found[i], k) >= 0;
		k += !s->found[i].definition;
	}
	for (size_t i = 0, k = 0; rc == 0 && i < s->n_found; i++) {
		const struct sql_mention *m = &s->found[i];
		int input = window_of(p, s, m, k);
		k += !m->definition;
		/* Behind the last ';' there are only comments, where nothing is replaced. */
		if (!m->code || m->start >= p->scan.len)
			continue;
		if (m->column)
			edit_column(p, s, m);
		else if (input >= 0 || s->native)
			rc = edit_table(p, s, m, input);
	}
	return rc;
}

static int by_start(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int collect_edits(struct parser *p)
{
	size_t most = 1;
	int rc = 0;

	for (size_t i = 0; i < p->n_sources; i++)
		most += p->sources[i].n_found;
	p->edits = calloc(most, sizeof *p->edits);
	if (!p->edits)
		return no_memory(p);
	for (size_t i = 0; rc == 0 && i < p->n_sources; i++)
		rc = edit_source(p, &p->sources[i]);
	qsort(p->edits, p->n_edits, sizeof *p->edits, by_start);
	for (size_t i = 1; rc == 0 && i < p->n_edits; i++) {
		const struct edit *before = &p->edits[i - 1], *e = &p->edits[i];
		if (e->start < before->start + before->len)
			rc = error_set(p->err, EINVAL, "line %zu: this may be %s or %s",
				       scan_line(p->scan.sql, e->start), before->source->rendered,
				       e->source->rendered);
	}
	return rc;
}

static int add_hole(struct sql_template *t, const struct edit *e, const struct input *in, size_t at)
{
	struct sql_hole *h = &t->holes[t->n_holes++];

	*h = (struct sql_hole){.at = at, .input = e->input};
	h->event_time = strdup(in->event_time);
	h->relation = strdup(in->relation.rendered);
	return h->event_time && h->relation ? 0 : -ENOMEM;
}

/* Writes what stands in the place of an edit. */
static int write_edit(const struct parser *p, const struct edit *e, struct strbuf *b, struct sql_template *t)
{
	int rc = 0;

	if (e->kind == EDIT_COLUMN) {
		strbuf_puts(b, e->source->alias);
		return 0;
	}
	if (e->kind == EDIT_FILTER)
		strbuf_puts(b, "(select * from ");
	if (e->source->native)
		strbuf_puts(b, e->source->native);
	else
		strbuf_add(b, p->scan.sql + e->start, e->len);
	if (e->kind == EDIT_FILTER) {
		strbuf_puts(b, " where ");
		rc = add_hole(t, e, &p->model->inputs[e->input], b->len);
		strbuf_putc(b, ')');
	}
	if (e->alias) {
		strbuf_puts(b, " as ");
		strbuf_puts(b, e->source->alias);
	}
	return rc;
}

/* The caller frees *t also after a failure. */
static int write_template(struct parser *p, struct sql_template *t)
{
	const char *sql = p->scan.sql;
	auto_strbuf b = STRBUF_INIT;
	size_t done = 0;
	int rc = 0;

	t->holes = calloc(p->n_edits + 1, sizeof *t->holes);
	if (!t->holes)
		return no_memory(p);
	for (size_t i = 0; rc == 0 && i < p->n_edits; i++) {
		const struct edit *e = &p->edits[i];
		strbuf_add(&b, sql + done, e->start - done);
		rc = write_edit(p, e, &b, t);
		done = e->start + e->len;
	}
	strbuf_add(&b, sql + done, p->scan.len - done);
	strbuf_putc(&b, '\n');
	t->len = b.len;
	t->text = strbuf_detach(&b);
	return rc == 0 && t->text ? 0 : no_memory(p);
}

static void parser_fini(struct parser *p)
{
	for (size_t i = 0; i < p->n_sources; i++) {
		free(p->sources[i].found);
		free(p->sources[i].alias);
	}
	free(p->sources);
	free(p->edits);
	scan_fini(&p->scan);
}

int window_sql_parse(enum sql_dialect dialect, const struct model *model, const char *const *native,
		     struct sql_template **out, struct error *err)
{
	struct parser p = {.dialect = dialect, .model = model, .err = err};
	struct sql_template *t = calloc(1, sizeof *t);
	int rc = t ? scan_statement(dialect, model->compiled, &p.scan, err) : no_memory(&p);

	if (rc == 0)
		rc = collect_sources(&p, native);
	if (rc == 0)
		rc = collect_edits(&p);
	if (rc == 0)
		rc = write_template(&p, t);
	parser_fini(&p);
	if (rc < 0) {
		window_sql_free(t);
		return rc;
	}
	*out = t;
	return 0;
}
