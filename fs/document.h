/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_FS_DOCUMENT_H
#define BATCHFS_FS_DOCUMENT_H

#include "backend/base/strbuf.h"
#include "fs/node.h"

/* Every document's length is a multiple of it, so that it stays the same under a reader. */
#define DOCUMENT_BLOCK 512

struct fs;

/* The file's content as it is now, in place of what is in `out`. -errno; -EISDIR for a directory. */
int document_render(struct fs *fs, const struct node *n, struct strbuf *out);

/* Blanks before the last newline, up to a whole block and at least `size`. */
void document_pad(struct strbuf *out, size_t size);

#endif
