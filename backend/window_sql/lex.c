/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lexical structure of both dialects, after PostgreSQL's chapter "Lexical Structure", with
 * standard_conforming_strings on, and SQLite's documentation of its tokenizer.
 */
#include "backend/window_sql.h"
#include "backend/window_sql/chars.h"

#include <string.h>

/* A text and the dialect that says how to read it. */
struct text {
	enum sql_dialect dialect;
	const char *sql;
	size_t len;
};

static char at(const struct text *t, size_t pos)
{
	return pos < t->len ? t->sql[pos] : '\0';
}

static struct sql_token token(enum sql_token_kind kind, size_t start, size_t end, bool open)
{
	return (struct sql_token){.kind = kind, .open = open, .start = start, .len = end - start};
}

static struct sql_token lex_space(const struct text *t, size_t start)
{
	size_t pos = start;
	while (pos < t->len && sql_is_space(t->sql[pos]))
		pos++;
	return token(SQL_SPACE, start, pos, false);
}

static struct sql_token lex_line_comment(const struct text *t, size_t start)
{
	size_t pos = start;
	while (pos < t->len && t->sql[pos] != '\n' && (t->sql[pos] != '\r' || t->dialect == SQL_SQLITE))
		pos++;
	return token(SQL_SPACE, start, pos, false);
}

static struct sql_token lex_block_comment(const struct text *t, size_t start)
{
	size_t depth = 1, pos = start + 2;

	while (pos + 1 < t->len) {
		if (t->sql[pos] == '*' && t->sql[pos + 1] == '/') {
			pos += 2;
			if (--depth == 0)
				return token(SQL_SPACE, start, pos, false);
		} else if (t->dialect == SQL_POSTGRES && t->sql[pos] == '/' && t->sql[pos + 1] == '*') {
			pos += 2;
			depth++;
		} else {
			pos++;
		}
	}
	return token(SQL_SPACE, start, t->len, true);
}

/*
 * The position behind the closing quote; a doubled quote stands for itself and closes nothing. *closed: there
 * is a closing quote.
 */
static size_t skip_quoted(const struct text *t, size_t pos, char quote, bool backslash, bool *closed)
{
	while (pos < t->len) {
		if (backslash && t->sql[pos] == '\\') {
			pos += 2;
		} else if (t->sql[pos] != quote) {
			pos++;
		} else if (at(t, pos + 1) == quote) {
			pos += 2;
		} else {
			*closed = true;
			return pos + 1;
		}
	}
	*closed = false;
	return t->len;
}

/*
 * PostgreSQL joins strings that only white space with a newline keeps apart, and reads
 * the next as it has read the first: a backslash counts in all parts of E'a' \n 'b\''.
 * Returns the position of the next part's quote, or 0.
 */
static size_t next_part(const struct text *t, size_t pos)
{
	bool newline = false;

	for (;; pos++) {
		if (at(t, pos) == '-' && at(t, pos + 1) == '-') {
			pos += lex_line_comment(t, pos).len;
			if (pos >= t->len)
				return 0;
		}
		if (at(t, pos) == '\n' || at(t, pos) == '\r')
			newline = true;
		else if (!sql_is_space(at(t, pos)))
			return newline && at(t, pos) == '\'' ? pos : 0;
	}
}

static struct sql_token lex_string(const struct text *t, size_t start, size_t prefix, bool backslash)
{
	bool closed;
	size_t end = skip_quoted(t, start + prefix + 1, '\'', backslash, &closed);

	while (closed && backslash) {
		size_t quote = next_part(t, end);
		if (!quote)
			break;
		end = skip_quoted(t, quote + 1, '\'', true, &closed);
	}
	return token(SQL_STRING, start, end, !closed);
}

static struct sql_token lex_identifier(const struct text *t, size_t start, size_t prefix, char quote)
{
	bool closed;
	size_t end = skip_quoted(t, start + prefix + 1, quote, false, &closed);
	return token(SQL_QUOTED, start, end, !closed);
}

