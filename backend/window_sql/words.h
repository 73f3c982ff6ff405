/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_WINDOW_SQL_WORDS_H
#define BATCHFS_WINDOW_SQL_WORDS_H

#include "backend/window_sql.h"

/* What an unquoted word of `len` bytes begins. */
enum sql_clause {
	CLAUSE_SAME,
	CLAUSE_TABLES, /* relations follow, as after from and join */
	CLAUSE_OTHER,  /* something else follows, as after select, where and group */
};
enum sql_clause sql_word_clause(const char *word, size_t len);

/* Whether the word, after a relation, is its alias: neither reserved nor the beginning of what follows. */
bool sql_word_is_alias(enum sql_dialect dialect, const char *word, size_t len);

/* Whether the word is `text` (lower case) in any case. */
bool sql_word_is(const char *word, size_t len, const char *text);

#endif
