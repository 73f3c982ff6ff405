/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_FS_FREEZE_H
#define BATCHFS_FS_FREEZE_H

#include <sys/types.h>

struct fs;
struct wait_for;

/*
 * FUSE thread. A chmod: without any w bit it freezes (or protects), with the owner's it thaws. Answers
 * `what`, a WAIT_SETATTR with its node, at once or later.
 */
void freeze_set_mode(struct fs *fs, struct wait_for *what, mode_t mode);

#endif
