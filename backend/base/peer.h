/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds a lock or listens on a socket that every user of the machine could take: a daemon of ours, whose
 * word counts, or a stranger, who is not to keep a mount from starting.
 */
#ifndef BATCHFS_PEER_H
#define BATCHFS_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "backend/base/strbuf.h"

/* Whether root or one of these two users runs the process, and it is a batchfs. */
bool peer_is_batchfs(pid_t pid, uid_t one, uid_t other);

/* The pid of a batchfs of root or of this user that holds a flock on the open file; 0: none that can be seen
 * from here does. */
pid_t peer_with_flock(int fd, uid_t uid);

/* The pid of whoever holds a flock on the open file, as far as can be seen from here; 0: nobody. */
pid_t peer_any_with_flock(int fd);

/*
 * Takes the flock on the open file. Where a process has it that is just being killed, waits for the end of
 * that: `kill -9 PID; batchfs ...` is how people restart. -EWOULDBLOCK: somebody else has it, and lives.
 * -errno.
 */
int peer_flock(int fd);

/*
 * Waits for the end of a process that is being killed, a few seconds at most. False: it lives on, or cannot
 * die.
 */
bool peer_wait_gone(pid_t pid);

/* "process 123 (batchfs, uid 1000)"; of one that has ended or cannot be seen what is known of it. */
void peer_describe(pid_t pid, struct strbuf *out);

/* One line of /proc/locks: the pid of who holds a flock on the inode; 0: the line is about something else. */
pid_t peer_flock_line(const char *line, dev_t dev, ino_t ino);

#endif
