/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
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

/* "2024-09-04T12:00:00.000Z", by the system's clock also where the mount has another one (now=). */
static int print_now(char *out, size_t size)
{
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	return (int)n + snprintf(out + n, size - n, ".%03ldZ", now.tv_nsec / 1000000);
}

/* What stands before the message. Returns its length. */
static size_t print_head(enum log_form form, enum log_level level, char *line)
{
	char at[32];
	switch (form) {
	case LOG_FORM_TEXT:
		return (size_t)sprintf(line, "batchfs: %s: ", levels[level].word);
	case LOG_FORM_DATED:
		print_now(at, sizeof at);
		return (size_t)sprintf(line, "%s batchfs: %s: ", at, levels[level].word);
	case LOG_FORM_JSON:
		print_now(at, sizeof at);
		return (size_t)sprintf(line,
				       "{\"at\": \"%s\", \"level\": \"%s\", \"pid\": %ld, \"message\": \"",
				       at, levels[level].word, (long)getpid());
	case LOG_FORM_SYSLOG:
		return 0;
	}
	return 0;
}

/* Appends a message that make_visible() has made, of n bytes, as the inside of a string of JSON. */
static size_t quote(const char *message, size_t n, char *line, size_t at)
{
	for (size_t i = 0; i < n; i++) {
		if (message[i] == '"' || message[i] == '\\')
			line[at++] = '\\';
		line[at++] = message[i];
	}
	line[at++] = '"';
	line[at++] = '}';
	return at;
}

void log_write(const struct log *log, enum log_level level, const char *fmt, ...)
{
	if (!log || level > log->level)
		return;
	/* Room for a message all of whose bytes are quoted. */
	char message[LINE_MAX_BYTES], line[2 * LINE_MAX_BYTES + 160];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	size_t n = print_head(log->form, level, line);
	if (log->form == LOG_FORM_JSON) {
		char visible[LINE_MAX_BYTES + 1];
		n = quote(visible, make_visible(message, visible, 0), line, n);
	} else {
		n = make_visible(message, line, n);
	}
	if (log->form == LOG_FORM_SYSLOG) {
		syslog(levels[level].priority, "%.*s", (int)n, line);
		return;
	}
	line[n++] = '\n';
	/* One write(2), so that lines of several threads never mix; a log that
	 * cannot be written has nobody to be told. */
	ssize_t written = write(log->fd ? log->fd : STDERR_FILENO, line, n);
	(void)written;
}
