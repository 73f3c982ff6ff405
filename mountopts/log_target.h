/* SPDX-License-Identifier: Apache-2.0 */
/* Where the log of a daemon goes that has gone into the background. */
#ifndef BATCHFS_LOG_TARGET_H
#define BATCHFS_LOG_TARGET_H

#include <stdbool.h>

#include "backend/base/log.h"
#include "mountopts/options.h"

/*
 * Gives the log its place for the background: syslog; where nobody listens at /dev/log, a file; with log=
 * as was asked for. Tells on stderr where it goes, if that is not syslog, or that it is lost. The caller
 * closes log->fd in the end, if that is not 0.
 */
void log_target_background(enum log_option wanted, struct log *log);

/*
 * Which file, in a buffer of PATH_MAX bytes: $XDG_STATE_HOME/batchfs/batchfs.log; without the variable
 * /var/log/batchfs.log of root, ~/.local/state/batchfs/batchfs.log of others. False: there is none.
 */
bool log_target_file(char *path);

#endif
