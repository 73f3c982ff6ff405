/* SPDX-License-Identifier: Apache-2.0 */
/* Notices about inodes. Any thread; with content never the FUSE thread, since a page that is being read is
 * waited for. */
#ifndef BATCHFS_FS_INVAL_H
#define BATCHFS_FS_INVAL_H

#include "backend/calendar.h"
#include "backend/slot.h"
#include "fs/compat.h"

/* The number by which the kernel knows the model's directory. */
fuse_ino_t inval_model_ino(slot model);

/*
 * The inodes of a batch that the kernel may have (seen: kernel_cache.h). off: 0, attributes and content; -1,
 * attributes only.
 */
void inval_batch(struct fuse_session *session, slot model, ordinal batch, uint8_t seen, off_t off);

#endif
