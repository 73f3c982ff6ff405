/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE operations, on the FUSE thread: names and attributes. */
#ifndef BATCHFS_FS_LOOKUP_H
#define BATCHFS_FS_LOOKUP_H

#include "fs/compat.h"
#include "fs/node.h"

struct fs;
struct selection_dir;

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

void op_readlink(fuse_req_t req, fuse_ino_t ino);

/*
 * Whether an OPEN after which something may be waited for is to be answered ESTALE, so that it comes back
 * with an inode of its own (own_inode.h).
 */
bool lookup_send_back(struct fs *fs, fuse_req_t req, const struct node *n);

/* The same of a SETATTR; fh: the open file that it names, or 0. */
bool lookup_send_back_change(struct fs *fs, fuse_req_t req, const struct node *n, uint64_t fh);

/* The model of the selection that has a link of that name in it, or -1. */
int lookup_link(struct fs *fs, const struct selection_dir *dir, const char *name);

#endif
