/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled SQL + one window -> the SELECT of one batch. The SQL is taken apart
 * once (window_sql_parse); rendering is then plain copying. Every input that is
 * to be filtered becomes
 *
 *     (select * from REL where EVENT_TIME >= L and EVENT_TIME < L) ALIAS
 *
 * with literals of the column's real type, and without the alias where the user
 * has given one; ALIAS is the relation's quoted identifier. Strings, comments, dollar quotes and quoted
 * identifiers are never touched; `REL.column` becomes `ALIAS.column`. Pure but for allocation.
 */
#ifndef BATCHFS_WINDOW_SQL_H
#define BATCHFS_WINDOW_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/base/error.h"
#include "backend/base/strbuf.h"
#include "backend/manifest.h"

enum sql_dialect { SQL_POSTGRES, SQL_SQLITE };

/*
 * The dialect in which dbt compiles for this adapter_type. An adapter that is not known here, and NULL, count
 * as PostgreSQL: its dialect is the closest to what the SQL standard says of quotes and comments.
 */
enum sql_dialect sql_dialect_of(const char *adapter_type);

/* The real type of an event_time column, which decides how a literal is written. */
enum time_type {
	TIME_UNKNOWN,	  /* not known yet, so no literal can be written */
	TIME_TIMESTAMPTZ, /* TIMESTAMPTZ '2024-09-01 00:00:00.000000+00' */
	TIME_TIMESTAMP,	  /* TIMESTAMP '2024-09-01 00:00:00.000000' */
	TIME_DATE,	  /* DATE '2024-09-01', for whole days only */
	TIME_TEXT,	  /* SQLite: 'YYYY-MM-DD[ HH:MM:SS[.ffffff]]', compared as text */
	TIME_EPOCH,	  /* SQLite: whole seconds since 1970 */
	TIME_UNSUPPORTED, /* no window can be cut from a column of this type */
};

/*
 * The type's name: "timestamptz", "timestamp", "date", "text" or "integer". NULL for unknown and unsupported.
 */
const char *time_type_name(enum time_type type);

/*
 * Appends the literal for a boundary of a window. -EINVAL with *err: the column is a date and the boundary no
 * midnight, or the type has no literals. For TIME_TEXT the boundary is 'YYYY-MM-DD' at midnight, else 'YYYY-
 * MM-DD HH:MM:SS', so that comparing texts is right for values with and without a time of day.
 */
int time_literal(enum time_type type, int64_t us, struct strbuf *out, struct error *err);

/* The lexer, which manifest/ uses too, to count mentions. */
enum sql_token_kind {
	SQL_END,
	SQL_SPACE,  /* white space and comments (nested in PostgreSQL) */
	SQL_WORD,   /* identifier or keyword, unquoted */
	SQL_QUOTED, /* "identifier"; in SQLite also `x` and [x] */
	SQL_STRING, /* '..', E'..', B'..', U&'..', $tag$..$tag$ */
	SQL_NUMBER,
	SQL_PUNCT, /* one byte of anything else */
};
struct sql_token {
	enum sql_token_kind kind;
	bool open; /* a string, quoted identifier or comment that is not ended: it reaches to the end of the
		      text */
	size_t start, len;
};
/*
 * The token that begins at `pos`. Each comment is a SQL_SPACE of its own. Where pos >= len it is a SQL_END of
 * length 0.
 */
struct sql_token sql_lex(enum sql_dialect dialect, const char *sql, size_t len, size_t pos);

/*
 * One place where a relation is named. This is the one rule for counting them: who pairs
 * them with raw_code puts each rendered relation in the place of its Jinja and asks here too.
 *
 * In code: the chain of the parts of `rendered` joined by bare dots, the whole of a longer chain
 * but for one column (or '*') behind it, and no function call. A quoted part equals the same
 * quoted text, an unquoted one an unquoted one whatever its case. In a comment, a string or inside
 * a quoted identifier: the text of `rendered` byte by byte, not touching a letter, a digit, '_' or '$'
 * where it begins or ends with one itself.
 */
struct sql_mention {
	size_t start, len; /* where the relation is named, without a column behind it */
	bool code;	   /* false: it stands in a comment, a string or inside of a quoted identifier */
	bool column;	   /* only in code: a column or '*' follows, as in REL.id */
	bool definition;   /* it stands in the body of a `__dbt__cte__NAME as (...)`, which input.mentions
			      leaves out */
};
/*
 * Finds all mentions, in the order of the text; the first `max` of them go to out. Returns how many there
 * are. The name with which a __dbt__cte__ definition begins is no mention. Allocates nothing.
 */
size_t sql_mentions(enum sql_dialect dialect, const char *sql, const char *rendered, struct sql_mention *out,
		    size_t max);

struct sql_template;

/*
 * `native`: what the engine calls each input's relation (model->inputs order), or NULL
 * to keep what is written; it also replaces unfiltered mentions, never an ephemeral's. Where several
 * inputs have the same `rendered`, a mention gets the window of the first that marks it as filtered.
 * 0, -ENOMEM, or -EINVAL with *err when the text cannot be taken apart safely (unterminated quote,
 * parentheses that do not match, more than one statement, a relation where no subquery can stand,
 * mentions other than input.mentions says). A trailing ';' is dropped; what is rendered ends with a
 * newline, so that it can stand in parentheses. The template refers to nothing of the model, and
 * any number of threads may render it.
 */
int window_sql_parse(enum sql_dialect dialect, const struct model *model, const char *const *native,
		     struct sql_template **out, struct error *err);
void window_sql_free(struct sql_template *t); /* NULL is fine */

/*
 * Appends the SELECT for [start_us, end_us). types[i] is the type of model->inputs[i]'s
 * event_time. -EINVAL with *err as time_literal(), naming the input.
 */
int window_sql_render(const struct sql_template *t, const enum time_type *types, int64_t start_us,
		      int64_t end_us, struct strbuf *out, struct error *err);

#endif
