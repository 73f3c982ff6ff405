/* SPDX-License-Identifier: Apache-2.0 */
/* Which names lead to a node, for the kernel to drop them. The announcer's thread. */
#ifndef BATCHFS_FS_DROP_NAMES_H
#define BATCHFS_FS_DROP_NAMES_H

#include "fs/node.h"

struct fs;

/* Every name that leads to an inode of that node, or to one with the same id. */
void drop_names(struct fs *fs, const struct node *n);

#endif
