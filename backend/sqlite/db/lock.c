/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/db/lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "backend/base/cleanup.h"

int lock_sign(int fd)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return -errno;
	return 0;
}

static int refused(int fd, const char *path, struct error *err)
{
	char pid[24] = "";
	ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	return error_set(err, EBUSY,
			 "%s: the warehouse is mounted already, by process %s; unmount that first, or mount "
			 "with -o ro",
			 path, *pid ? pid : "(not known)");
}

int lock_take(const char *path, int *out, struct error *err)
{
	auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return error_set(err, errno, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? refused(fd, path, err)
					    : error_set(err, errno, "%s: %s", path, strerror(errno));
	int r = lock_sign(fd);
	if (r < 0)
		return error_set(err, -r, "%s: %s", path, strerror(-r));
	*out = fd;
	fd = -1;
	return 0;
}
