/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/calendar.h"

#include <stdio.h>
#include <string.h>

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_HOUR   (3600 * US_PER_SECOND)
#define US_PER_DAY    (24 * US_PER_HOUR)

/* Years 1 to 9999: 9999 * 365 days and a day for each of the 2424 leap years. */
#define DAYS_IN_CALENDAR 3652059

struct date {
	int year, month, day;
};

static const char *const size_names[] = {
	[BATCH_HOUR] = "hour",
	[BATCH_DAY] = "day",
	[BATCH_MONTH] = "month",
	[BATCH_YEAR] = "year",
};

/* The first ordinal that is not a batch: it starts in the year 10000. */
static const ordinal size_end[] = {
	[BATCH_HOUR] = DAYS_IN_CALENDAR * 24,
	[BATCH_DAY] = DAYS_IN_CALENDAR,
	[BATCH_MONTH] = 9999 * 12,
	[BATCH_YEAR] = 9999,
};

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days of the year before the month begins; month 13 gives the length of the year. */
static int days_before_month(int year, int month)
{
	static const short before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

	return before[month - 1] + (month > 2 && is_leap(year));
}

static int64_t days_before_year(int year)
{
	int64_t n = year - 1;
	return n * 365 + n / 4 - n / 100 + n / 400;
}

/* Days since 0001-01-01. */
static int64_t days_of(struct date d)
{
	return days_before_year(d.year) + days_before_month(d.year, d.month) + d.day - 1;
}

static struct date date_of(int64_t days)
{
	/* Off by one year at most: no stretch of years strays a year from the average of 365.2425 days. */
	int year = (int)(days * 400 / 146097) + 1;
	if (days_before_year(year) > days)
		year--;
	else if (days_before_year(year + 1) <= days)
		year++;
	int rest = (int)(days - days_before_year(year));
	int month = rest / 31 + 1;
	if (rest >= days_before_month(year, month + 1))
		month++;
	return (struct date){year, month, rest - days_before_month(year, month) + 1};
}

static int64_t us_of_days(int64_t days)
{
	return CALENDAR_MIN_US + days * US_PER_DAY;
}

static int64_t clamp(int64_t us, int64_t max)
{
	return us < CALENDAR_MIN_US ? CALENDAR_MIN_US : us > max ? max : us;
}

/* The date, and the microseconds since its midnight; the year 10000 begins where the calendar ends. */
static struct date split(int64_t us, int64_t *rest)
{
	int64_t since = clamp(us, CALENDAR_END_US) - CALENDAR_MIN_US;
	*rest = since % US_PER_DAY;
	return date_of(since / US_PER_DAY);
}

const char *calendar_size_name(enum batch_size size)
{
	return size_names[size];
}

bool calendar_size_parse(const char *text, enum batch_size *size)
{
	for (int i = BATCH_HOUR; i <= BATCH_YEAR; i++) {
		if (strcmp(text, size_names[i]) == 0) {
			*size = (enum batch_size)i;
			return true;
		}
	}
	return false;
}

ordinal calendar_ordinal(enum batch_size size, int64_t us)
{
	us = clamp(us, CALENDAR_END_US - 1);
	if (size == BATCH_HOUR)
		return (ordinal)((us - CALENDAR_MIN_US) / US_PER_HOUR);
	if (size == BATCH_DAY)
		return (ordinal)((us - CALENDAR_MIN_US) / US_PER_DAY);
	int64_t rest;
	struct date d = split(us, &rest);
	return (ordinal)(size == BATCH_MONTH ? (d.year - 1) * 12 + d.month - 1 : d.year - 1);
}

int64_t calendar_start(enum batch_size size, ordinal o)
{
	if (o >= size_end[size])
		return CALENDAR_END_US;
	switch (size) {
	case BATCH_HOUR:
		return CALENDAR_MIN_US + o * US_PER_HOUR;
	case BATCH_DAY:
		return us_of_days(o);
	case BATCH_MONTH:
		return us_of_days(days_of((struct date){(int)(o / 12) + 1, (int)(o % 12) + 1, 1}));
	case BATCH_YEAR:
		break;
	}
	return us_of_days(days_before_year((int)o + 1));
}

