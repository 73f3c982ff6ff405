/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What whoever has started the daemon is told, of its own accord: a line on the descriptor of -o ready_fd=,
 * and systemd's protocol (sd_notify(3)) where NOTIFY_SOCKET is set. That is a datagram of text to a socket,
 * so no library is needed for it, which a small container would not have.
 *
 * The main thread's alone.
 */
#ifndef BATCHFS_SUPERVISOR_H
#define BATCHFS_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/base/error.h"

struct supervisor {
	int ready_fd;	  /* -1: not asked for, or written already */
	int notify;	  /* a socket connected to NOTIFY_SOCKET; -1: there is none */
	bool background;  /* the process that was started is not this one */
	int64_t every_us; /* how often the watchdog is fed, half of what it waits; 0: there is none */
	int64_t next_us;  /* when it is fed next, by the monotonic clock */
};

#define SUPERVISOR_NONE                                                                                      \
	{                                                                                                    \
		.ready_fd = -1, .notify = -1                                                                 \
	}

/*
 * Checks -o ready_fd=: 0 was not given; `mountpoint` is as it was typed. Before anything opens a descriptor,
 * which could take the number. -EBADF, -EINVAL: the option is wrong.
 */
int supervisor_take_fd(struct supervisor *s, long ready_fd, const char *mountpoint, struct error *err);

/*
 * Finds the service manager by the environment, and takes its variables out of that, so that no dbt of ours
 * speaks to it. In the process that will serve, before any thread. One that cannot be reached is not told.
 */
void supervisor_find(struct supervisor *s, bool background);

/* The mount answers. `status` is a line for a person. */
void supervisor_ready(struct supervisor *s, const char *status);

/* The daemon ends, which may take so long. */
void supervisor_stopping(struct supervisor *s, const char *status, int longest_s);

/*
 * Feeds the watchdog when the time has come, as long as the FUSE thread has not been at one request
 * (`busy_us`) for longer than the watchdog is fed in. Returns when to be called next; INT64_MAX: no need.
 */
int64_t supervisor_tick(struct supervisor *s, int64_t busy_us, int64_t now_us);

void supervisor_fini(struct supervisor *s);

#endif
