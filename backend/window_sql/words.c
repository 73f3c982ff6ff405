/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/window_sql/words.h"
#include "backend/window_sql/chars.h"

#include <stdlib.h>
#include <string.h>

enum sql_dialect sql_dialect_of(const char *adapter_type)
{
	static const struct {
		const char *adapter;
		enum sql_dialect dialect;
	} known[] = {{"postgres", SQL_POSTGRES}, {"sqlite", SQL_SQLITE}};
	for (size_t i = 0; adapter_type && i < sizeof known / sizeof *known; i++)
		if (strcmp(adapter_type, known[i].adapter) == 0)
			return known[i].dialect;
	return SQL_POSTGRES;
}

/*
 * What PostgreSQL 13 to 17 do not take for a relation's alias: the categories R (reserved) and
 * T (reserved, can be a function or a type) of pg_get_keywords(). Sorted.
 */
static const char *const postgres_reserved[] = {
	"all",
	"analyse",
	"analyze",
	"and",
	"any",
	"array",
	"as",
	"asc",
	"asymmetric",
	"authorization",
	"binary",
	"both",
	"case",
	"cast",
	"check",
	"collate",
	"collation",
	"column",
	"concurrently",
	"constraint",
	"create",
	"cross",
	"current_catalog",
	"current_date",
	"current_role",
	"current_schema",
	"current_time",
	"current_timestamp",
	"current_user",
	"default",
	"deferrable",
	"desc",
	"distinct",
	"do",
	"else",
	"end",
	"except",
	"false",
	"fetch",
	"for",
	"foreign",
	"freeze",
	"from",
	"full",
	"grant",
	"group",
	"having",
	"ilike",
	"in",
	"initially",
	"inner",
	"intersect",
	"into",
	"is",
	"isnull",
	"join",
	"lateral",
	"leading",
	"left",
	"like",
	"limit",
	"localtime",
	"localtimestamp",
	"natural",
	"not",
	"notnull",
	"null",
	"offset",
	"on",
	"only",
	"or",
	"order",
	"outer",
	"overlaps",
	"placing",
	"primary",
	"references",
	"returning",
	"right",
	"select",
	"session_user",
	"similar",
	"some",
	"symmetric",
	"system_user",
	"table",
	"tablesample",
	"then",
	"to",
	"trailing",
	"true",
	"union",
	"unique",
	"user",
	"using",
	"variadic",
	"verbose",
	"when",
	"where",
	"window",
	"with",
};

/* SQLite's keywords without a fallback to an identifier, and the joins. Sorted. */
static const char *const sqlite_reserved[] = {
	"add",	   "all",	 "alter",	"and",	    "as",	  "autoincrement", "between",
	"case",	   "check",	 "collate",	"commit",   "constraint", "create",	   "cross",
	"default", "deferrable", "delete",	"distinct", "drop",	  "else",	   "escape",
	"except",  "exists",	 "foreign",	"from",	    "full",	  "group",	   "having",
	"in",	   "index",	 "indexed",	"inner",    "insert",	  "intersect",	   "into",
	"is",	   "isnull",	 "join",	"left",	    "limit",	  "natural",	   "not",
	"nothing", "notnull",	 "null",	"on",	    "or",	  "order",	   "outer",
	"primary", "references", "returning",	"right",    "select",	  "set",	   "table",
	"then",	   "to",	 "transaction", "union",    "unique",	  "update",	   "using",
	"values",  "when",	 "where",	"window",
};

struct word {
	const char *text;
	size_t len;
};

static int compare_folded(const char *word, size_t len, const char *text)
{
	for (size_t i = 0; i < len; i++) {
		int d = (unsigned char)sql_lower(word[i]) - (unsigned char)text[i];
		if (d)
			return d;
	}
	return text[len] ? -1 : 0;
}

static int compare_entry(const void *key, const void *entry)
{
	const struct word *w = key;
	return compare_folded(w->text, w->len, *(const char *const *)entry);
}

bool sql_word_is(const char *word, size_t len, const char *text)
{
	return compare_folded(word, len, text) == 0;
}

bool sql_word_is_alias(enum sql_dialect dialect, const char *word, size_t len)
{
	const struct word key = {word, len};
	const char *const *table = dialect == SQL_SQLITE ? sqlite_reserved : postgres_reserved;
	size_t n = dialect == SQL_SQLITE ? sizeof sqlite_reserved / sizeof *sqlite_reserved
					 : sizeof postgres_reserved / sizeof *postgres_reserved;

	return !bsearch(&key, table, n, sizeof *table, compare_entry);
}

enum sql_clause sql_word_clause(const char *word, size_t len)
{
	static const char *const tables[] = {"from", "join"};
	static const char *const others[] = {"except",	  "fetch", "for",    "group", "having",
					     "intersect", "limit", "offset", "order", "returning",
					     "select",	  "union", "values", "where", "window"};

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		if (sql_word_is(word, len, tables[i]))
			return CLAUSE_TABLES;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (sql_word_is(word, len, others[i]))
			return CLAUSE_OTHER;
	return CLAUSE_SAME;
}
