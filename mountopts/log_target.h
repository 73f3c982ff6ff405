/* SPDX-License-Identifier: Apache-2.0 */
/* Where the log of a daemon goes that has gone into the background. */
#ifndef BATCHFS_LOG_TARGET_H
#define BATCHFS_LOG_TARGET_H

#include "backend/base/log.h"
#include "mountopts/options.h"

/*
 * Gives the log its place for the background: syslog; where nobody listens at /dev/log, a file; with log=
 * as was asked for. Tells on stderr where it goes, if that is not syslog, or that it is lost. The caller
 * closes log->fd in the end, if that is not 0.
 */
void log_target_background(enum log_option wanted, struct log *log);

#endif
