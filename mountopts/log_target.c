/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/log_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "backend/base/cleanup.h"

#define DEV_LOG "/dev/log"

/* As syslog(3) does: a datagram socket mostly, a stream with some old ones. */
static bool syslog_listens(void)
{
	static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
	const struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = DEV_LOG};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		auto_fd int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd >= 0 && !connect(fd, (const struct sockaddr *)&a, sizeof a))
			return true;
	}
	return false;
}

/*
 * Which file, in a buffer of PATH_MAX bytes: $XDG_STATE_HOME/batchfs/batchfs.log; without the variable
 * /var/log/batchfs.log of root, ~/.local/state/batchfs/batchfs.log of others. False: there is none.
 */
static bool find_file(char *path)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n = -1;
	if (state && state[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/batchfs/batchfs.log", state);
	else if (geteuid() == 0)
		n = snprintf(path, PATH_MAX, "/var/log/batchfs.log");
	else if (home && home[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/.local/state/batchfs/batchfs.log", home);
	return n > 0 && n < PATH_MAX;
}

/* The directories above the file that are missing. */
static void make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
}

static int open_file(char *path)
{
	if (!find_file(path)) {
		strcpy(path, "no HOME");
		errno = ENOENT;
		return -1;
	}
	make_directories(path);
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0640);
}

static void to_syslog(struct log *log)
{
	openlog("batchfs", LOG_PID, LOG_DAEMON);
	log->form = LOG_FORM_SYSLOG;
}

/*
 * stderr itself is not the place: a shell's $(batchfs ...) and every pipe would wait for its end as long as
 * the daemon lives. Who wants that says log=stderr.
 */
static void to_file(struct log *log)
{
	const struct log person = {.level = LOG_LEVEL_INFO};
	char path[PATH_MAX];
	int fd = open_file(path);
	if (fd < 0) {
		log_warning(&person,
			    "nobody listens at " DEV_LOG " and there is no file for the log (%s: %s): "
			    "messages are lost; -f and -o log=stderr keep them",
			    path, strerror(errno));
		to_syslog(log); /* that may be started later */
		return;
	}
	log_info(&person, "nobody listens at " DEV_LOG ", so the log goes to %s", path);
	log->form = LOG_FORM_DATED;
	log->fd = fd;
}

static void keep_stderr(struct log *log)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd >= 0)
		log->fd = fd;
}

void log_target_background(enum log_option wanted, struct log *log)
{
	switch (wanted) {
	case LOG_BY_PLACE:
		if (syslog_listens())
			to_syslog(log);
		else
			to_file(log);
		return;
	case LOG_TO_SYSLOG:
		to_syslog(log);
		return;
	case LOG_TO_STDERR:
		log->form = LOG_FORM_DATED;
		keep_stderr(log);
		return;
	case LOG_TO_JSON:
		keep_stderr(log);
		return;
	case LOG_OPTIONS:
		return;
	}
}
