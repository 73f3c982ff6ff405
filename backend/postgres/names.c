/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/postgres/pgstore.h"

void quote_name(struct strbuf *b, const char *name)
{
	strbuf_putc(b, '"');
	for (; *name; name++) {
		if (*name == '"')
			strbuf_putc(b, '"');
		strbuf_putc(b, *name);
	}
	strbuf_putc(b, '"');
}

/* The server folds only ASCII in a UTF-8 database. */
static void fold(struct strbuf *b, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		strbuf_putc(b, text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 'a' - 'A') : text[i]);
}

static void unquote(struct strbuf *b, const char *text, size_t len)
{
	for (size_t i = 1; i + 1 < len; i++) {
		strbuf_putc(b, text[i]);
		if (text[i] == '"')
			i++;
	}
}

char *plain_column(const char *event_time, bool *failed)
{
	size_t len = strlen(event_time);
	struct sql_token name = {0};
	for (struct sql_token t = sql_lex(SQL_POSTGRES, event_time, len, 0); t.kind != SQL_END;
	     t = sql_lex(SQL_POSTGRES, event_time, len, t.start + t.len)) {
		if (t.kind == SQL_SPACE)
			continue;
		if (name.len || (t.kind != SQL_WORD && t.kind != SQL_QUOTED))
			return NULL;
		name = t;
	}
	if (!name.len)
		return NULL;
	auto_strbuf b = STRBUF_INIT;
	if (name.kind == SQL_WORD)
		fold(&b, event_time + name.start, name.len);
	else
		unquote(&b, event_time + name.start, name.len);
	char *column = strbuf_detach(&b);
	if (!column)
		*failed = true;
	return column;
}

/* Length of the well-formed character at p (RFC 3629), 0: there is none. */
static size_t character(const unsigned char *p)
{
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >= 0xc2 && p[0] <= 0xdf	  ? 2
		   : (p[0] & 0xf0) == 0xe0	  ? 3
		   : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
						  : 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

char *clean_text(const char *text, size_t max, bool ascii)
{
	auto_strbuf b = STRBUF_INIT;
	while (*text) {
		size_t n = character((const unsigned char *)text);
		bool keep = n == 1 || (n && !ascii);
		if (b.len + (n ? n : 1) > max)
			break;
		if (keep)
			strbuf_add(&b, text, n);
		else
			strbuf_putc(&b, '?');
		text += n ? n : 1;
	}
	return strbuf_detach(&b);
}

size_t kept_length(const char *name)
{
	size_t len = strlen(name), kept = 0;
	while (kept < len) {
		size_t n = character((const unsigned char *)name + kept);
		if (kept + (n ? n : 1) > NAME_LONGEST)
			break;
		kept += n ? n : 1;
	}
	return kept;
}
