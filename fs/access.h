/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether who asks may write. A second fence: where the mount has default_permissions, the kernel has asked
 * first, knows every group of who asks, and its answer counts. A descriptor that was passed in may lack that.
 */
#ifndef BATCHFS_FS_ACCESS_H
#define BATCHFS_FS_ACCESS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "fs/compat.h"

struct fs;

/* Whether the caller of a request may write to a file of that mode. What root may do, no mode forbids. */
bool access_may_write(const struct fs *fs, fuse_req_t req, mode_t mode);

/*
 * Whether the process that `status` (/proc/PID/status) tells of is in the group. False, too, if it has not
 * those ids: in another pid namespace the number may be somebody else's.
 */
bool access_in_group(FILE *status, uid_t uid, gid_t gid, gid_t group);

#endif
