/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_FS_MOUNT_H
#define BATCHFS_FS_MOUNT_H

#include "backend/base/error.h"
#include "backend/base/log.h"
#include "fs/fs.h"

/* Makes fs->session of the options and mounts it. Errors as fs_open(). */
int mount_session(struct fs *fs, const struct fs_config *config, struct error *err);

/*
 * How long the kernel lets a request wait before it aborts the whole mount, less a
 * margin, in us (fs.fuse.*_request_timeout); 0: for ever.
 */
int64_t mount_request_limit(const struct log *log);

#endif
