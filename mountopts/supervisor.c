/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/supervisor.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/base/cleanup.h"

#define DEAF_LOOKS 8 /* how often, in the time of one feeding, the FUSE thread is looked at that hangs */

int supervisor_take_fd(struct supervisor *s, long ready_fd, const char *mountpoint, struct error *err)
{
	unsigned mounted;
	int fd = (int)ready_fd;
	if (!fd)
		return 0;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_RDONLY)
		return error_set(err, EBADF, "ready_fd=%d: no descriptor that is open for writing", fd);
	if (fd == STDERR_FILENO)
		return error_set(err, EINVAL, "ready_fd=2: the messages go there, and it would be closed");
	if (sscanf(mountpoint, "/dev/fd/%u", &mounted) == 1 && (unsigned)fd == mounted)
		return error_set(err, EINVAL, "ready_fd=%d: that is the mount's descriptor", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	s->ready_fd = fd;
	return 0;
}

/* "/path", or "@name" for an abstract one. -1: neither, or nobody is there. */
static int dial(const char *address)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = strlen(address);
	if ((address[0] != '/' && address[0] != '@') || len >= sizeof a.sun_path)
		return -1;
	memcpy(a.sun_path, address, len);
	if (address[0] == '@')
		a.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&a, size))
		return fd;
	close(fd);
	return -1;
}

/* WATCHDOG_PID names whom WATCHDOG_USEC is meant for; without it, whoever reads it. */
static int64_t watchdog_us(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (!us || (pid && atol(pid) != (long)getpid()))
		return 0;
	int64_t n = atoll(us);
	return n > 0 ? n : 0;
}

void supervisor_find(struct supervisor *s, bool background)
{
	const char *address = getenv("NOTIFY_SOCKET");
	s->background = background;
	if (address)
		s->notify = dial(address);
	if (s->notify >= 0)
		s->every_us = watchdog_us() / 2;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void tell(const struct supervisor *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A service manager that has gone is told nothing; never waits for it. */
static void tell(const struct supervisor *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	if (s->notify < 0)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ssize_t sent = send(s->notify, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)sent;
}

/*
 * Closes it, or has it lead nowhere where it is stdin or stdout: no later descriptor is to become one of
 * them.
 */
static void let_go(int fd)
{
	auto_fd int null = fd <= STDERR_FILENO ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
	if (fd > STDERR_FILENO || null < 0 || dup2(null, fd) < 0)
		close(fd);
}

void supervisor_ready(struct supervisor *s, const char *status)
{
	if (s->ready_fd >= 0) {
		ssize_t n = write(s->ready_fd, "ready\n", strlen("ready\n"));
		(void)n; /* a reader that has gone does not want to know */
		let_go(s->ready_fd);
		s->ready_fd = -1;
	}
	if (s->background)
		tell(s, "READY=1\nSTATUS=%s\nMAINPID=%ld", status, (long)getpid());
	else
		tell(s, "READY=1\nSTATUS=%s", status);
}

void supervisor_stopping(struct supervisor *s, const char *status, int longest_s)
{
	tell(s, "STOPPING=1\nSTATUS=%s\nEXTEND_TIMEOUT_USEC=%lld", status, longest_s * 1000000LL);
}

int64_t supervisor_tick(struct supervisor *s, int64_t busy_us, int64_t now_us)
{
	if (!s->every_us)
		return INT64_MAX;
	if (now_us < s->next_us)
		return s->next_us;
	bool alive = busy_us < s->every_us;
	if (alive)
		tell(s, "WATCHDOG=1");
	s->next_us = now_us + (alive ? s->every_us : s->every_us / DEAF_LOOKS + 1);
	return s->next_us;
}

void supervisor_fini(struct supervisor *s)
{
	if (s->ready_fd >= 0)
		let_go(s->ready_fd);
	if (s->notify >= 0)
		close(s->notify);
	*s = (struct supervisor)SUPERVISOR_NONE;
}