ordinal calendar_ceil(enum batch_size size, int64_t us)
{
	if (us >= CALENDAR_END_US)
		return size_end[size];
	ordinal o = calendar_ordinal(size, us);
	return calendar_start(size, o) < us ? o + 1 : o;
}

struct ordinal_range calendar_touched(enum batch_size size, int64_t start_us, int64_t end_us)
{
	struct ordinal_range r;
	r.first = start_us >= CALENDAR_END_US ? size_end[size] : calendar_ordinal(size, start_us);
	r.end = start_us < end_us ? calendar_ceil(size, end_us) : r.first;
	return r;
}

bool calendar_is_midnight(int64_t us)
{
	return us % US_PER_DAY == 0;
}

static char *put_digits(char *at, int number, int digits)
{
	for (int i = digits; i-- > 0; number /= 10)
		at[i] = (char)('0' + number % 10);
	return at + digits;
}

/* By hand: a listing of 26,000 batches spent half of its time in snprintf. */
size_t calendar_name(enum batch_size size, ordinal o, char *buf)
{
	int64_t rest;
	struct date d = split(calendar_start(size, o), &rest);
	char *end = put_digits(buf, d.year, 4);

	if (size != BATCH_YEAR) {
		*end++ = '-';
		end = put_digits(end, d.month, 2);
	}
	if (size == BATCH_DAY || size == BATCH_HOUR) {
		*end++ = '-';
		end = put_digits(end, d.day, 2);
	}
	if (size == BATCH_HOUR) {
		*end++ = 'T';
		end = put_digits(end, (int)(rest / US_PER_HOUR), 2);
	}
	*end = '\0';
	return (size_t)(end - buf);
}

/* What is left of a text that is being read. */
struct reader {
	const char *at, *end;
};

/* Exactly `digits` digits with a value in [min, max]. */
static bool take_number(struct reader *r, int digits, int min, int max, int *value)
{
	int v = 0;

	if (r->end - r->at < digits)
		return false;
	for (int i = 0; i < digits; i++) {
		if (r->at[i] < '0' || r->at[i] > '9')
			return false;
		v = v * 10 + (r->at[i] - '0');
	}
	r->at += digits;
	*value = v;
	return v >= min && v <= max;
}

