/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/base/peer.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"

#define DYING_US   10000000 /* how long a process that is being killed may take to end */
#define HIDDEN_US  3000000  /* how long a lock is waited for whose holder cannot be seen: it may be dying */
#define LOOK_AGAIN 5000000  /* nanoseconds between two looks at one */

#define PF_EXITING 0x4 /* of include/linux/sched.h; in the ninth field of /proc/PID/stat */

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

enum life { LIFE_GONE, LIFE_DYING, LIFE_ALIVE };

/* Whether SIGKILL has been sent to the thread and it has not got so far as to begin its end. */
static bool is_killed(long pid, long tid)
{
	char path[96], line[128];
	unsigned long long pending;
	snprintf(path, sizeof path, "/proc/%ld/task/%ld/status", pid, tid);
	auto_file FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "SigPnd: %llx", &pending) == 1)
			return pending >> (SIGKILL - 1) & 1;
	return false;
}

/* One thread. Of a process in which other threads live on, a first one that has ended says nothing. */
static enum life life_of_task(long pid, long tid)
{
	char path[96], text[512];
	char state = 'X';
	unsigned long flags = 0;
	snprintf(path, sizeof path, "/proc/%ld/task/%ld/stat", pid, tid);
	auto_file FILE *f = fopen(path, "re");
	if (!f || !fgets(text, sizeof text, f))
		return LIFE_GONE;
	/* The name, in parentheses, may hold parentheses. */
	const char *behind = strrchr(text, ')');
	if (!behind || sscanf(behind, ") %c %*d %*d %*d %*d %*d %lu", &state, &flags) != 2)
		return LIFE_ALIVE;
	if (state == 'Z' || state == 'X')
		return LIFE_GONE;
	return flags & PF_EXITING || is_killed(pid, tid) ? LIFE_DYING : LIFE_ALIVE;
}

/* Its files are open until the last of its threads has ended. */
static enum life life_of(pid_t pid)
{
	char path[64];
	enum life life = LIFE_GONE;
	snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && life != LIFE_DYING && (e = readdir(dir));) {
		long tid = atol(e->d_name); /* 0: "." */
		enum life one = tid ? life_of_task(pid, tid) : LIFE_GONE;
		if (one != LIFE_GONE)
			life = one;
	}
	if (dir)
		closedir(dir);
	return life;
}

static void look_again(void)
{
	const struct timespec moment = {.tv_nsec = LOOK_AGAIN};
	nanosleep(&moment, NULL);
}

/*
 * Two looks: between taking the signal and beginning its end, a thread shows neither for a moment.
 */
static enum life life_for_sure(pid_t pid)
{
	enum life life = life_of(pid);
	if (life != LIFE_ALIVE)
		return life;
	look_again();
	return life_of(pid);
}

bool peer_wait_gone(pid_t pid)
{
	int64_t until = clock_monotonic_us() + DYING_US;
	for (;;) {
		enum life life = life_for_sure(pid);
		if (life != LIFE_DYING || clock_monotonic_us() > until)
			return life == LIFE_GONE;
		look_again();
	}
}

int peer_flock(int fd)
{
	int64_t until = clock_monotonic_us() + HIDDEN_US;
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return -errno;
		/* 0: one that cannot be seen from here, or that has let go since. */
		pid_t pid = peer_any_with_flock(fd);
		if (pid > 0 ? !peer_wait_gone(pid) : clock_monotonic_us() > until)
			return -EWOULDBLOCK;
		if (!pid)
			look_again();
	}
	return 0;
}
