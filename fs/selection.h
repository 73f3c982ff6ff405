/* SPDX-License-Identifier: Apache-2.0 */
/* A selection that was looked up at the root. */
#ifndef BATCHFS_FS_SELECTION_H
#define BATCHFS_FS_SELECTION_H

#include "backend/backend.h"

/* Immutable, and there for as long as somebody holds it. */
struct selection_dir {
	struct backend_selection selected;
	unsigned holders; /* atomic */
	size_t size;	  /* bytes that it takes */
	char text[];	  /* as it was looked up */
};

/* With one holder. Takes `selected` over, also on failure. NULL: no memory. */
struct selection_dir *selection_new(const char *text, struct backend_selection *selected);

void selection_hold(struct selection_dir *s);
void selection_put(struct selection_dir *s); /* NULL is fine */

static inline void cleanup_selection(struct selection_dir **s)
{
	selection_put(*s);
}
#define auto_selection __attribute__((cleanup(cleanup_selection)))

#endif
