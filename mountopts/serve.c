/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/serve.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "backend/base/count.h"

/* How long it may take from the end of the last batch until the process has ended. */
#define END_S 30

/*
 * Waits for running batches to end, in a thread of its own: the main thread goes on keeping the deadlines of
 * requests meanwhile.
 */
struct drain {
	struct backend *backend;
	pthread_t thread;
	bool begun;
	int done; /* an eventfd, written once, when the backend has stopped */
};

static void signal_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	if (getpid() == 1)
		sigaddset(set, SIGCHLD);
}

int serve_block_signals(struct error *err)
{
	sigset_t set;
	signal_set(&set);
	signal(SIGPIPE, SIG_IGN);
	int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
	return rc ? error_set(err, rc, "pthread_sigmask: %s", strerror(rc)) : 0;
}

static void *drain_main(void *arg)
{
	struct drain *d = arg;
	backend_stop(d->backend);
	uint64_t one = 1;
	ssize_t n = write(d->done, &one, sizeof one);
	(void)n; /* an eventfd that holds 0 always takes a 1 */
	return NULL;
}

static void begin_drain(struct drain *d, const struct serve *s, const char *why)
{
	if (d->begun) {
		log_info(s->log, "%s again: what still runs goes back to the queue", why);
		backend_hurry(s->backend);
		return;
	}
	char text[96];
	snprintf(text, sizeof text, "%s: running batches may finish for %d s", why, s->drain_s);
	log_info(s->log, "%s", text);
	supervisor_stopping(s->supervisor, text, s->drain_s + END_S);
	d->begun = true;
	if (!pthread_create(&d->thread, NULL, drain_main, d))
		return;
	/* There is no thread to be had, so the main thread waits itself, and deadlines are late. */
	drain_main(d);
	d->thread = 0;
}

/* As process 1 of a container we become the parent of every orphan, and nobody else reaps them. */
static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void take_signal(int fd, struct drain *d, const struct serve *s)
{
	struct signalfd_siginfo info;
	while (read(fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP)
			backend_reload(s->backend);
		else if (info.ssi_signo == SIGCHLD)
			reap();
		else
			begin_drain(d, s, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	}
}

/*
 * On the terminal, too, where the log goes elsewhere: whoever has typed the command wants to know. And to
 * whoever supervises us.
 */
static void say_mounted(const struct serve *s)
{
	int all = backend_models(s->backend), here = 0;
	for (slot i = 0; i < all; i++)
		here += backend_runnable(s->backend, i);
	struct counted models = count_of((uint64_t)all, "model", "models");
	char text[192];
	if (here == all)
		snprintf(text, sizeof text, "mounted, %s: all can be built here", models.text);
	else
		snprintf(text, sizeof text, "mounted, %s: %d can be built here, %d cannot (see .model)",
			 models.text, here, all - here);
	log_info(s->log, "%s: %s", s->mountpoint->path, text);
	bool elsewhere = s->log->form == LOG_FORM_SYSLOG || s->log->fd;
	if (elsewhere && s->launch->fd >= 0)
		dprintf(STDERR_FILENO, "batchfs: %s: %s\n", s->mountpoint->path, text);
	supervisor_ready(s->supervisor, text);
}

static void follow_stage(struct drain *d, const struct serve *s, enum fs_stage *seen)
{
	enum fs_stage stage = fs_stage(s->fs);
	if (stage == *seen)
		return;
	*seen = stage;
	if (stage == FS_SERVING) {
		say_mounted(s);
		launch_ready(s->launch, s->log->fd);
	}
	if (stage != FS_ENDED)
		return;
	mountpoint_withdraw(s->mountpoint);
	if (!d->begun)
		begin_drain(d, s, "unmounted");
}

/* Rounded up, because poll() would return just before the deadline again and again. */
static int wait_ms(int64_t deadline_us, int64_t now_us)
{
	if (deadline_us == INT64_MAX)
		return -1;
	int64_t ms = deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
	return ms > 60000 ? 60000 : (int)ms;
}

static int loop(const struct serve *s, struct drain *d, int signals, struct error *err)
{
	enum fs_stage seen = FS_MOUNTING;
	struct pollfd fds[] = {
		{.fd = signals, .events = POLLIN},
		{.fd = fs_event_fd(s->fs), .events = POLLIN},
		{.fd = d->done, .events = POLLIN},
		{.events = POLLIN}, /* the mount point's door */
	};
	for (;;) {
		int64_t now = clock_monotonic_us();
		int64_t deadline = fs_tick(s->fs, now);
		int64_t feed = supervisor_tick(s->supervisor, fs_busy_us(s->fs, now), now);
		follow_stage(d, s, &seen);
		fds[3].fd = s->mountpoint->door;
		if (poll(fds, sizeof fds / sizeof fds[0], wait_ms(feed < deadline ? feed : deadline, now)) <
			    0 &&
		    errno != EINTR)
			return error_set(err, errno, "poll: %s", strerror(errno));
		if (fds[0].revents)
			take_signal(signals, d, s);
		if (fds[3].revents)
			mountpoint_greet(s->mountpoint);
		if (fds[2].revents)
			return 0;
	}
}

int serve_run(struct serve *s, struct error *err)
{
	sigset_t set;
	signal_set(&set);
	auto_fd int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	auto_fd int done = eventfd(0, EFD_CLOEXEC);
	struct drain d = {.backend = s->backend, .done = done};
	int rc = 0;
	if (signals < 0 || done < 0)
		rc = error_set(err, errno, "%s: %s", signals < 0 ? "signalfd" : "eventfd", strerror(errno));
	else
		rc = loop(s, &d, signals, err);
	if (d.begun && d.thread)
		pthread_join(d.thread, NULL);
	if (!d.begun)
		backend_stop(s->backend);
	return rc;
}
