/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that are always there (`.run`, `.status` …), a line each. A new document is a line in the table
 * and a function that renders it. Constant: any thread.
 */
#ifndef BATCHFS_FS_FIXED_NAMES_H
#define BATCHFS_FS_FIXED_NAMES_H

#include <sys/types.h>

#include "backend/base/strbuf.h"
#include "fs/node.h"

struct backend_pages;
struct fs;

/* Puts the document's text as it is now into `out`, which is empty. 0 or -errno. */
typedef int fixed_render_fn(struct fs *fs, const struct node *n, struct strbuf *out);

/* Opens the document as it is now. 0 or -errno. */
typedef int fixed_open_fn(struct fs *fs, struct backend_pages **out);

struct fixed_name {
	const char *text;
	enum node_kind in;	 /* the kind of directory that it is in */
	enum node_kind kind;	 /* of its nodes, which have the line's number as node.fixed */
	mode_t mode;		 /* at most, before the umask: 0666 of what can be written to */
	fixed_render_fn *render; /* NULL: what is read there is no text that is rendered at once */
	bool slow;	     /* it looks at every batch of its directory: rendered beside the FUSE thread */
	bool unlisted;	     /* it resolves, and no listing shows it */
	fixed_open_fn *open; /* of a text that is rendered by pieces as it is read; else NULL */
};

/* Number i of the table, in the order of the listings; NULL: there are no more. */
const struct fixed_name *fixed_name(unsigned i);

/* The line of that name in a directory of that kind, and its number; NULL: there is none. */
const struct fixed_name *fixed_find(enum node_kind in, const char *text, unsigned *number);

/* The line that the node is of; NULL: its name is no fixed one, or it is no node that a line makes. */
const struct fixed_name *fixed_of(const struct node *n);

#endif
