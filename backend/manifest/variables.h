/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables of a model's raw_code that are but another name for a relation: {% set x = ref('a') %}, once and
 * at the top, and from there on nothing but {{ x }}, {{ x.render() }} and the like. Whatever else is done
 * with the name (a second set, a loop over it, a macro that gets it) makes it an ordinary variable, of which
 * nothing is known. Pure.
 */
#ifndef BATCHFS_MANIFEST_VARIABLES_H
#define BATCHFS_MANIFEST_VARIABLES_H

#include "backend/manifest/jinja.h"

struct variable {
	struct jinja_token name;
	struct jinja_call call; /* that it stands for */
	const char *set;	/* the text of the tag that sets it */
	bool plain;		/* another name, and no more */
};

struct variables {
	struct variable *list; /* owned: free() */
	size_t n;
};

bool variables_find(const char *raw, struct variables *out); /* false: no memory */

/* The plain variable that the tag sets; NULL: it sets none. */
const struct variable *variables_set(const struct variables *v, const struct jinja_part *part);

/* Whether the tag is nothing but a plain variable: then *call is what it would be, written out. */
bool variables_read(const struct variables *v, const struct jinja_part *part, struct jinja_call *call);

#endif
