/* SPDX-License-Identifier: Apache-2.0 */
/* A statement as an array of its tokens, checked to be one statement that can be put into parentheses. */
#ifndef BATCHFS_WINDOW_SQL_SCAN_H
#define BATCHFS_WINDOW_SQL_SCAN_H

#include "backend/window_sql.h"

/* A token of the statement that is neither white space nor a comment. */
struct scan_token {
	enum sql_token_kind kind;
	size_t start, len;
	bool tables; /* a relation may stand right behind the token */
};

struct scan {
	const char *sql;
	size_t len; /* of the statement, without a ';' at its end */
	struct scan_token *tokens;
	size_t n;
};

/*
 * *out refers to the text of sql. The caller calls scan_fini() also after a failure. -EINVAL with *err: the
 * text is not one statement; -ENOMEM.
 */
int scan_statement(enum sql_dialect dialect, const char *sql, struct scan *out, struct error *err);
void scan_fini(struct scan *s);

/* The first token that begins at `offset` or behind it; s->n: there is none. */
size_t scan_find(const struct scan *s, size_t offset);

/* Whether the token is this word. False, too, where there is no such token. */
bool scan_is_word(const struct scan *s, size_t token, const char *word);

/* The line, counted from 1, that holds the byte at `offset`. */
size_t scan_line(const char *sql, size_t offset);

#endif
