/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which batches of a scope had failed or been skipped at a moment, so that whoever waits for a set of
 * states, whose batches leave it meanwhile, is told of what fails in it from then on.
 */
#ifndef BATCHFS_FS_FAILURE_SNAPSHOT_H
#define BATCHFS_FS_FAILURE_SNAPSHOT_H

#include "fs/scope.h"

struct failure_snapshot;

/* The batches exist. NULL: no memory. */
struct failure_snapshot *failure_snapshot_take(const struct backend *b, const struct scope *scope);

void failure_snapshot_free(struct failure_snapshot *s); /* NULL is fine */

/* Whether a batch of them has failed or been skipped since. */
bool failure_snapshot_has_grown(const struct failure_snapshot *s, const struct backend *b);

#endif
