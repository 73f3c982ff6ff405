/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's raw_code with each {{ ref() }} and {{ source() }} replaced by the relation that it means. The
 * mentions that sql_mentions() finds there are put beside those in the compiled code, and each of them knows
 * from which call it came.
 */
#ifndef BATCHFS_MANIFEST_RAW_H
#define BATCHFS_MANIFEST_RAW_H

#include "backend/manifest/jinja.h"
#include "backend/manifest/loader.h"

/* A piece of the text: plain text, or a call. */
struct raw_span {
	size_t start;
	int input;   /* the input that the call means; -1: plain text */
	bool render; /* the call ends in .render() */
	bool nested; /* as in struct jinja_part */
};

struct raw_code {
	struct strbuf text;
	struct raw_span *spans; /* ascending by start */
	size_t n_spans, max_spans;
	unsigned renders; /* how many .render() stand behind a call that is all of its {{ }} */
	bool unknown;	  /* there is a call of which it cannot be told what it means */
	bool *odd;	  /* odd[i]: input i is called with another attribute, such as ref('x').include() */
};

/* Whether ref() or source() with these arguments means the node. False where they are no literals. */
bool call_names(const struct loader *l, const struct jinja_call *call, int node);

/* *r must be zeroed. The caller calls raw_code_fini() also after a failure. */
int raw_code_read(struct loader *l, const struct model *m, const char *raw, struct raw_code *r);
void raw_code_fini(struct raw_code *r);

/* The piece that holds the offset. */
const struct raw_span *raw_code_span(const struct raw_code *r, size_t offset);

#endif
