/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/report/writer.h"

#include <stdio.h>
#include <string.h>

#include "backend/base/utf8.h"
#include "backend/calendar.h"

#define INDENT 2

static void add(struct writer *w, const char *text, size_t len)
{
	w->len += len;
	if (w->out)
		strbuf_add(w->out, text, len);
}

static void line(struct writer *w)
{
	size_t blanks = INDENT * (size_t)w->depth;
	w->len += 1 + blanks;
	if (!w->out)
		return;
	strbuf_putc(w->out, '\n');
	strbuf_fill(w->out, ' ', blanks);
}

static void begin(struct writer *w, const char *key)
{
	if (w->depth > 0) {
		if (!w->empty)
			add(w, ",", 1);
		line(w);
	}
	w->empty = false;
	if (!key)
		return;
	add(w, "\"", 1);
	add(w, key, strlen(key));
	add(w, "\": ", 3);
}

void write_open(struct writer *w, const char *key, char bracket)
{
	begin(w, key);
	add(w, &bracket, 1);
	w->depth++;
	w->empty = true;
}

void write_close(struct writer *w, char bracket)
{
	w->depth--;
	if (!w->empty)
		line(w);
	add(w, &bracket, 1);
	w->empty = false;
}

static void word(struct writer *w, const char *key, const char *text, size_t len)
{
	begin(w, key);
	add(w, text, len);
}

void write_null(struct writer *w, const char *key)
{
	word(w, key, "null", 4);
}

void write_bool(struct writer *w, const char *key, bool value)
{
	word(w, key, value ? "true" : "false", value ? 4 : 5);
}

/* Writes the digits of the number backwards from `end`. Returns where the number begins. */
static char *digits(char *end, uint64_t n)
{
	do
		*--end = (char)('0' + n % 10);
	while (n /= 10);
	return end;
}

void write_int(struct writer *w, const char *key, int64_t n)
{
	char number[24], *end = number + sizeof number;
	char *at = digits(end, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
	if (n < 0)
		*--at = '-';
	word(w, key, at, (size_t)(end - at));
}

void write_count(struct writer *w, const char *key, int64_t n)
{
	if (n < 0)
		write_null(w, key);
	else
		write_int(w, key, n);
}

void write_seconds(struct writer *w, const char *key, int64_t us)
{
	if (us < 0) {
		write_null(w, key);
		return;
	}
	char number[32], *end = number + sizeof number;
	uint64_t ms = (uint64_t)us / 1000;
	/* At least one digit stands behind the point, so that readers see no integer. */
	unsigned places = ms % 100 == 0 ? 1 : ms % 10 == 0 ? 2 : 3;
	uint64_t fraction = ms % 1000 / (places == 1 ? 100 : places == 2 ? 10 : 1);
	char *at = end;
	for (unsigned i = 0; i < places; i++, fraction /= 10)
		*--at = (char)('0' + fraction % 10);
	*--at = '.';
	at = digits(at, ms / 1000);
	word(w, key, at, (size_t)(end - at));
}

void write_instant(struct writer *w, const char *key, int64_t us)
{
	char text[CALENDAR_TIME_MAX + 2] = "\"";
	size_t len = calendar_format_time(us, text + 1);
	text[len + 1] = '"';
	word(w, key, text, len + 2);
}

void write_time(struct writer *w, const char *key, int64_t us)
{
	if (us == 0)
		write_null(w, key);
	else
		write_instant(w, key, us);
}

/*
 * How a character is written that cannot stand in a JSON text as it is. Returns the length; 0: the character
 * can stand there.
 */
static size_t escaped(char c, char shown[8])
{
	static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *found = strchr(plain, c);
	if (found) {
		shown[0] = '\\';
		shown[1] = letters[found - plain];
		return 2;
	}
	if ((unsigned char)c >= 0x20)
		return 0;
	return (size_t)snprintf(shown, 8, "\\u%04x", (unsigned)(unsigned char)c);
}

void write_text(struct writer *w, const char *key, const char *text)
{
	if (!text || !*text) {
		write_null(w, key);
		return;
	}
	begin(w, key);
	add(w, "\"", 1);
	/* Characters that need no escape go out in one piece. */
	const char *from = text, *at = text;
	while (*at) {
		char shown[8];
		unsigned n = utf8_length(at);
		size_t len = n == 1 ? escaped(*at, shown) : 0;
		if (n && !len) {
			at += n;
			continue;
		}
		add(w, from, (size_t)(at - from));
		/*
		 * The text may come from a server or a command that uses another encoding: what is no UTF-8
		 * is replaced.
		 */
		add(w, n ? shown : "?", n ? len : 1);
		from = ++at;
	}
	add(w, from, (size_t)(at - from));
	add(w, "\"", 1);
}

void write_end(struct writer *w)
{
	add(w, "\n", 1);
}
