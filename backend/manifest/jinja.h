/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of Jinja as it takes to tell from a model's raw_code which mention of a relation came from which
 * ref() or source(). Pure; the text need not be valid Jinja.
 */
#ifndef BATCHFS_MANIFEST_JINJA_H
#define BATCHFS_MANIFEST_JINJA_H

#include <stdbool.h>
#include <stddef.h>

enum jinja_kind { JINJA_TEXT, JINJA_EXPRESSION, JINJA_STATEMENT };

struct jinja_part {
	enum jinja_kind kind;
	const char *text; /* what stands between the delimiters */
	const char *end;
	bool nested; /* the part stands in the body of an if, a for, a macro or the like, so dbt may render it
			never or many times */
};

/*
 * How far a text has been read; {.p = text, .end = its end} is the beginning. Comments are passed over, and
 * the body of {% raw %} is text.
 */
struct jinja {
	const char *p, *end;
	unsigned depth;
	bool raw;
};

bool jinja_next(struct jinja *j, struct jinja_part *part); /* false: there is no part left */

/* Tokens of an expression or a statement. */
enum jinja_token_kind { JINJA_END, JINJA_NAME, JINJA_STRING, JINJA_NUMBER, JINJA_PUNCT };
struct jinja_token {
	enum jinja_token_kind kind;
	const char *text; /* a string's text is without its quotes, with its escapes as they are written */
	size_t len;
};
struct jinja_token jinja_lex(const char **p, const char *end);
bool jinja_is(const struct jinja_token *t,
	      const char *text); /* whether the token is this name or punctuation mark */

/* What makes SQL other than what it was when it was compiled, if dbt renders it for a batch. */
enum jinja_use {
	USE_BATCH,	 /* model.batch, in any of its forms */
	USE_INCREMENTAL, /* is_incremental(), should_full_refresh(), flags.FULL_REFRESH */
	USE_WAREHOUSE,	 /* a look into the warehouse: run_query(), load_relation() */
	USE_RUN,	 /* what differs from run to run: run_started_at, flags.EVENT_TIME_START, the clock */
	JINJA_USES
};

/* Words of a text; `at` NULL: there are none. */
struct jinja_words {
	const char *at;
	size_t len;
};

/*
 * Finds the first words for each kind of use; a kind that has words already keeps them. Tags that only log
 * something or configure the model are passed over.
 */
void jinja_uses(const char *text, struct jinja_words uses[JINJA_USES]);

/* Whether the text may name a relation, or change one: false says that no call and no change is found in it.
 */
bool jinja_names_relations(const char *text);

/* Whether the tag only logs or configures, so that it puts nothing into the SQL. */
bool jinja_is_silent(const struct jinja_part *part);

/* What the attributes behind a relation make of it: {{ this }}, {{ ref('x').schema }}. */
enum jinja_chain_kind {
	CHAIN_RELATION, /* no attribute, or .include(): the relation, which dbt may filter */
	CHAIN_RENDER,	/* .render() ends it: the relation without a filter */
	CHAIN_DATABASE, /* .database, .schema, and .identifier, .name or .table: a part of its name, without
			 */
	CHAIN_SCHEMA,	/* quotes */
	CHAIN_IDENTIFIER,
	CHAIN_OTHER, /* another attribute */
};

/* The parts of a relation's name. */
enum { PART_DATABASE = 1, PART_SCHEMA = 2, PART_IDENTIFIER = 4, PART_ALL = 7 };

struct jinja_chain {
	enum jinja_chain_kind kind;
	unsigned parts; /* which parts an .include() leaves; PART_ALL: there is none */
};

/* Reads the attributes that stand at *p, and moves *p behind them. */
struct jinja_chain jinja_chain(const char **p, const char *end);
/* The same of what has attributes already. */
struct jinja_chain jinja_chain_of(struct jinja_chain chain, const char **p, const char *end);

/* A call that names a relation: ref('x'), ref('p', 'x'), ref('x', v=2), source('s', 't'). */
struct jinja_call {
	bool source;
	bool readable; /* all arguments are literals, so the fields below are filled */
	struct jinja_chain chain;
	struct jinja_token first, second,
		version; /* of second and version, the kind is JINJA_END where the call does not give them */
};

/*
 * Finds the next call at or behind *p, and moves *p behind the call. False: there is none. *pure: between the
 * old *p and `end` there is nothing but this call and blanks.
 */
bool jinja_find_call(const char **p, const char *end, struct jinja_call *call, bool *pure);

/* What an attribute makes of a relation that stands in a variable. */
enum jinja_change {
	CHANGE_RENDER,	/* .render(): its name, without a filter */
	CHANGE_INCLUDE, /* .include(): it has fewer parts */
	CHANGE_OTHER,	/* .quote() and the like: any other name */
	JINJA_CHANGES
};

/*
 * Finds the next such attribute at or behind *p, and moves *p behind it. {{ this }} does not count, because
 * dbt never filters it.
 */
bool jinja_find_change(const char **p, const char *end, enum jinja_change *change);

#endif
