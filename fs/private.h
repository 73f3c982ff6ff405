/* SPDX-License-Identifier: Apache-2.0 */
/* One mount: what the files of this room share. */
#ifndef BATCHFS_FS_PRIVATE_H
#define BATCHFS_FS_PRIVATE_H

#include "fs/announce.h"
#include "fs/compat.h"
#include "fs/fs.h"
#include "fs/handle.h"
#include "fs/interned.h"
#include "fs/kernel_cache.h"
#include "fs/name_grace.h"
#include "fs/node.h"
#include "fs/own_inode.h"
#include "fs/renderer.h"
#include "fs/scope.h"
#include "fs/selection.h"
#include "fs/wait.h"
#include "fs/walkers.h"

struct fs {
	/* Immutable from fs_open() on. */
	struct backend *backend;
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool sync;
	bool kernel_checks; /* the mount has default_permissions */
	int64_t timeout_us;
	int64_t request_limit_us; /* the kernel aborts the mount over an older request; 0: it does not */
	struct fuse_session *session;
	int event_fd;

	/* Each with a lock of its own. No two of them are ever held together, and only waits' one around the
	 * backend. */
	struct kernel_cache kernel_cache;
	struct name_graces name_graces;
	struct interned interned;
	struct own_inodes own_inodes;
	struct handles handles;
	struct waits waits;
	struct renderer renderer;
	struct announcer announcer;

	pthread_t thread; /* the FUSE thread; set before the announcer starts */
	bool started;
	struct walkers walkers; /* the FUSE thread's, as the following, until it has been joined */
	struct fuse_buf buf;

	int64_t busy_since_us; /* atomic: when the FUSE thread took the request it is at; 0: it is at none */

	pthread_mutex_t lock; /* for everything below; innermost */
	enum fs_stage stage;
	bool expire_works; /* the kernel can expire an entry */
	int result;
};

/* Has main call fs_tick(). */
void fs_poke(struct fs *fs);

/* The FUSE operations, defined in ops.c. */
extern const struct fuse_lowlevel_ops fs_ops;

#endif
