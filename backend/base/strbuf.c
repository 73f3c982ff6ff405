/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/base/strbuf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char strbuf_empty[1];

static void reset(struct strbuf *b, bool broken)
{
	if (b->size)
		free(b->str);
	*b = (struct strbuf){.str = strbuf_empty, .broken = broken};
}

void strbuf_fini(struct strbuf *b)
{
	reset(b, false);
}

void strbuf_clear(struct strbuf *b)
{
	b->len = 0;
	b->broken = false;
	if (b->size)
		b->str[0] = '\0';
}

/* Makes room for `more` bytes and the NUL. */
static bool reserve(struct strbuf *b, size_t more)
{
	if (b->broken)
		return false;
	if (more >= SIZE_MAX / 2 - b->len) {
		reset(b, true);
		return false;
	}
	size_t need = b->len + more + 1;
	if (need <= b->size)
		return true;
	size_t size = need < 64 ? 64 : need + need / 2;
	char *str = realloc(b->size ? b->str : NULL, size);
	if (!str) {
		reset(b, true);
		return false;
	}
	b->str = str;
	b->size = size;
	b->str[b->len] = '\0';
	return true;
}

void strbuf_add(struct strbuf *b, const char *text, size_t len)
{
	if (!reserve(b, len))
		return;
	memcpy(b->str + b->len, text, len);
	b->len += len;
	b->str[b->len] = '\0';
}

void strbuf_add_slice(struct strbuf *b, const char *text, size_t len, size_t at, size_t off, size_t end)
{
	size_t from = off > at ? off - at : 0, to = end < at + len ? end - at : len;
	if (end > at && from < to)
		strbuf_add(b, text + from, to - from);
}

void strbuf_puts(struct strbuf *b, const char *text)
{
	strbuf_add(b, text, strlen(text));
}

void strbuf_putc(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void strbuf_fill(struct strbuf *b, char c, size_t n)
{
	if (!reserve(b, n))
		return;
	memset(b->str + b->len, c, n);
	b->len += n;
	b->str[b->len] = '\0';
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		reset(b, true);
	else if (reserve(b, (size_t)n)) {
		vsnprintf(b->str + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

char *strbuf_detach(struct strbuf *b)
{
	if (b->broken || !reserve(b, 0)) {
		reset(b, false);
		return NULL;
	}
	char *str = b->str;
	*b = (struct strbuf)STRBUF_INIT;
	return str;
}
