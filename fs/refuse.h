/* SPDX-License-Identifier: Apache-2.0 */
/* A refusal that is decided here, kept for the document of the file that it is about. Any thread, as long
 * as the request is not answered. */
#ifndef BATCHFS_FS_REFUSE_H
#define BATCHFS_FS_REFUSE_H

#include "backend/backend.h"
#include "fs/compat.h"
#include "fs/interned.h"

struct fs;

/* A node's file as the backend knows it. Points into itself: not moved, and to be given to
 * refused_file_fini(). */
struct refused_file {
	struct backend_file file;
	struct selection_dir *dir; /* held; NULL: it is in no selection */
	struct range range;
};
void refused_file_of(struct fs *fs, const struct node *n, struct refused_file *out);
void refused_file_fini(struct refused_file *f);
#define auto_refused_file __attribute__((cleanup(refused_file_fini)))

/* Returns -err. */
int refuse_node(struct fs *fs, fuse_req_t req, const struct node *n, int err, const char *sentence);

/* The same of a file that has no node (yet). */
int refuse_file(struct fs *fs, fuse_req_t req, const struct backend_file *file, int err,
		const char *sentence);

#endif
