/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mount.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/base/cleanup.h"
#include "fs/device.h"
#include "fs/private.h"

#define FUSE_DEVICE "/dev/fuse"
#define FD_PREFIX   "/dev/fd/"

static int check_mountpoint(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st)) {
		if (errno == ENOTCONN)
			return error_set(err, ENOTCONN,
					 "%s: there is a dead mount; detach it with: umount -l %s", path,
					 path);
		return error_set(err, errno == ENOENT ? ENOENT : errno, "%s: %s", path, strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, "%s: the mount point must be a directory", path);
	return 0;
}

static int check_descriptor(const char *path, struct error *err)
{
	char *end;
	long fd = strtol(path + strlen(FD_PREFIX), &end, 10);

	if (*end || fd < 0 || fd > INT32_MAX || fcntl((int)fd, F_GETFD) < 0)
		return error_set(err, EBADF, "%s: no open descriptor", path);
	return 0;
}

static int check_device(struct error *err)
{
	auto_fd int fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return error_set(err, ENODEV,
				 FUSE_DEVICE
				 " is missing: load the module (modprobe fuse), or give the container the "
				 "device (--device " FUSE_DEVICE ")");
	return error_set(err, EACCES, FUSE_DEVICE ": %s: this user or container may not open it",
			 strerror(errno));
}

static int add_options(const struct fs_config *config)
{
	char *opts = NULL;
	char fsname[512];

	snprintf(fsname, sizeof(fsname), "fsname=%s", config->source ? config->source : "batchfs");
	int r = fuse_opt_add_opt(&opts, "subtype=batchfs,default_permissions");
	r |= fuse_opt_add_opt_escaped(&opts, fsname);
	if (backend_read_only(config->backend))
		r |= fuse_opt_add_opt(&opts, "ro");
	if (config->allow_other)
		r |= fuse_opt_add_opt(&opts, "allow_other");
	if (config->debug)
		r |= fuse_opt_add_opt(&opts, "debug");
	/* First, so that the user's own fsname wins. */
	if (!r)
		r = fuse_opt_insert_arg(config->args, 1, opts) | fuse_opt_insert_arg(config->args, 1, "-o");
	free(opts);
	return r ? -ENOMEM : 0;
}

int mount_session(struct fs *fs, const struct fs_config *config, struct error *err)
{
	const char *path = config->mountpoint;
	bool is_descriptor = strncmp(path, FD_PREFIX, strlen(FD_PREFIX)) == 0;
	int r = is_descriptor ? check_descriptor(path, err) : check_mountpoint(path, err);

	if (r == 0 && !is_descriptor)
		r = check_device(err);
	if (r)
		return r;
	if (add_options(config))
		return error_set(err, ENOMEM, "out of memory");
	fs->kernel_checks = !is_descriptor;
	fs->session = fuse_session_new(config->args, &fs_ops, sizeof(fs_ops), fs);
	if (!fs->session)
		return error_set(err, EINVAL, "libfuse does not take these mount options");
	errno = 0;
	if (fuse_session_mount(fs->session, path)) {
		const char *why = errno ? strerror(errno) : "denied";
		r = error_set(err, EPERM, "%s: cannot mount: %s", path, why);
	} else if ((r = device_attach(fs->session))) {
		fuse_session_unmount(fs->session);
		r = error_set(err, -r, "the FUSE descriptor: %s", strerror(-r));
	}
	if (r) {
		fuse_session_destroy(fs->session);
		fs->session = NULL;
	}
	return r;
}

static int64_t read_seconds(const char *path)
{
	long long seconds = 0;
	auto_file FILE *f = fopen(path, "re");

	if (!f || fscanf(f, "%lld", &seconds) != 1)
		return 0;
	return seconds;
}

int64_t mount_request_limit(const struct log *log)
{
	int64_t limit = read_seconds("/proc/sys/fs/fuse/default_request_timeout");
	int64_t max = read_seconds("/proc/sys/fs/fuse/max_request_timeout");

	if (max > 0 && (limit <= 0 || limit > max))
		limit = max;
	if (limit <= 0)
		return 0;
	int64_t answer_after = limit > 5 ? limit - 3 : (limit + 1) / 2;
	log_warning(log,
		    "fs.fuse.default_request_timeout/max_request_timeout is set: the kernel aborts the mount "
		    "over a request "
		    "of %lld s; sync gives up with ETIMEDOUT after %lld s",
		    (long long)limit, (long long)answer_after);
	return answer_after * 1000000;
}