static bool take_char(struct reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool is_in_month(const struct date *d)
{
	return d->day <= days_before_month(d->year, d->month + 1) - days_before_month(d->year, d->month);
}

static bool take_day(struct reader *r, struct date *d)
{
	return take_number(r, 2, 1, 31, &d->day) && is_in_month(d);
}

/* Two digits, or where one will do, one. */
static bool take_part(struct reader *r, bool loose, int max, int *value)
{
	struct reader two = *r;

	if (take_number(&two, 2, 1, max, value)) {
		*r = two;
		return true;
	}
	return loose && take_number(r, 1, 1, 9, value);
}

static bool parse_name(const char *text, size_t len, bool loose, enum batch_size *size, ordinal *o)
{
	struct reader r = {text, text + len};
	struct date d = {.month = 1, .day = 1};
	int hour = 0;
	enum batch_size s = BATCH_YEAR;

	if (!take_number(&r, 4, 1, 9999, &d.year))
		return false;
	if (r.at < r.end) {
		s = BATCH_MONTH;
		if (!take_char(&r, '-') || !take_part(&r, loose, 12, &d.month))
			return false;
	}
	if (r.at < r.end) {
		s = BATCH_DAY;
		if (!take_char(&r, '-') || !take_part(&r, loose, 31, &d.day) || !is_in_month(&d))
			return false;
	}
	if (r.at < r.end) {
		s = BATCH_HOUR;
		if (!take_char(&r, 'T') || !take_number(&r, 2, 0, 23, &hour))
			return false;
	}
	if (r.at < r.end)
		return false;
	*size = s;
	*o = calendar_ordinal(s, us_of_days(days_of(d)) + hour * US_PER_HOUR);
	return true;
}

bool calendar_parse_name(const char *text, size_t len, enum batch_size *size, ordinal *o)
{
	return parse_name(text, len, false, size, o);
}

bool calendar_parse_loose_name(const char *text, size_t len, enum batch_size *size, ordinal *o)
{
	return parse_name(text, len, true, size, o);
}

/* .f{1,9}; what is finer than a microsecond is cut off. */
static bool take_fraction(struct reader *r, int64_t *us)
{
	int64_t unit = US_PER_SECOND;
	int digits = 0, digit;

	while (digits < 9 && take_number(r, 1, 0, 9, &digit)) {
		digits++;
		unit /= 10;
		*us += digit * unit;
	}
	return digits > 0;
}

static bool take_clock(struct reader *r, int64_t *us)
{
	int hour, minute, second = 0;

	if (!take_number(r, 2, 0, 23, &hour) || !take_char(r, ':') || !take_number(r, 2, 0, 59, &minute))
		return false;
	if (take_char(r, ':')) {
		if (!take_number(r, 2, 0, 59, &second))
			return false;
		if (take_char(r, '.') && !take_fraction(r, us))
			return false;
	}
	*us += (hour * 3600 + minute * 60 + second) * US_PER_SECOND;
	return true;
}

static bool take_offset(struct reader *r, int32_t *offset_s)
{
	int hour, minute = 0;

	if (r->at == r->end || take_char(r, 'Z'))
		return true;
	int sign = take_char(r, '-') ? -1 : 1;
	if (sign > 0 && !take_char(r, '+'))
		return false;
	if (!take_number(r, 2, 0, 23, &hour))
		return false;
	if (take_char(r, ':') && !take_number(r, 2, 0, 59, &minute))
		return false;
	*offset_s = sign * (hour * 3600 + minute * 60);
	return true;
}

bool calendar_parse_time(const char *text, int64_t *us, int32_t *offset_s)
{
	struct reader r = {text, text + strlen(text)};
	struct date d;
	int64_t clock = 0;
	int32_t offset = 0;

	if (!take_number(&r, 4, 1, 9999, &d.year) || !take_char(&r, '-') ||
	    !take_number(&r, 2, 1, 12, &d.month) || !take_char(&r, '-') || !take_day(&r, &d))
		return false;
	if (r.at < r.end) {
		if (!take_char(&r, 'T') && !take_char(&r, ' '))
			return false;
		if (!take_clock(&r, &clock) || !take_offset(&r, &offset) || r.at < r.end)
			return false;
	}
	*us = us_of_days(days_of(d)) + clock;
	*offset_s = offset;
	return true;
}

bool calendar_parse_instant(const char *text, int64_t *us)
{
	int32_t offset_s;

	if (!calendar_parse_time(text, us, &offset_s))
		return false;
	*us -= offset_s * INT64_C(1000000);
	return true;
}

static size_t format(int64_t us, char joint, bool always_fraction, const char *suffix, char *buf)
{
	int64_t rest;
	struct date d = split(us, &rest);
	int seconds = (int)(rest / US_PER_SECOND), micro = (int)(rest % US_PER_SECOND);
	const int parts[] = {d.year, d.month, d.day, seconds / 3600, seconds / 60 % 60, seconds % 60};
	const char before[] = {'\0', '-', '-', joint, ':', ':'};
	char *at = buf;

	/* Not snprintf(): a listing measures four times a batch. */
	for (size_t i = 0; i < sizeof before; i++) {
		if (before[i])
			*at++ = before[i];
		at = put_digits(at, parts[i], i ? 2 : d.year > 9999 ? 5 : 4);
	}
	if (micro || always_fraction) {
		*at++ = '.';
		at = put_digits(at, micro, 6);
	}
	size_t len = strlen(suffix);
	memcpy(at, suffix, len + 1);
	return (size_t)(at - buf) + len;
}

size_t calendar_format_time(int64_t us, char *buf)
{
	return format(us, 'T', false, "Z", buf);
}

size_t calendar_format_sql(int64_t us, char *buf)
{
	return format(us, ' ', true, "", buf);
}

size_t calendar_format_date(int64_t us, char *buf)
{
	int64_t rest;
	struct date d = split(us, &rest);
	return (size_t)snprintf(buf, CALENDAR_TIME_MAX, "%04d-%02d-%02d", d.year, d.month, d.day);
}
