/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.progress, an open file of it: a line at once, another one a second later at the earliest, a last one when
 * nothing in X is queued or running any more, and then the end, or EIO if anything in X failed or was
 * skipped. A READ beyond what there is to read is parked (wait.h) until the next line is due.
 */
#ifndef BATCHFS_FS_PROGRESS_H
#define BATCHFS_FS_PROGRESS_H

#include "fs/scope.h"

#define PROGRESS_EVERY_US 1000000

struct fs;
struct progress;
struct wait_for;

/* The counts begin here. Of a set: its period, range or directory. refresh: of the full refreshes of the
 * scope's models, whose lines come by the time alone. -ENOMEM. */
int progress_new(const struct backend *b, const struct scope *scope, bool refresh, struct progress **out);
void progress_free(struct progress *p);

/*
 * FUSE thread. Answers a READ (what->size, off and progress are set) if there is something to read. False: it
 * is for the caller to wait for what->scope, which is set then, or until *next_us (monotonic).
 */
bool progress_read(struct fs *fs, struct wait_for *what, int64_t *next_us);

/* Any thread, without a lock. Answers a READ that was parked, with a new line. */
void progress_answer(struct fs *fs, const struct wait_for *what);

/* What a line says. Pure. */
struct progress_line {
	size_t total; /* batches, but for those that were never built and are not asked for */
	size_t done, failed, pending, left; /* left: queued or running */
	size_t ended;			    /* of those that were left in the beginning */
	bool clearing;			    /* nothing is built yet: rows are deleted */
	uint64_t rows;			    /* so many by now */
	int64_t us;			    /* since the beginning */
};
void progress_format(const struct progress_line *l, struct strbuf *out);

#endif
