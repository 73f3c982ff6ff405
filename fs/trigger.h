/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a request to build, and who may make one. FUSE thread. */
#ifndef BATCHFS_FS_TRIGGER_H
#define BATCHFS_FS_TRIGGER_H

#include "fs/compat.h"
#include "fs/scope.h"

/*
 * Whether the caller may have the file built, and what that means. default_permissions is a
 * second fence. *scope holds nothing before and after a failure. -errno; with `say` the refusal is kept with
 * its sentence.
 */
int trigger_check(struct fs *fs, fuse_req_t req, const struct node *n, bool say, struct scope *scope);

/* Where a name is not there `touch` tries to make it. */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi);

#endif
