/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/mountpoint.h"

#include <fcntl.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "backend/base/cleanup.h"
#include "mountopts/mountinfo.h"
#include "backend/base/peer.h"

#define DEAD_MOUNTS_MAX 16 /* how many dead mounts on one path are detached before we give up */
#define BIND_TRIES	200
#define CALLERS_MAX	8 /* how many may wait at the door */

extern char **environ;

static bool is_descriptor(const char *typed, unsigned *fd)
{
	int end = 0;
	return sscanf(typed, "/dev/fd/%u%n", fd, &end) == 1 && !typed[end];
}

/* The device number 10:229 belongs to /dev/fuse for good (Linux, Documentation/admin-guide/devices.txt). */
static int check_descriptor(const char *typed, unsigned fd, struct error *err)
{
	struct stat st;
	if (fstat((int)fd, &st))
		return error_set(err, EBADF, "%s: no open descriptor", typed);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(10, 229))
		return error_set(err, EINVAL, "%s: not an open /dev/fuse", typed);
	return 0;
}

/*
 * realpath(), but where the last step is a dead mount, which cannot be looked at: then only the directories
 * above it are resolved.
 */
static char *absolute(const char *typed)
{
	char *whole = realpath(typed, NULL);
	if (whole || errno != ENOTCONN)
		return whole;
	auto_free char *copy = strdup(typed);
	if (!copy)
		return NULL;
	size_t len = strlen(copy);
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = 0;
	char *slash = strrchr(copy, '/');
	const char *name = slash ? slash + 1 : copy;
	if (slash)
		*slash = 0;
	auto_free char *parent = realpath(!slash ? "." : *copy ? copy : "/", NULL);
	char *path = NULL;
	if (parent && asprintf(&path, "%s/%s", strcmp(parent, "/") ? parent : "", name) < 0)
		path = NULL;
	return path;
}

static socklen_t door_address(const struct mount_entry *e, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	int n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "batchfs:mount:%u:%u", e->major, e->minor);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* The pid of the batchfs that listens at the mount's door; 0: nobody does, or a stranger. */
static pid_t listens(const struct mount_entry *e)
{
	struct sockaddr_un a;
	socklen_t len = door_address(e, &a);
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer;
	socklen_t size = sizeof peer;
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return 0;
	uid_t mounted_by = e->user >= 0 ? (uid_t)e->user : geteuid();
	return peer_is_batchfs(peer.pid, mounted_by, geteuid()) ? peer.pid : 0;
}

/*
 * The kernel keeps the attributes of our root for ever, so only a forced question reaches the daemon, or
 * finds none.
 */
static bool is_dead(const char *path)
{
	struct statx st;
	for (int i = 0; i < 2; i++) {
		if (!statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_TYPE, &st))
			return false;
		/* The daemon has ended while we asked it. */
		if (errno != ECONNABORTED)
			break;
	}
	return errno == ENOTCONN || errno == ECONNABORTED;
}

static int detach(const char *path, struct error *err)
{
	if (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW))
		return 0;
	int e = errno;
	const char *const argv[] = {"fusermount3", "-u", "-q", "-z", "--", path, NULL};
	pid_t child;
	int status = -1;
	if (e == EPERM && !posix_spawnp(&child, argv[0], NULL, NULL, (char *const *)argv, environ) &&
	    waitpid(child, &status, 0) == child && !status)
		return 0;
	return error_set(err, EBUSY, "%s: a dead mount that cannot be detached (%s): try umount -l %s", path,
			 strerror(e), path);
}

/*
 * The door is asked first: a daemon that hangs has one, and would not answer the question whether its mount
 * is dead. A daemon that has just mounted opens its door before it answers that question, so the door is
 * asked once more behind it. Who listens there and is no batchfs of ours says nothing, so a stranger keeps no
 * dead mount in its place.
 */
