/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/window_sql/scan.h"
#include "backend/window_sql/words.h"

#include <stdlib.h>
#include <string.h>

/* What is known of each parenthesis that is open; level 0 is the statement itself. */
struct level {
	size_t start; /* where the parenthesis stands */
	bool tables;  /* a comma at this level is followed by another relation */
};

struct scanner {
	enum sql_dialect dialect;
	struct scan *out;
	struct level *levels;
	size_t depth, levels_size, tokens_size;
	struct error *err;
};

static int grow(void **array, size_t *size, size_t need, size_t item, struct error *err)
{
	if (need <= *size)
		return 0;
	size_t n = need < 64 ? 64 : need * 2;
	void *p = reallocarray(*array, n, item);
	if (!p)
		return error_set(err, ENOMEM, "out of memory while reading SQL");
	*array = p;
	*size = n;
	return 0;
}

size_t scan_line(const char *sql, size_t offset)
{
	size_t line = 1;
	for (size_t i = 0; i < offset; i++)
		line += sql[i] == '\n';
	return line;
}

static int open_level(struct scanner *s, size_t start, bool tables)
{
	int rc = grow((void **)&s->levels, &s->levels_size, s->depth + 2, sizeof *s->levels, s->err);
	if (rc == 0)
		s->levels[++s->depth] = (struct level){start, tables};
	return rc;
}

static int close_level(struct scanner *s, size_t start)
{
	if (s->depth == 0)
		return error_set(s->err, EINVAL, "line %zu: a ')' without a '('",
				 scan_line(s->out->sql, start));
	s->depth--;
	return 0;
}

/* Whether the next word is a plain name even if it is a keyword: it is after '.' and AS. */
static bool is_plain_name(const struct scan *s)
{
	if (s->n == 0)
		return false;
	const struct scan_token *last = &s->tokens[s->n - 1];
	return (last->kind == SQL_PUNCT && s->sql[last->start] == '.') || scan_is_word(s, s->n - 1, "as");
}

/* Whether a relation may follow the word. Notes the clause that the word begins. */
static bool word_takes_table(struct scanner *s, const char *word, size_t len)
{
	if (is_plain_name(s->out))
		return false;
	enum sql_clause clause = sql_word_clause(word, len);
	if (clause != CLAUSE_SAME)
		s->levels[s->depth].tables = clause == CLAUSE_TABLES;
	/* In SQLite a table may also follow IN, as in `x in table`. */
	return clause == CLAUSE_TABLES || (s->dialect == SQL_SQLITE && sql_word_is(word, len, "in"));
}

static int add_token(struct scanner *s, const struct sql_token *t)
{
	struct scan *out = s->out;
	const char *text = out->sql + t->start;
	bool tables = false;
	int rc = grow((void **)&out->tokens, &s->tokens_size, out->n + 1, sizeof *out->tokens, s->err);

	if (rc == 0 && t->kind == SQL_WORD) {
		tables = word_takes_table(s, text, t->len);
	} else if (rc == 0 && t->kind == SQL_PUNCT && *text == ',') {
		tables = s->levels[s->depth].tables;
	} else if (rc == 0 && t->kind == SQL_PUNCT && *text == '(') {
		tables = out->n > 0 && out->tokens[out->n - 1].tables && !scan_is_word(out, out->n - 1, "in");
		rc = open_level(s, t->start, tables);
	} else if (rc == 0 && t->kind == SQL_PUNCT && *text == ')') {
		rc = close_level(s, t->start);
	}
	if (rc == 0)
		out->tokens[out->n++] = (struct scan_token){t->kind, t->start, t->len, tables};
	return rc;
}

static int refuse_open(struct scanner *s, const struct sql_token *t)
{
	const char *what = t->kind == SQL_STRING   ? "string"
			   : t->kind == SQL_QUOTED ? "identifier"
						   : "comment";
	return error_set(s->err, EINVAL, "line %zu: the %s that begins here does not end",
			 scan_line(s->out->sql, t->start), what);
}

static int scan_tokens(struct scanner *s, size_t len)
{
	struct scan *out = s->out;
	int rc = grow((void **)&s->levels, &s->levels_size, 1, sizeof *s->levels, s->err);
	bool ended = false;

	out->len = len;
	if (rc == 0)
		s->levels[0] = (struct level){0, false};
	for (size_t pos = 0; rc == 0 && pos < len;) {
		struct sql_token t = sql_lex(s->dialect, out->sql, len, pos);
		pos = t.start + t.len;
		if (t.open) {
			rc = refuse_open(s, &t);
		} else if (t.kind == SQL_SPACE) {
			continue;
		} else if (ended) {
			rc = error_set(s->err, EINVAL,
				       "line %zu: a model is one statement, and this one goes on after a ';'",
				       scan_line(out->sql, t.start));
		} else if (t.kind == SQL_PUNCT && out->sql[t.start] == ';') {
			ended = true;
			out->len = t.start;
		} else {
			rc = add_token(s, &t);
		}
	}
	return rc;
}

int scan_statement(enum sql_dialect dialect, const char *sql, struct scan *out, struct error *err)
{
	struct scanner s = {.dialect = dialect, .out = out, .err = err};

	*out = (struct scan){.sql = sql};
	int rc = scan_tokens(&s, strlen(sql));
	if (rc == 0 && s.depth > 0)
		rc = error_set(err, EINVAL, "line %zu: a '(' without its ')'",
			       scan_line(sql, s.levels[s.depth].start));
	if (rc == 0 && out->n == 0)
		rc = error_set(err, EINVAL, "the compiled SQL holds no statement");
	free(s.levels);
	return rc;
}

void scan_fini(struct scan *s)
{
	free(s->tokens);
	*s = (struct scan){0};
}

size_t scan_find(const struct scan *s, size_t offset)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->tokens[middle].start < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool scan_is_word(const struct scan *s, size_t token, const char *word)
{
	const struct scan_token *t = s->tokens + token;
	return token < s->n && t->kind == SQL_WORD && sql_word_is(s->sql + t->start, t->len, word);
}
