/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/report/json.h"

#include <string.h>

#include "backend/base/cleanup.h"

json_t *json_text(const char *text)
{
	if (!text || !*text)
		return json_null();
	json_t *value = json_string(text);
	if (value)
		return value;
	/*
	 * The text may come from a server or a command that uses another encoding: what is no UTF-8 is
	 * replaced.
	 */
	auto_free char *ascii = strdup(text);
	if (!ascii)
		return NULL;
	for (char *c = ascii; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	return json_string(ascii);
}

json_t *json_time(int64_t us)
{
	return us == 0 ? json_null() : json_instant(us);
}

json_t *json_instant(int64_t us)
{
	char text[CALENDAR_TIME_MAX];
	calendar_format_time(us, text);
	return json_string(text);
}

json_t *json_seconds(int64_t us)
{
	return json_real((double)(us / 1000) / 1000.0);
}

json_t *json_count(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

json_t *json_name(const struct model *m, ordinal batch)
{
	char name[CALENDAR_NAME_MAX];
	calendar_name(m->batch_size, batch, name);
	return json_string(name);
}

json_t *json_refusal(const struct report_refusal *r)
{
	if (!r)
		return json_null();
	return json_pack("{s:o, s:s, s:o}", "at", json_time(r->at), "errno", error_name(r->err), "message",
			 json_text(r->message));
}

json_t *json_strings(const char *const *list)
{
	json_t *array = json_array();
	for (; array && list && *list; list++)
		json_array_append_new(array, json_text(*list));
	return array;
}

static int add(const char *buffer, size_t size, void *out)
{
	strbuf_add(out, buffer, size);
	return 0;
}

static int dump(json_t *value, size_t flags, struct strbuf *out)
{
	if (!value)
		return -ENOMEM;
	/*
	 * Twelve digits are enough for the milliseconds of a run that takes years, and few enough to show 0.1
	 * as 0.1.
	 */
	int failed = json_dump_callback(value, add, out, flags | JSON_REAL_PRECISION(12));
	json_decref(value);
	strbuf_putc(out, '\n');
	return failed || strbuf_broken(out) ? -ENOMEM : 0;
}

int json_finish(json_t *value, struct strbuf *out)
{
	return dump(value, JSON_INDENT(2), out);
}

int json_line(json_t *value, struct strbuf *out)
{
	return dump(value, 0, out);
}
