/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernel's number to the node that it stands for. */
#ifndef BATCHFS_FS_INODE_H
#define BATCHFS_FS_INODE_H

#include <stdint.h>

struct fs;
struct node;

/* A nodeid that the kernel sent. -ESTALE: not ours. */
int fs_node(struct fs *fs, uint64_t ino, struct node *out);

#endif
