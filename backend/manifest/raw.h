/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's raw_code with each {{ ref() }} and {{ source() }} replaced by what dbt writes for it, but for the
 * window. The mentions that sql_mentions() finds there are put beside those in the compiled code, and each of
 * them knows from which call it came.
 */
#ifndef BATCHFS_MANIFEST_RAW_H
#define BATCHFS_MANIFEST_RAW_H

#include "backend/manifest/jinja.h"
#include "backend/manifest/loader.h"

/* A piece of the text: plain text, or a call. */
struct raw_span {
	size_t start;
	int input; /* the input that the call means; -1: plain text */
	enum jinja_chain_kind kind;
	unsigned parts; /* of the relation's name */
	bool nested;	/* as in struct jinja_part */
	struct jinja_words words;
};

/* Words in a file of the project, for a person. */
struct raw_words {
	const char *file; /* NULL: there are none */
	struct jinja_words words;
};

struct raw_code {
	struct strbuf text;
	struct raw_span *spans; /* ascending by start */
	size_t n_spans, max_spans;
	/*
	 * handed[i]: input i is given to a variable or a macro, or a macro names it, so that it may come into
	 * the SQL by another way than a call. all_handed: that may be so of every input.
	 */
	bool *handed, all_handed;
	/* Of input i, the call with an attribute of which it is not known here what it makes. */
	struct raw_words *odd;
	/* What changes a relation that was handed on, of each kind. */
	struct raw_words changes[JINJA_CHANGES];
};

/* Whether ref() or source() with these arguments means the node. False where they are no literals. */
bool call_names(const struct loader *l, const struct jinja_call *call, int node);

/*
 * Reads the model's raw_code and the macros that it calls. *r must be zeroed; the caller calls
 * raw_code_fini() also after a failure.
 */
int raw_code_read(struct loader *l, const struct model *m, struct raw_code *r);
void raw_code_fini(struct raw_code *r);

/* The piece that holds the offset. */
const struct raw_span *raw_code_span(const struct raw_code *r, size_t offset);

#endif
