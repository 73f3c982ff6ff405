/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static const struct {
	const char *word;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},
	[LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

void log_write(const struct log *log, enum log_level level, const char *fmt, ...)
{
	if (!log || level > log->level)
		return;
	char line[2048];
	int head = log->to_syslog ? 0 : snprintf(line, sizeof line, "batchfs: %s: ", levels[level].word);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, ap);
	va_end(ap);
	if (log->to_syslog) {
		syslog(levels[level].priority, "%s", line);
		return;
	}
	size_t n = strlen(line);
	line[n++] = '\n';
	/* One write(2), so that lines of several threads never mix; a log that
	 * cannot be written has nobody to be told. */
	ssize_t written = write(STDERR_FILENO, line, n);
	(void)written;
}