static int clear_mounts(const char *path, const struct log *log, struct error *err)
{
	struct mount_entry top;
	for (int i = 0; i < DEAD_MOUNTS_MAX && mountinfo_top(path, &top); i++) {
		if (strcmp(top.type, "fuse") != 0 && strncmp(top.type, "fuse.", 5) != 0)
			return 0;
		pid_t pid = listens(&top);
		if (pid && peer_wait_gone(pid))
			pid = 0;
		bool alive = pid || !is_dead(path);
		if (alive && !pid)
			pid = listens(&top);
		if (pid)
			return error_set(
				err, EBUSY,
				"%s: batchfs is mounted there already, process %ld: fusermount3 -u %s", path,
				(long)pid, path);
		if (alive) {
			if (strcmp(top.type, "fuse.batchfs") != 0)
				return 0;
			return error_set(
				err, EBUSY,
				"%s: batchfs is mounted there already, by a process that cannot be seen "
				"from here (of another container, mostly): fusermount3 -u %s",
				path, path);
		}
		int rc = detach(path, err);
		if (rc)
			return rc;
		log_warning(log, "%s: detached a dead %s mount", path, top.type);
	}
	return 0;
}

/* Anybody who may read the directory can lock it: only a batchfs that holds the lock counts. */
static int lock_directory(struct mountpoint *m, const struct log *log, struct error *err)
{
	m->dir = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dir < 0 && errno == EACCES)
		return 0; /* we may not read the directory, but the kernel may let us mount on it */
	if (m->dir < 0)
		return error_set(err, errno, "%s: %s", m->path, strerror(errno));
	if (peer_flock(m->dir) != -EWOULDBLOCK)
		return 0;
	pid_t pid = peer_with_flock(m->dir, geteuid());
	if (pid)
		return error_set(err, EBUSY,
				 "%s: another batchfs is being mounted there or is just ending, process %ld",
				 m->path, (long)pid);
	log_warning(log,
		    "%s: somebody who is no batchfs holds a lock on the directory; mounting all the same",
		    m->path);
	return 0;
}

int mountpoint_take(const char *typed, const struct log *log, struct mountpoint *out, struct error *err)
{
	unsigned fd;
	*out = (struct mountpoint){.dir = -1, .door = -1, .passed_in = is_descriptor(typed, &fd)};
	out->path = out->passed_in ? strdup(typed) : absolute(typed);
	if (!out->path)
		return error_set(err, errno, "%s: %s", typed, strerror(errno));
	if (out->passed_in)
		return check_descriptor(typed, fd, err);
	int rc = clear_mounts(out->path, log, err);
	return rc ? rc : lock_directory(out, log, err);
}

/*
 * The device number was another mount's until a moment ago: a batchfs that still holds the name is about to
 * close its door. A stranger may hold the name for ever, and is not waited for.
 */
static int bind_soon(int fd, const struct mount_entry *e)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	struct sockaddr_un a;
	socklen_t len = door_address(e, &a);
	for (int i = 0; i < BIND_TRIES; i++) {
		if (!bind(fd, (const struct sockaddr *)&a, len))
			return 0;
		if (errno != EADDRINUSE)
			break;
		if (!listens(e)) {
			/*
			 * The batchfs that held the name may have closed its door between our bind() and our
			 * look.
			 */
			return bind(fd, (const struct sockaddr *)&a, len);
		}
		nanosleep(&moment, NULL);
	}
	return -1;
}

void mountpoint_announce(struct mountpoint *m, const struct log *log)
{
	struct mount_entry top;
	if (m->passed_in || !mountinfo_top(m->path, &top))
		return;
	m->door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->door >= 0 && !bind_soon(m->door, &top) && !listen(m->door, CALLERS_MAX))
		return;
	log_debug(log, "%s: a second daemon will not see this one's pid: %s", m->path, strerror(errno));
	mountpoint_withdraw(m);
}

void mountpoint_withdraw(struct mountpoint *m)
{
	if (m->door >= 0)
		close(m->door);
	m->door = -1;
}

void mountpoint_greet(struct mountpoint *m)
{
	/* No more than may wait at once: somebody who calls without end must not keep the main thread here.
	 */
	for (int i = 0; i < CALLERS_MAX; i++) {
		int fd = accept4(m->door, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		close(fd);
	}
}

void mountpoint_fini(struct mountpoint *m)
{
	if (m->dir >= 0)
		close(m->dir);
	mountpoint_withdraw(m);
	free(m->path);
	*m = (struct mountpoint){.dir = -1, .door = -1};
}
