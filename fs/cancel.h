/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE operation, on the FUSE thread: rm cancels. */
#ifndef BATCHFS_FS_CANCEL_H
#define BATCHFS_FS_CANCEL_H

#include "fs/compat.h"

/* Answered at once: it holds the directory's lock. What was removed resolves again. */
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);

#endif
