/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's raw_code with each {{ ref() }} and {{ source() }} replaced by the
 * relation it means: what sql_mentions() finds there can be set beside what it
 * finds in the compiled code, and each place knows where it came from.
 */
#ifndef BATCHFS_MANIFEST_RAW_H
#define BATCHFS_MANIFEST_RAW_H

#include "backend/manifest/jinja.h"
#include "backend/manifest/loader.h"

/* A piece of the text: plain text, or a call. */
struct raw_span {
	size_t start;
	int input;   /* of the call; -1: plain text */
	bool render; /* ref('x').render() */
	bool nested; /* see jinja_part */
};

struct raw_code {
	struct strbuf text;
	struct raw_span *spans; /* ascending by start */
	size_t n_spans, max_spans;
	unsigned renders; /* that stand behind a call which is all of its {{ }} */
	bool unknown;	  /* there is a call whose target cannot be told */
	bool *odd;	  /* for each input: ref('x').include() and the like */
};

/* r is zeroed; call raw_code_fini() also after a failure. */
int raw_code_read(struct loader *l, const struct model *m, const char *raw, struct raw_code *r);
void raw_code_fini(struct raw_code *r);

/* The piece that holds the offset. */
const struct raw_span *raw_code_span(const struct raw_code *r, size_t offset);

#endif
