/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/peer.h"

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

bool peer_is_batchfs(pid_t pid, uid_t one, uid_t other)
{
	char path[64], comm[32] = "";
	struct stat st;
	snprintf(path, sizeof path, "/proc/%ld", (long)pid);
	if (pid <= 0 || stat(path, &st) || (st.st_uid != 0 && st.st_uid != one && st.st_uid != other))
		return false;
	snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
	auto_file FILE *f = fopen(path, "re");
	if (!f || !fgets(comm, sizeof comm, f))
		return false;
	comm[strcspn(comm, "\n")] = '\0';
	return is_batchfs(comm);
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

pid_t peer_with_flock(int fd, uid_t uid)
{
	struct stat st;
	auto_file FILE *f = fopen("/proc/locks", "re");
	auto_free char *line = NULL;
	size_t size = 0;
	if (!f || fstat(fd, &st))
		return 0;
	while (getline(&line, &size, f) > 0) {
		pid_t pid = peer_flock_line(line, st.st_dev, st.st_ino);
		if (peer_is_batchfs(pid, uid, uid))
			return pid;
	}
	return 0;
}
