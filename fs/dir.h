/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE operations, on the FUSE thread: listings. */
#ifndef BATCHFS_FS_DIR_H
#define BATCHFS_FS_DIR_H

#include "fs/compat.h"

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

#endif
