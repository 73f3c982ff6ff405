/* SPDX-License-Identifier: Apache-2.0 */
/* What every text has that is rendered by pieces (struct backend_pages in backend.h). */
#ifndef BATCHFS_VIEW_PAGES_H
#define BATCHFS_VIEW_PAGES_H

#include "backend/backend.h"

struct pages_ops {
	/* Appends what lies in [off, end), which the text has. -errno. Any thread, several at once. */
	int (*read)(const struct backend_pages *p, size_t off, size_t end, struct strbuf *out);
	void (*free)(struct backend_pages *p);
};

/* The first member of its text's own struct. */
struct backend_pages {
	const struct pages_ops *ops;
	size_t size;	  /* bytes; does not change once the text is open */
	unsigned holders; /* atomic */
};

/* Held by its maker. */
void pages_init(struct backend_pages *p, const struct pages_ops *ops);

#endif
