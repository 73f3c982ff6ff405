/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way into the background. The parent stays until the mount answers, so that the next command of a script
 * finds the mount, and ends with the child's exit code if the child ends before that.
 */
#ifndef BATCHFS_LAUNCH_H
#define BATCHFS_LAUNCH_H

#include "backend/base/error.h"

struct launch {
	int fd; /* the pipe to the parent; -1: we stay in the foreground, or the parent has been told */
};

/* Opens /dev/null where stdin, stdout or stderr are closed, so that no later descriptor becomes one of them.
 */
int launch_guard_stdio(struct error *err);

/*
 * Forks. In the child (a session of its own): 0. In the parent: 1, when the child is ready or
 * has ended; *code is what to exit with. -errno. Before any thread.
 */
int launch_fork(struct launch *l, int *code, struct error *err);

/*
 * In the child: tells the parent to end with 0, and lets go of the terminal: what is written to stderr goes
 * to `log_fd` from then on, or nowhere where that is 0. Does nothing in the foreground.
 */
void launch_ready(struct launch *l, int log_fd);

#endif
