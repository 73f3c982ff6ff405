/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line a message, to stderr or syslog, whatever is in it: line breaks, control characters and bytes that
 * are no UTF-8 are written as \n, \t, \x1b. Thread-safe: a line is written by one call. Never give it a
 * password or a connection string.
 */
#ifndef BATCHFS_BASE_LOG_H
#define BATCHFS_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Immutable once threads run. */
struct log {
	enum log_level level;
	bool to_syslog; /* the caller has called openlog() */
};

/* A NULL log drops the message. */
void log_write(const struct log *log, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(log, ...)   log_write((log), LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_write((log), LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(log, ...)    log_write((log), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...)   log_write((log), LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
