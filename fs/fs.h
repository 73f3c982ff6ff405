/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The face of the file system: what main() sees of it. The order of calls:
 *
 *     fs_open          no thread yet: before or after fork()
 *     fs_listener      -> backend_start()
 *     fs_start         FUSE thread and announcer
 *     fs_tick          whenever fs_event_fd() is readable or the moment it named has come
 *     backend_stop     the mount goes on answering meanwhile
 *     fs_exit          answers what still waits, ends the FUSE thread
 *     fs_close         joins, unmounts, frees
 */
#ifndef BATCHFS_FS_H
#define BATCHFS_FS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/backend.h"

struct fs;
struct fuse_args;

/* Everything must outlive the struct fs, but for args, mountpoint and source. */
struct fs_config {
	struct backend *backend;
	const struct log *log;
	const char *mountpoint; /* a directory, or /dev/fd/N: a fuse descriptor that is mounted already */
	const char *source;	/* what mount(8) shows as the device; NULL: batchfs */
	/*
	 * argv[0] and the options that libfuse shall parse itself. Never "sync" (libfuse would make
	 * it a kernel flag, which sends an fsync after each write), nor what stands below: fs_open()
	 * adds fsname, subtype, default_permissions, ro, allow_other and debug. Added to; the caller frees
	 * it.
	 */
	struct fuse_args *args;
	uid_t uid; /* owner of everything */
	gid_t gid;
	mode_t umask; /* batches are 0666 & ~umask, directories 0777 & ~umask; the default is 022 */
	bool sync;    /* -o sync: every touch and write waits until it is built */
	bool allow_other;
	bool debug;    /* libfuse prints every operation to stderr */
	int timeout_s; /* a request without an answer: ETIMEDOUT */
};

/*
 * Mounts. -errno with *err:
 *   -ENODEV            there is no /dev/fuse (kernel module, or a container without the device)
 *   -EACCES            /dev/fuse may not be opened
 *   -EPERM             the mount was denied (libfuse or fusermount3 has said why on stderr)
 *   -ENOENT -ENOTDIR -ENOTCONN -EBADF   the mount point: missing, no directory, a dead mount, no open
 * descriptor -EINVAL            an option that libfuse does not know (it has named it on stderr) -E2BIG more
 * models than an inode number can hold
 */
int fs_open(const struct fs_config *config, struct fs **out, struct error *err);

/* For backend_start(). Valid from fs_open() to fs_close(). */
void fs_listener(struct fs *fs, struct backend_listener *out);

/* Starts the FUSE thread and the announcer, with all signals blocked in them. Once. */
int fs_start(struct fs *fs, struct error *err);

enum fs_stage {
	FS_MOUNTING, /* the kernel has not said hello yet (FUSE INIT) */
	FS_SERVING,  /* the mount answers */
	FS_ENDED,    /* unmounted from outside, or fs_exit(): the FUSE thread has ended */
};

/*
 * An eventfd that is readable when fs_tick() should be called earlier than it said: a new deadline,
 * or another stage. The same all the time; never read it, fs_tick() does.
 */
int fs_event_fd(const struct fs *fs);

/*
 * Keeps the deadlines. One thread (main) calls it, with clock_monotonic_us(). Never blocks.
 * Returns the moment (the same clock) it wants to be called next; INT64_MAX: none.
 */
int64_t fs_tick(struct fs *fs, int64_t now_us);

/* Any thread. */
enum fs_stage fs_stage(struct fs *fs);

/*
 * How long the FUSE thread has been at the request that it serves now, by clock_monotonic_us(); 0 where it
 * waits for one. It serves from memory, so that it is at none for long unless it hangs. Any thread.
 */
int64_t fs_busy_us(const struct fs *fs, int64_t now_us);

/*
 * Answers every waiting request with ECONNABORTED and ends the FUSE thread soon; returns at once.
 * Any thread, any number of times, not from a signal handler.
 */
void fs_exit(struct fs *fs);

/*
 * Joins the threads (calls fs_exit() itself), unmounts and frees. After backend_stop() (or without
 * backend_start()): no done() and no changed() may come any more. NULL is fine.
 * 0, or the negative errno with which the FUSE thread ended.
 */
int fs_close(struct fs *fs);

#endif
