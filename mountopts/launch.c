/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "mountopts/exit_code.h"

int launch_guard_stdio(struct error *err)
{
	int fd;
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return error_set(err, errno, "/dev/null: %s", strerror(errno));
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

/*
 * The child writes to the stderr that it shares with its parent, so the parent only passes on its exit code.
 */
static int wait_for_child(pid_t child, int fd)
{
	char ready;
	ssize_t n;
	do
		n = read(fd, &ready, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return EXIT_OK;
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_INTERNAL;
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_INTERNAL;
}

int launch_fork(struct launch *l, int *code, struct error *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return error_set(err, errno, "pipe: %s", strerror(errno));
	pid_t parent = getpid();
	pid_t child = fork();
	if (child < 0) {
		int e = errno;
		close(ends[0]);
		close(ends[1]);
		return error_set(err, e, "fork: %s", strerror(e));
	}
	if (child) {
		close(ends[1]);
		*code = wait_for_child(child, ends[0]);
		close(ends[0]);
		return 1;
	}
	close(ends[0]);
	l->fd = ends[1];
	setsid();
	/*
	 * Since setsid() the terminal's ^C reaches only the parent. Until the mount answers, its end must end
	 * the child too.
	 */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return error_set(err, ECANCELED, "interrupted");
	return 0;
}

void launch_ready(struct launch *l, int log_fd)
{
	if (l->fd < 0)
		return;
	prctl(PR_SET_PDEATHSIG, 0);
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(fd == STDERR_FILENO && log_fd ? log_fd : null, fd);
	ssize_t n = write(l->fd, "", 1);
	(void)n; /* a parent that has ended waits for nothing */
	close(l->fd);
	l->fd = -1;
}
