/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child process in a group of its own. It dies with the thread that has started it, its signal handlers and
 * mask are the default ones, it has our stdin (where that is wanted), stdout and stderr as pipes, and nothing
 * else of ours is open in it but the file `hold`. One thread uses it.
 */
#ifndef BATCHFS_DBT_PROCESS_H
#define BATCHFS_DBT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "backend/base/error.h"

struct process {
	pid_t pid; /* and the number of its group; 0: there is none */
	int in;	   /* its stdin; -1: /dev/null */
	int out;   /* its stdout and stderr */
};

struct process_plan {
	const char *const *argv; /* NULL-terminated */
	const char *cwd;
	/* A locked file: the lock lasts as long as anything of the group that has not closed it. Its first
	 * line becomes the number of the group. */
	int hold;
	bool input;
};

/* The file of a command as execvp() would find it, to be freed; NULL: none, or no memory. One with a slash is
 * itself. */
char *process_find(const char *command);

/* -errno with *err: what cannot be started; *p has no pid then. */
int process_start(const struct process_plan *plan, struct process *p, struct error *err);

/* To the whole group. */
void process_signal(const struct process *p, int sig);

/* Whether it has ended by itself; others of its group may live on. */
bool process_ended(const struct process *p);

/* Ends all of the group that still runs, and returns the exit code, or the negative number of the signal. */
int process_reap(struct process *p);

/* Ends the group of that number where a process of it has the file `hold` open as one that process_start()
 * has started has it. Else the number is a stranger's by now, or of another PID namespace: false. */
bool process_end_left(pid_t group, int hold);

#endif
