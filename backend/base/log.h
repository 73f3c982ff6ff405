/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line a message, to a descriptor or to syslog, whatever is in it: line breaks, control characters and
 * bytes that are no UTF-8 are written as \n, \t, \x1b. Thread-safe: a line is written by one call. Never give
 * it a password or a connection string.
 */
#ifndef BATCHFS_BASE_LOG_H
#define BATCHFS_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_form {
	LOG_FORM_TEXT,	/* "batchfs: warning: MESSAGE": whoever reads it knows when it came */
	LOG_FORM_DATED, /* the same behind the time: for a file */
	LOG_FORM_JSON,	/* {"at": "2024-09-04T12:00:00.000Z", "level": "warning", "pid": 1, "message": ...} */
	LOG_FORM_SYSLOG, /* to syslog(3): the caller has called openlog() */
};

/* Immutable once threads run. */
struct log {
	enum log_level level;
	enum log_form form;
	int fd; /* where the lines go; 0: stderr */
};

/* A NULL log drops the message. */
void log_write(const struct log *log, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(log, ...)   log_write((log), LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_write((log), LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(log, ...)    log_write((log), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...)   log_write((log), LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