static struct sql_token lex_bracketed(const struct text *t, size_t start)
{
	const char *close = memchr(t->sql + start, ']', t->len - start);
	size_t end = close ? (size_t)(close - t->sql) + 1 : t->len;
	return token(SQL_QUOTED, start, end, !close);
}

/* Takes $tag$ ... $tag$. A '$' that begins no such string is one byte of punctuation. */
static struct sql_token lex_dollar(const struct text *t, size_t start)
{
	size_t pos = start + 1;
	if (sql_is_word_start(at(t, pos)))
		while (sql_is_word(at(t, pos)) && at(t, pos) != '$')
			pos++;
	if (at(t, pos) != '$')
		return token(SQL_PUNCT, start, start + 1, false);
	size_t tag = pos + 1 - start;
	const char *close = memmem(t->sql + pos + 1, t->len - pos - 1, t->sql + start, tag);
	return token(SQL_STRING, start, close ? (size_t)(close - t->sql) + tag : t->len, !close);
}

static struct sql_token lex_number(const struct text *t, size_t start)
{
	size_t pos = start;
	while (sql_is_digit(at(t, pos)))
		pos++;
	if (at(t, pos) == '.') {
		pos++;
		while (sql_is_digit(at(t, pos)))
			pos++;
	}
	if (at(t, pos) == 'e' || at(t, pos) == 'E') {
		size_t sign = at(t, pos + 1) == '+' || at(t, pos + 1) == '-';
		if (sql_is_digit(at(t, pos + 1 + sign))) {
			pos += 2 + sign;
			while (sql_is_digit(at(t, pos)))
				pos++;
		}
	}
	return token(SQL_NUMBER, start, pos, false);
}

/* Takes a word, or the string or quoted identifier whose prefix the word is, as in E'...'. */
static struct sql_token lex_word(const struct text *t, size_t start)
{
	char first = (char)(at(t, start) | 0x20);
	char second = at(t, start + 1);

	if (second == '\'' && first == 'x')
		return lex_string(t, start, 1, false);
	if (t->dialect == SQL_POSTGRES && second == '\'' && strchr("ebn", first))
		return lex_string(t, start, 1, first == 'e');
	if (t->dialect == SQL_POSTGRES && first == 'u' && second == '&') {
		if (at(t, start + 2) == '\'')
			return lex_string(t, start, 2, false);
		if (at(t, start + 2) == '"')
			return lex_identifier(t, start, 2, '"');
	}
	size_t pos = start;
	while (pos < t->len && sql_is_word(t->sql[pos]))
		pos++;
	return token(SQL_WORD, start, pos, false);
}

struct sql_token sql_lex(enum sql_dialect dialect, const char *sql, size_t len, size_t pos)
{
	const struct text t = {dialect, sql, len};
	char c = at(&t, pos), next = at(&t, pos + 1);

	if (pos >= len)
		return token(SQL_END, pos, pos, false);
	if (sql_is_space(c))
		return lex_space(&t, pos);
	if (c == '-' && next == '-')
		return lex_line_comment(&t, pos);
	if (c == '/' && next == '*')
		return lex_block_comment(&t, pos);
	if (c == '\'')
		return lex_string(&t, pos, 0, false);
	if (c == '"' || (dialect == SQL_SQLITE && c == '`'))
		return lex_identifier(&t, pos, 0, c);
	if (dialect == SQL_SQLITE && c == '[')
		return lex_bracketed(&t, pos);
	if (dialect == SQL_POSTGRES && c == '$')
		return lex_dollar(&t, pos);
	if (sql_is_digit(c) || (c == '.' && sql_is_digit(next)))
		return lex_number(&t, pos);
	if (sql_is_word_start(c))
		return lex_word(&t, pos);
	return token(SQL_PUNCT, pos, pos + 1, false);
}
