/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches as numbers. A batch of a size is an ordinal: how many whole hours,
 * days, months or years its start lies after 0001-01-01T00:00Z. Every time is
 * int64 microseconds since 1970-01-01T00:00Z; the calendar is the proleptic
 * Gregorian one, in UTC, without leap seconds, for the years 1 to 9999.
 * Pure: no allocation, no locale, no time zone of the process.
 */
#ifndef BATCHFS_CALENDAR_H
#define BATCHFS_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum batch_size { BATCH_HOUR, BATCH_DAY, BATCH_MONTH, BATCH_YEAR };

/* Fits in 27 bits for every size. */
typedef uint32_t ordinal;

#define CALENDAR_MIN_US	  (-62135596800000000) /* 0001-01-01T00:00:00Z */
#define CALENDAR_END_US	  253402300800000000   /* 10000-01-01T00:00:00Z, exclusive */
#define CALENDAR_NAME_MAX 16		       /* a batch name and its NUL: "2024-09-17T16" */
#define CALENDAR_TIME_MAX 32		       /* an ISO 8601 time and its NUL */

/* Half open: [first, end). Empty where first >= end. */
struct ordinal_range {
	ordinal first, end;
};

/* "hour", "day", "month", "year", as dbt writes batch_size. */
const char *calendar_size_name(enum batch_size size);
bool calendar_size_parse(const char *text, enum batch_size *size);

/* The batch that time falls in; times outside the years 1 to 9999 are taken to the nearest end. */
ordinal calendar_ordinal(enum batch_size size, int64_t us);

/* Where a batch starts; its window is [start(o), start(o + 1)). */
int64_t calendar_start(enum batch_size size, ordinal o);

/* The first batch that starts at or after the time. */
ordinal calendar_ceil(enum batch_size size, int64_t us);

/* dbt's display form of the start. buf holds CALENDAR_NAME_MAX. Returns its length. */
size_t calendar_name(enum batch_size size, ordinal o, char *buf);

/*
 * A batch name of any size, written exactly as calendar_name() writes it
 * (padded, no trailing text), of `len` bytes. False if it is none.
 */
bool calendar_parse_name(const char *text, size_t len, enum batch_size *size, ordinal *o);

/* The same, but month and day may have one digit: 2024-9-1. */
bool calendar_parse_loose_name(const char *text, size_t len, enum batch_size *size, ordinal *o);

/*
 * The batches of `size` that the window [start_us, end_us) touches: a start
 * inside a batch takes that batch in, and so does an end inside one.
 */
struct ordinal_range calendar_touched(enum batch_size size, int64_t start_us, int64_t end_us);

/*
 * ISO 8601, as dbt and people write it: DATE, or DATE and TIME joined by 'T' or
 * a blank, TIME being HH:MM[:SS[.f{1,9}]], then nothing, 'Z', or +HH[:MM] / -HH[:MM].
 * *us is the wall clock that is written; *offset_s what the suffix says (0 for none and Z).
 * False if it is no such time. The instant is *us - *offset_s * 1000000.
 */
bool calendar_parse_time(const char *text, int64_t *us, int32_t *offset_s);
/* The instant of such a time. */
bool calendar_parse_instant(const char *text, int64_t *us);

/* "2024-09-17T16:05:00.123456Z"; without the fraction where it is 0. buf: CALENDAR_TIME_MAX. */
size_t calendar_format_time(int64_t us, char *buf);

/* "2024-09-17 16:05:00.123456" (always with the fraction): for SQL literals. buf: CALENDAR_TIME_MAX. */
size_t calendar_format_sql(int64_t us, char *buf);

/* "2024-09-17" of that time. buf: CALENDAR_TIME_MAX. */
size_t calendar_format_date(int64_t us, char *buf);

/* Whether the time is at 00:00:00.000000. */
bool calendar_is_midnight(int64_t us);

#endif
