/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_FS_ATTR_H
#define BATCHFS_FS_ATTR_H

#include <sys/stat.h>

#include "backend/backend.h"
#include "fs/compat.h"
#include "fs/node.h"

struct fs;

/* For ever, as far as the kernel is concerned: it is told of every change. */
#define ATTR_FOREVER_S (86400.0 * 365)

/*
 * The size that a look-up tells of what has to be made before it has one: more than it will have. Whoever
 * reads through the page cache (sendfile) without asking for the size meets the end when a READ is answered
 * with less; the kernel has then the true size, as after a GETATTR, which comes before every stat.
 */
#define ATTR_SIZE_UNKNOWN (1u << 30)

/* What stat shows of the file now, but for the size of a document, and the mtime of a range. -errno. */
int attr_of(struct fs *fs, const struct node *n, struct stat *st);

/* All that it shows, of a document of that size. It may look at all of the batches that the file stands for.
 */
int attr_of_made(struct fs *fs, const struct node *n, size_t size, struct stat *st);

void attr_set_size(struct stat *st, size_t size);

/* The same of a batch, from a glance at it. */
void attr_of_batch(const struct fs *fs, const struct node *n, const struct batch_glance *glance,
		   struct stat *st);

/* Whether the mode of that .full-refresh shows w. */
bool attr_may_refresh(struct fs *fs, const struct node *n);

/* How long the kernel may keep them, in seconds: for ever for what it is told about, else not at all. */
double attr_timeout(const struct node *n);

/*
 * The same of a batch that looked like that. Not at all: of one that has just changed (kernel_cache.h),
 * whoever asks; of an alias; and by its bare name, of one that waits or runs, since a reply that the kernel
 * applies after the notice of its end would show a size and an mtime that no text has. Listings name that one
 * by its state, so that theirs are kept.
 */
double attr_timeout_of_batch(struct fs *fs, const struct node *n, const struct batch_glance *glance);

#endif
