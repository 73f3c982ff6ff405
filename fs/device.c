/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/device.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/compat.h"

int device_read_error(int err)
{
	return err == ECONNABORTED ? ENODEV : err;
}

static ssize_t device_read(int fd, void *buf, size_t len, void *userdata)
{
	(void)userdata;
	ssize_t n = read(fd, buf, len);

	if (n < 0)
		errno = device_read_error(errno);
	return n;
}

static ssize_t device_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)userdata;
	return writev(fd, iov, count);
}

int device_attach(struct fuse_session *session)
{
	const struct fuse_custom_io io = {.read = device_read, .writev = device_writev};

	return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}
