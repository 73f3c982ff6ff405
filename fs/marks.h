/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which batches of a part had failed or been skipped at a moment, so that whoever waits for a set of
 * states, whose batches leave it meanwhile, is told of what fails in it from then on.
 */
#ifndef BATCHFS_FS_MARKS_H
#define BATCHFS_FS_MARKS_H

#include "fs/parts.h"

struct marks;

/* The batches exist. NULL: no memory. */
struct marks *marks_take(const struct backend *b, const struct parts *parts);

void marks_free(struct marks *m); /* NULL is fine */

/* Whether a batch of them has failed or been skipped since. */
bool marks_failed_since(const struct marks *m, const struct backend *b);

#endif
