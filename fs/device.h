/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor by which libfuse talks with the kernel. */
#ifndef BATCHFS_FS_DEVICE_H
#define BATCHFS_FS_DEVICE_H

struct fuse_session;

/*
 * Has the session, which is mounted, read and write its descriptor through this room. 0 or -errno.
 */
int device_attach(struct fuse_session *session);

/*
 * What libfuse is told when reading the descriptor has failed with `err` (positive). libfuse takes ENODEV
 * alone for an unmount, and prints and returns everything else. But when the mount ends while the kernel is
 * copying a request out, the kernel answers ECONNABORTED for ENODEV (fuse_dev_do_read). The only other
 * meaning of it, that somebody has aborted the connection, is given to those alone who have asked for
 * FUSE_ABORT_ERROR, which libfuse does not.
 */
int device_read_error(int err);

#endif
