/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* vsnprintf cuts at a byte; a cut UTF-8 character would make the JSON that
 * carries the text invalid, so the torn one goes. */
static void drop_torn_character(char *text, size_t size)
{
	size_t n = strlen(text);
	if (n + 1 < size)
		return;
	size_t lead = n;
	while (lead > 0 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead > 0 && ((unsigned char)text[lead - 1] & 0xc0) == 0xc0)
		text[lead - 1] = '\0';
}

static void __attribute__((format(printf, 4, 0)))
fill(struct error *e, int err, const char *sqlstate, const char *fmt, va_list ap)
{
	e->err = err;
	snprintf(e->sqlstate, sizeof e->sqlstate, "%s", sqlstate ? sqlstate : "");
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	drop_torn_character(e->text, sizeof e->text);
	size_t n = strlen(e->text);
	while (n > 0 && e->text[n - 1] == '\n')
		e->text[--n] = '\0';
}

int error_set(struct error *e, int err, const char *fmt, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, fmt);
		fill(e, err, NULL, fmt, ap);
		va_end(ap);
	}
	return -err;
}

int error_sql(struct error *e, int err, const char *sqlstate, const char *fmt, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, fmt);
		fill(e, err, sqlstate, fmt, ap);
		va_end(ap);
	}
	return -err;
}

int error_prefix(struct error *e, const char *fmt, ...)
{
	if (!e)
		return -EIO;
	char before[sizeof e->text], both[2 * sizeof e->text];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(before, sizeof before, fmt, ap);
	va_end(ap);
	snprintf(both, sizeof both, "%s%s", before, e->text);
	memcpy(e->text, both, sizeof e->text - 1);
	e->text[sizeof e->text - 1] = '\0';
	drop_torn_character(e->text, sizeof e->text);
	return -e->err;
}

const char *error_name(int err)
{
	const char *name = strerrorname_np(err);
	return name ? name : "EIO";
}
