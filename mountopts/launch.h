/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into the background. The parent stays until the mount answers, so that a script
 * may go on with it, and ends with the child's code if it does not come to that.
 */
#ifndef BATCHFS_LAUNCH_H
#define BATCHFS_LAUNCH_H

#include "backend/base/error.h"

struct launch {
	int fd; /* of the pipe to the parent; -1: in the foreground, or said already */
};

/* Opens /dev/null where stdin, stdout or stderr are closed, so that no later descriptor becomes one of them.
 */
int launch_guard_stdio(struct error *err);

/*
 * Forks. In the child (a session of its own): 0. In the parent: 1, when the child is ready or
 * has ended; *code is what to exit with. -errno. Before any thread.
 */
int launch_fork(struct launch *l, int *code, struct error *err);

/* In the child: lets the parent go with 0, closes the terminal. Nothing in the foreground. */
void launch_ready(struct launch *l);

#endif
