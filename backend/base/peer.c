/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/base/peer.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "backend/base/cleanup.h"

/* The kernel cuts a process's name at 15 bytes. mount(8) starts batchfs by the second name. */
static bool is_batchfs(const char *comm)
{
	return strncmp(comm, "batchfs", strlen("batchfs")) == 0 || strcmp(comm, "mount.fuse.batc") == 0;
}

/* comm: of 32 bytes. */
static bool look_at(pid_t pid, uid_t *uid, char *comm)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%ld", (long)pid);
	if (pid <= 0 || stat(path, &st))
		return false;
	snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
	auto_file FILE *f = fopen(path, "re");
	if (!f || !fgets(comm, 32, f))
		return false;
	comm[strcspn(comm, "\n")] = '\0';
	*uid = st.st_uid;
	return true;
}

bool peer_is_batchfs(pid_t pid, uid_t one, uid_t other)
{
	uid_t uid;
	char comm[32];
	return look_at(pid, &uid, comm) && (uid == 0 || uid == one || uid == other) && is_batchfs(comm);
}

void peer_describe(pid_t pid, struct strbuf *out)
{
	uid_t uid;
	char comm[32];
	if (look_at(pid, &uid, comm))
		strbuf_printf(out, "process %ld (%s, uid %lu)", (long)pid, comm, (unsigned long)uid);
	else if (pid > 0)
		strbuf_printf(out, "process %ld", (long)pid);
	else
		strbuf_puts(out, "a process that cannot be seen from here");
}

/* "1: FLOCK  ADVISORY  READ 1234 08:01:131 0 EOF"; who waits for a lock has "1: -> FLOCK". */
pid_t peer_flock_line(const char *line, dev_t dev, ino_t ino)
{
	long pid;
	unsigned major, minor;
	unsigned long inode;
	if (sscanf(line, "%*d: FLOCK %*s %*s %ld %x:%x:%lu", &pid, &major, &minor, &inode) != 4)
		return 0;
	return inode == ino && makedev(major, minor) == dev && pid > 0 ? (pid_t)pid : 0;
}

/* The first that `fits`, 0: none. */
static pid_t find_flock(int fd, bool (*fits)(pid_t pid, uid_t uid), uid_t uid)
{
	struct stat st;
	auto_file FILE *f = fopen("/proc/locks", "re");
	auto_free char *line = NULL;
	size_t size = 0;
	if (!f || fstat(fd, &st))
		return 0;
	while (getline(&line, &size, f) > 0) {
		pid_t pid = peer_flock_line(line, st.st_dev, st.st_ino);
		if (fits(pid, uid))
			return pid;
	}
	return 0;
}

static bool fits_batchfs(pid_t pid, uid_t uid)
{
	return peer_is_batchfs(pid, uid, uid);
}

static bool fits_any(pid_t pid, uid_t uid)
{
	return pid > 0;
}

pid_t peer_with_flock(int fd, uid_t uid)
{
	return find_flock(fd, fits_batchfs, uid);
}

pid_t peer_any_with_flock(int fd)
{
	return find_flock(fd, fits_any, 0);
}
