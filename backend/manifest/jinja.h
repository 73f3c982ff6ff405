/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of Jinja as it takes to tell, from a model's raw_code, which mention
 * of a relation came from which ref() or source(). Pure; text need not be valid.
 */
#ifndef BATCHFS_MANIFEST_JINJA_H
#define BATCHFS_MANIFEST_JINJA_H

#include <stdbool.h>
#include <stddef.h>

enum jinja_kind { JINJA_TEXT, JINJA_EXPRESSION, JINJA_STATEMENT };

struct jinja_part {
	enum jinja_kind kind;
	const char *text; /* inside of the delimiters */
	const char *end;
	bool nested; /* in the body of an if, a for, a macro ...: it may be rendered never or often */
};

/* {.p = text, .end = its end} starts. Comments are passed over, {% raw %} is text. */
struct jinja {
	const char *p, *end;
	unsigned depth;
	bool raw;
};

bool jinja_next(struct jinja *j, struct jinja_part *part); /* false: at the end */

/* Tokens of an expression or a statement. */
enum jinja_token_kind { JINJA_END, JINJA_NAME, JINJA_STRING, JINJA_NUMBER, JINJA_PUNCT };
struct jinja_token {
	enum jinja_token_kind kind;
	const char *text; /* of a string without its quotes, escapes as they stand */
	size_t len;
};
struct jinja_token jinja_lex(const char **p, const char *end);
bool jinja_is(const struct jinja_token *t, const char *text); /* a name or a punctuation mark */

/* What a text makes use of; jinja_uses() adds to what is set. */
struct jinja_uses {
	bool batch;	  /* model.batch and its legacy forms */
	bool incremental; /* is_incremental(), should_full_refresh(), flags.FULL_REFRESH */
	unsigned renders; /* calls of .render() and .include() */
};
void jinja_uses(const char *text, struct jinja_uses *uses);

/* ref('x'), ref('p', 'x'), ref('x', v=2), source('s', 't') */
struct jinja_call {
	bool source;
	bool readable;				   /* all arguments are literals: the rest is filled */
	bool render;				   /* .render() follows */
	bool attribute;				   /* something else follows behind a dot */
	struct jinja_token first, second, version; /* second, version: kind JINJA_END where not given */
};

/*
 * The next call at or after *p, which moves behind it; false: none. *pure: nothing but blanks
 * stands before it, and nothing but blanks behind it, where *p was where the expression begins.
 */
bool jinja_find_call(const char **p, const char *end, struct jinja_call *call, bool *pure);

#endif
