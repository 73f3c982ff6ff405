/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the main thread does while the mount lives: it waits for signals and keeps the deadlines of fs/,
 * because every other thread may be waiting for a warehouse.
 */
#ifndef BATCHFS_SERVE_H
#define BATCHFS_SERVE_H

#include "backend/backend.h"
#include "fs/fs.h"
#include "mountopts/launch.h"
#include "mountopts/mountpoint.h"
#include "mountopts/supervisor.h"

struct serve {
	const struct log *log;
	struct fs *fs;
	struct backend *backend;
	struct launch *launch;
	struct mountpoint *mountpoint;
	struct supervisor *supervisor;
	int drain_s;
};

/*
 * Blocks the signals that serve_run() answers, in this thread and in every thread that it starts later. The
 * caller does so before it starts a thread or mounts, so that no signal can end the program and leave a dead
 * mount.
 */
int serve_block_signals(struct error *err);

/*
 * Serves until a SIGTERM or SIGINT comes or the mount is gone. Then running batches may finish, while the
 * mount goes on answering; the backend has stopped when the function returns. 0, or -errno with *err.
 */
int serve_run(struct serve *s, struct error *err);

#endif
