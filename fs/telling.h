/* SPDX-License-Identifier: Apache-2.0 */
/* What the announcer is just telling the kernel: a notice about a directory that somebody holds locked waits.
 */
#ifndef BATCHFS_FS_TELLING_H
#define BATCHFS_FS_TELLING_H

#include <stdint.h>

struct fs;

/* since 0: nothing. The announcer's thread, as telling_drop(). */
void telling_set(struct fs *fs, uint64_t dir, int64_t since_us);

/* The name `text` with `tail` in the directory leads nowhere until it is looked up again. */
void telling_drop(struct fs *fs, uint64_t dir, const char *text, const char *tail);

/*
 * The directory in which a notice about a name has been waiting for longer than `us`, or 0. Then
 * somebody holds the directory's lock and waits for an inode that a parked request holds: an rm that came
 * before the parked request's name led to another inode.
 */
uint64_t telling_stuck(struct fs *fs, int64_t now_us, int64_t us);

#endif
