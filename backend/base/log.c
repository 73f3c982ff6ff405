/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "backend/base/utf8.h"

static const struct {
	const char *word;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},
	[LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

#define LINE_MAX_BYTES 2048

/* Two bytes in UTF-8: the C1 controls, of which some terminals obey the second one alone. */
static bool is_c1(const char *c)
{
	return (unsigned char)c[0] == 0xc2 && (unsigned char)c[1] < 0xa0;
}

/*
 * Appends the message as one line that a terminal can be shown: what a user names, a server says or a command
 * is called may hold line breaks (a forged line of its own), escapes, or bytes that are no text. Returns the
 * line's length; a message that is too long is cut.
 */
static size_t make_visible(const char *message, char *line, size_t at)
{
	for (const char *c = message; *c;) {
		unsigned n = utf8_length(c);
		if (n > 0 && (unsigned char)*c >= ' ' && *c != 0x7f && !is_c1(c)) {
			if (at + n >= LINE_MAX_BYTES)
				break;
			memcpy(line + at, c, n);
			at += n;
			c += n;
			continue;
		}
		char shown[8];
		unsigned len = *c == '\n'   ? (unsigned)snprintf(shown, sizeof shown, "\\n")
			       : *c == '\t' ? (unsigned)snprintf(shown, sizeof shown, "\\t")
					    : (unsigned)snprintf(shown, sizeof shown, "\\x%02x",
								 (unsigned)(unsigned char)*c);
		if (at + len >= LINE_MAX_BYTES)
			break;
		memcpy(line + at, shown, len);
		at += len;
		c++;
	}
	return at;
}

void log_write(const struct log *log, enum log_level level, const char *fmt, ...)
{
	if (!log || level > log->level)
		return;
	char message[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 1];
	int head = log->to_syslog ? 0 : snprintf(line, sizeof line, "batchfs: %s: ", levels[level].word);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	size_t n = make_visible(message, line, (size_t)head);
	if (log->to_syslog) {
		syslog(levels[level].priority, "%.*s", (int)n, line);
		return;
	}
	line[n++] = '\n';
	/* One write(2), so that lines of several threads never mix; a log that
	 * cannot be written has nobody to be told. */
	ssize_t written = write(STDERR_FILENO, line, n);
	(void)written;
}
