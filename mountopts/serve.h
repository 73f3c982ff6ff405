/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the main thread does while the mount lives: it waits for signals and keeps
 * fs/'s deadlines, because no other thread can be trusted to.
 */
#ifndef BATCHFS_SERVE_H
#define BATCHFS_SERVE_H

#include "backend/backend.h"
#include "fs/fs.h"
#include "mountopts/launch.h"
#include "mountopts/mountpoint.h"

struct serve {
	const struct log *log;
	struct fs *fs;
	struct backend *backend;
	struct launch *launch;
	struct mountpoint *mountpoint;
	int drain_s;
};

/*
 * Blocks the signals that serve_run() answers, in this thread and every later one: before any
 * thread, and before the mount, so that none can end the program and leave a dead mount.
 */
int serve_block_signals(struct error *err);

/*
 * Until a SIGTERM or SIGINT, or the mount is gone; then lets running batches finish (the
 * mount goes on answering), and returns with the backend stopped. 0, or -errno with *err.
 */
int serve_run(struct serve *s, struct error *err);

#endif
