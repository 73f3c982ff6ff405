/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/window_sql.h"
#include "backend/window_sql/chars.h"
#include "backend/window_sql/words.h"

#include <string.h>

#define CTE_PREFIX "__dbt__cte__"

struct finder {
	enum sql_dialect dialect;
	const char *sql;
	size_t len;
	const char *rendered;
	size_t rendered_len;
	struct sql_mention *out;
	size_t max, count;
	bool definition; /* the reading is inside of the body of a definition, */
	size_t depth;	 /* which is so many parentheses deep now */
};

static struct sql_token lex(const struct finder *f, size_t pos)
{
	return sql_lex(f->dialect, f->sql, f->len, pos);
}

/* The next token at or behind `pos` that is neither white space nor a comment. */
static struct sql_token significant(const struct finder *f, size_t pos)
{
	struct sql_token t = lex(f, pos);
	while (t.kind == SQL_SPACE)
		t = lex(f, t.start + t.len);
	return t;
}

static size_t end_of(const struct sql_token *t)
{
	return t->start + t->len;
}

static bool is_punct(const struct finder *f, const struct sql_token *t, char c)
{
	return t->kind == SQL_PUNCT && f->sql[t->start] == c;
}

static bool is_word(const struct finder *f, const struct sql_token *t, const char *word)
{
	return t->kind == SQL_WORD && sql_word_is(f->sql + t->start, t->len, word);
}

static void report(struct finder *f, size_t start, size_t len, bool code, bool column)
{
	if (f->count < f->max)
		f->out[f->count] = (struct sql_mention){start, len, code, column, f->definition};
	f->count++;
}

/*
 * Whether a token of the text equals a token of `rendered`. Quoted parts are compared as they stand, words
 * without regard to case.
 */
static bool same_token(const struct finder *f, const struct sql_token *a, const struct sql_token *b)
{
	const char *left = f->sql + a->start, *right = f->rendered + b->start;

	if (a->kind != b->kind || a->len != b->len)
		return false;
	if (a->kind != SQL_WORD)
		return memcmp(left, right, a->len) == 0;
	for (size_t i = 0; i < a->len; i++)
		if (sql_lower(left[i]) != sql_lower(right[i]))
			return false;
	return true;
}

/*
 * Where the chain of names that begins at `start` has come to the end of `rendered`; 0: it is another name.
 */
static size_t match_chain(const struct finder *f, size_t start)
{
	size_t pos = start, at = 0;

	while (at < f->rendered_len) {
		struct sql_token wanted = sql_lex(f->dialect, f->rendered, f->rendered_len, at);
		struct sql_token found = lex(f, pos);
		if (!same_token(f, &found, &wanted))
			return 0;
		at = end_of(&wanted);
		pos = end_of(&found);
	}
	return pos;
}

/*
 * Where the mention that begins at `start` ends; 0: no mention begins there. One more name may follow, which
 * is a column; a function call is no relation.
 */
static size_t take_chain(struct finder *f, size_t start)
{
	size_t end = match_chain(f, start);
	if (!end)
		return 0;
	struct sql_token next = significant(f, end);
	bool column = is_punct(f, &next, '.');
	if (column) {
		struct sql_token name = significant(f, end_of(&next));
		if (name.kind != SQL_WORD && name.kind != SQL_QUOTED && !is_punct(f, &name, '*'))
			return 0;
		next = significant(f, end_of(&name));
		if (is_punct(f, &next, '.'))
			return 0;
	}
	if (is_punct(f, &next, '('))
		return 0;
	report(f, start, end - start, true, column);
	return end;
}

/* Finds the relation's text in what is no code, unless it is a part of a longer word. */
static void find_text(struct finder *f, size_t start, size_t end)
{
	bool word_first = sql_is_word(f->rendered[0]);
	bool word_last = sql_is_word(f->rendered[f->rendered_len - 1]);

	while (start < end) {
		const char *hit = memmem(f->sql + start, end - start, f->rendered, f->rendered_len);
		if (!hit)
			return;
		size_t at = (size_t)(hit - f->sql), after = at + f->rendered_len;
		if ((word_first && at > 0 && sql_is_word(f->sql[at - 1])) ||
		    (word_last && after < f->len && sql_is_word(f->sql[after]))) {
			start = at + 1;
			continue;
		}
		report(f, at, f->rendered_len, false, false);
		start = after;
	}
}

/*
 * Where the parenthesis stands, if the word begins `__dbt__cte__NAME as [not] [materialized] (`, which is how
 * dbt puts in an ephemeral model; else 0.
 */
static size_t definition_body(const struct finder *f, const struct sql_token *word)
{
	if (word->kind != SQL_WORD || word->len < sizeof CTE_PREFIX ||
	    memcmp(f->sql + word->start, CTE_PREFIX, sizeof CTE_PREFIX - 1) != 0)
		return 0;
	struct sql_token t = significant(f, end_of(word));
	if (!is_word(f, &t, "as"))
		return 0;
	t = significant(f, end_of(&t));
	if (is_word(f, &t, "not"))
		t = significant(f, end_of(&t));
	if (is_word(f, &t, "materialized"))
		t = significant(f, end_of(&t));
	return is_punct(f, &t, '(') ? t.start : 0;
}

static void follow_parentheses(struct finder *f, const struct sql_token *t)
{
	if (!f->definition || t->kind != SQL_PUNCT)
		return;
	if (is_punct(f, t, '('))
		f->depth++;
	else if (is_punct(f, t, ')') && --f->depth == 0)
		f->definition = false;
}

/*
 * Takes a whole mention, or the head of a definition, or else one token. Returns where the next one begins.
 */
static size_t take(struct finder *f, const struct sql_token *t, bool after_dot)
{
	if ((t->kind == SQL_WORD || t->kind == SQL_QUOTED) && !after_dot) {
		size_t body = f->definition ? 0 : definition_body(f, t);
		if (body) {
			f->definition = true;
			f->depth = 0;
			return body;
		}
		size_t end = take_chain(f, t->start);
		if (end)
			return end;
	}
	if (t->kind == SQL_SPACE || t->kind == SQL_STRING)
		find_text(f, t->start, end_of(t));
	else if (t->kind == SQL_QUOTED)
		find_text(f, t->start + 1, end_of(t) - 1);
	follow_parentheses(f, t);
	return end_of(t);
}

size_t sql_mentions(enum sql_dialect dialect, const char *sql, const char *rendered, struct sql_mention *out,
		    size_t max)
{
	struct finder f = {.dialect = dialect,
			   .sql = sql,
			   .len = strlen(sql),
			   .rendered = rendered,
			   .rendered_len = strlen(rendered),
			   .out = out,
			   .max = max};
	bool after_dot = false;

	if (f.rendered_len == 0)
		return 0;
	for (struct sql_token t = lex(&f, 0); t.kind != SQL_END;) {
		size_t next = take(&f, &t, after_dot);
		if (t.kind != SQL_SPACE)
			after_dot = is_punct(&f, &t, '.');
		t = lex(&f, next);
	}
	return f.count;
}
