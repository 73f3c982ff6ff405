/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/window_sql.h"

#include <inttypes.h>

#define US_PER_SECOND INT64_C(1000000)

const char *time_type_name(enum time_type type)
{
	switch (type) {
	case TIME_TIMESTAMPTZ:
		return "timestamptz";
	case TIME_TIMESTAMP:
		return "timestamp";
	case TIME_DATE:
		return "date";
	case TIME_TEXT:
		return "text";
	case TIME_EPOCH:
		return "integer";
	case TIME_UNKNOWN:
	case TIME_UNSUPPORTED:
		break;
	}
	return NULL;
}

/*
 * Values are 'YYYY-MM-DD' (midnight), 'YYYY-MM-DD HH:MM:SS' and '... HH:MM:SS.f', compared
 * byte by byte, where a text sorts before every longer one that begins with it. So a boundary
 * must be the shortest text of its instant: every way to write the same instant is then equal
 * to it or behind it, and every earlier instant before it.
 *  - At midnight the date alone: '2024-09-01' <= '2024-09-01 00:00:00'. With a time of day the
 *    value '2024-09-01' would fall before the window that begins with it.
 *  - At another time no fraction, or one without zeros at its end: '01:00:00' <= '01:00:00.000'.
 *    The value '2024-09-01' is midnight and sorts before '2024-09-01 01:00:00', as it must.
 *  - The end of the calendar would be '10000-01-01', which sorts first: the end of its last day.
 */
static void text_literal(int64_t us, struct strbuf *out)
{
	char buf[CALENDAR_TIME_MAX];

	if (us >= CALENDAR_END_US) {
		strbuf_puts(out, "'9999-12-31 24:00:00'");
		return;
	}
	size_t n = calendar_is_midnight(us) ? calendar_format_date(us, buf) : calendar_format_sql(us, buf);
	if (us % US_PER_SECOND)
		while (buf[n - 1] == '0')
			n--;
	else if (!calendar_is_midnight(us))
		n -= sizeof ".000000" - 1;
	strbuf_putc(out, '\'');
	strbuf_add(out, buf, n);
	strbuf_putc(out, '\'');
}

/* The first whole second at or behind the time: for whole numbers x, `x >= 1.5` is `x >= 2`. */
static int64_t ceil_seconds(int64_t us)
{
	int64_t s = us / US_PER_SECOND;
	return s * US_PER_SECOND < us ? s + 1 : s;
}

int time_literal(enum time_type type, int64_t us, struct strbuf *out, struct error *err)
{
	char buf[CALENDAR_TIME_MAX];

	switch (type) {
	case TIME_TIMESTAMPTZ:
		calendar_format_sql(us, buf);
		strbuf_printf(out, "TIMESTAMPTZ '%s+00'", buf);
		return 0;
	case TIME_TIMESTAMP:
		calendar_format_sql(us, buf);
		strbuf_printf(out, "TIMESTAMP '%s'", buf);
		return 0;
	case TIME_DATE:
		if (!calendar_is_midnight(us)) {
			calendar_format_time(us, buf);
			return error_set(
				err, EINVAL,
				"a column of type date cannot be cut at %s: it takes whole days only, "
				"so batch_size must be day, month or year",
				buf);
		}
		calendar_format_date(us, buf);
		strbuf_printf(out, "DATE '%s'", buf);
		return 0;
	case TIME_TEXT:
		text_literal(us, out);
		return 0;
	case TIME_EPOCH:
		strbuf_printf(out, "%" PRId64, ceil_seconds(us));
		return 0;
	case TIME_UNKNOWN:
		return error_set(err, EINVAL, "the type of the event_time is not known yet");
	case TIME_UNSUPPORTED:
		break;
	}
	return error_set(err, EINVAL, "the event_time has a type that no window can be cut from");
}
