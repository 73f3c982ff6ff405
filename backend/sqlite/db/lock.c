/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/db/lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "backend/base/peer.h"

#define TRIES 5

void lock_sign(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char text[24];
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	/* For a person who looks into the file. Who is refused asks the kernel, so a failure costs a name. */
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n)
		fcntl(fd, F_SETLK, &lock);
}

/* A mount has signed; of anybody else who holds a flock /proc/locks knows. */
static int refused(int fd, const char *path, struct error *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	auto_strbuf who = STRBUF_INIT;
	bool mount = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid > 0;
	pid_t pid = mount ? lock.l_pid : peer_any_with_flock(fd);
	peer_describe(pid, &who);
	if (strbuf_broken(&who))
		return error_set(err, ENOMEM, "no memory");
	if (mount || pid <= 0)
		return error_set(
			err, EBUSY,
			"%s: the warehouse is mounted already, by %s; unmount that first, or mount with -o ro",
			path, who.str);
	return error_set(
		err, EBUSY,
		"%s is locked by %s: a mount that starts, or another program; end that first, or mount with -o ro",
		path, who.str);
}

/* Who may write the database may lock it. */
static mode_t mode_of(const struct stat *database)
{
	mode_t write = database->st_mode & (S_IWUSR | S_IWGRP | S_IWOTH);
	return S_IRUSR | S_IWUSR | write | write << 1;
}

/* Out of the reach of auto_fd. */
static int give(int *fd)
{
	int given = *fd;
	*fd = -1;
	return given;
}

/* Made here, so that nobody has had it open before it got its rights. */
static int make(const char *path, const struct stat *database)
{
	auto_fd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	/* Only root can give it away; who else mounts a file of others shares what can be shared. */
	if (database && fchown(fd, database->st_uid, database->st_gid) < 0 &&
	    fchown(fd, (uid_t)-1, database->st_gid) < 0 && database->st_gid != getegid())
		return give(&fd);
	if (database && fchmod(fd, mode_of(database)) < 0)
		return -errno;
	return give(&fd);
}

/* One that was there before: of whom, and who may open it. */
static int check(int fd, const char *path, const char *name, const struct stat *database, struct error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%s: is not a file that can be locked; remove it", path);
	if (st.st_uid != 0 && st.st_uid != geteuid() && !(database && st.st_uid == database->st_uid) &&
	    !(database && database->st_mode & (S_IWGRP | S_IWOTH)))
		return error_set(err, EPERM,
				 "%s belongs to uid %lu, who neither owns %s nor may write it; remove it",
				 path, (unsigned long)st.st_uid, name);
	/* An older batchfs has let everybody open it. */
	if (database && st.st_mode & 0777 & ~mode_of(database))
		fchmod(fd, st.st_mode & mode_of(database));
	return 0;
}

static int open_lock(const char *path, const char *name, const struct stat *database, struct error *err)
{
	int fd = make(path, database);
	if (fd >= 0)
		return fd;
	if (fd != -EEXIST)
		return error_set(err, -fd, "%s: %s", path, strerror(-fd));
	auto_fd int there = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (there < 0)
		return errno == ENOENT ? -ENOENT : error_set(err, errno, "%s: %s", path, strerror(errno));
	int r = check(there, path, name, database, err);
	return r < 0 ? r : give(&there);
}

/* Whether the path still leads to the file that is locked. */
static bool is_there(int fd, const char *path)
{
	struct stat st, named;
	return fstat(fd, &st) == 0 && stat(path, &named) == 0 && st.st_ino == named.st_ino &&
	       st.st_dev == named.st_dev;
}

int lock_take(const char *path, const char *database, int *out, struct error *err)
{
	struct stat st;
	bool found = stat(database, &st) == 0;
	for (int i = 0; i < TRIES; i++) {
		auto_fd int fd = open_lock(path, database, found ? &st : NULL, err);
		if (fd == -ENOENT)
			continue; /* removed in between */
		if (fd < 0)
			return fd;
		int r = peer_flock(fd);
		if (r < 0)
			return r == -EWOULDBLOCK ? refused(fd, path, err)
						 : error_set(err, -r, "%s: %s", path, strerror(-r));
		if (!is_there(fd, path))
			continue;
		lock_sign(fd);
		*out = give(&fd);
		return 0;
	}
	return error_set(err, EBUSY, "%s: other programs make and remove it", path);
}
