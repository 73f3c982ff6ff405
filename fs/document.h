/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents: what is read of a file is a text that is made when the file is opened, and as long as fstat
 * says: fstat makes it anew for a process that has not begun to read. What may take long to make is made
 * beside the FUSE thread (renderer.h).
 */
#ifndef BATCHFS_FS_DOCUMENT_H
#define BATCHFS_FS_DOCUMENT_H

#include <sys/types.h>

#include "backend/base/strbuf.h"
#include "fs/node.h"

/* A document that looks at more batches than this is slow: below, a core needs half a millisecond at most. */
#define DOCUMENT_SLOW_BATCHES 4096

struct fs;
struct backend_pages;
struct progress;

struct document {
	struct strbuf text;
	struct backend_pages *pages; /* instead of the text: rendered by pieces, as it is read */
	struct progress *progress;   /* of a .progress, which has no text of its own */
	size_t size;
};

void document_init(struct document *d);
void document_fini(struct document *d);
#define auto_document __attribute__((cleanup(document_fini)))

/* Whether it is to be made by the renderer. FUSE thread. */
bool document_is_slow(struct fs *fs, const struct node *n);

/* Makes it as it is now. Any thread. -errno: *d is empty; -EISDIR of a directory. */
int document_make(struct fs *fs, const struct node *n, struct document *d);

/* Gives it to an open file, whose readers get it from then on. -ENOMEM. *d is empty afterwards. */
int document_fix(struct fs *fs, uint64_t fh, uid_t uid, struct document *d);

/* Makes it for that open file (0: for nobody), and says how long it is. -errno. */
int document_make_for(struct fs *fs, const struct node *n, uint64_t fh, uid_t uid, size_t *size);

/* Appends what a reader of the open file gets from offset `off` on. -ENODATA: it has no document (yet).
 * -ESTALE: its user has opened too many, and it was taken away. */
int document_read(struct fs *fs, uint64_t fh, size_t off, size_t size, struct strbuf *out);

#endif
