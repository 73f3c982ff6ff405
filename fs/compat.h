/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse, with what has changed in it between 3.13 and now. */
#ifndef BATCHFS_FS_COMPAT_H
#define BATCHFS_FS_COMPAT_H

#define FUSE_USE_VERSION 313
#include <fuse3/fuse_lowlevel.h>

/* Protocol version from which the kernel can expire an entry (FUSE_EXPIRE_ONLY): Linux 6.2. */
#define COMPAT_EXPIRE_MINOR 38

typedef int compat_expire_flags_fn(struct fuse_session *se, fuse_ino_t parent, const char *name, size_t len,
				   unsigned int flags);
typedef int compat_expire_fn(struct fuse_session *se, fuse_ino_t parent, const char *name, size_t len);

/*
 * fuse_lowlevel_notify_expire_entry() lost its flags argument in 3.16; without the
 * flag the older one invalidates.
 */
static inline int compat_expire_entry(struct fuse_session *se, fuse_ino_t parent, const char *name,
				      size_t len)
{
	void *fn = (void *)fuse_lowlevel_notify_expire_entry;

	if (__builtin_types_compatible_p(__typeof__(fuse_lowlevel_notify_expire_entry), compat_expire_fn))
		return ((compat_expire_fn *)fn)(se, parent, name, len);
	return ((compat_expire_flags_fn *)fn)(se, parent, name, len, 1u /* FUSE_LL_EXPIRE_ONLY */);
}

#endif
