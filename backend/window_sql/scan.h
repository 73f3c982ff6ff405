/* SPDX-License-Identifier: Apache-2.0 */
/* A statement as an array of its tokens, checked to be one statement that can be put into parentheses. */
#ifndef BATCHFS_WINDOW_SQL_SCAN_H
#define BATCHFS_WINDOW_SQL_SCAN_H

#include "backend/window_sql.h"

/* Without white space and comments. */
struct scan_token {
	enum sql_token_kind kind;
	size_t start, len;
	bool tables; /* a relation may stand right behind it */
};

struct scan {
	const char *sql;
	size_t len; /* up to a trailing ';' */
	struct scan_token *tokens;
	size_t n;
};

/* *out refers to sql and is to be ended by scan_fini() in any case. 0, -EINVAL with *err, -ENOMEM. */
int scan_statement(enum sql_dialect dialect, const char *sql, struct scan *out, struct error *err);
void scan_fini(struct scan *s);

/* The first token that starts at `offset` or behind it; s->n: none. */
size_t scan_find(const struct scan *s, size_t offset);

/* False where there is no such token. */
bool scan_is_word(const struct scan *s, size_t token, const char *word);

/* The line, counted from 1, that holds the byte at `offset`. */
size_t scan_line(const char *sql, size_t offset);

#endif
