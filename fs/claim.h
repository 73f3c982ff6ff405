/* SPDX-License-Identifier: Apache-2.0 */
/* A suffixed name is a claim: that its batch is in that state. Any thread. */
#ifndef BATCHFS_FS_CLAIM_H
#define BATCHFS_FS_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

struct batch_glance;
struct fs;
struct node;

/* Whether the batch goes by the suffix the node was looked up by: its state, or by a grace for *left_us more
 * (else INT64_MAX). */
bool claim_holds(struct fs *fs, const struct node *n, const struct batch_glance *glance, int64_t *left_us);

/* -ENOENT: the batch is no longer in the state that the name it was looked up by claims. */
int claim_check(struct fs *fs, const struct node *n);

#endif
