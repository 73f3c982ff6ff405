/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/report/calendar_grid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/utf8.h"

/* What a cell shows where several hold, the highest: what somebody must look at, then what is under way. */
static const uint8_t badness[] = {
	[BATCH_FAILED] = 9,  [BATCH_SKIPPED] = 8, [BATCH_RUNNING] = 7, [BATCH_QUEUED] = 6,
	[BATCH_UNKNOWN] = 5, [BATCH_PENDING] = 4, [BATCH_STALE] = 3,   [BATCH_PARTIAL] = 2,
	[BATCH_DONE] = 1,    [BATCH_STATES] = 0,
};
_Static_assert(sizeof badness == BATCH_STATES + 1, "every state has its place");

static const struct layout {
	unsigned columns;
	const char *ruler, *cell;
} layouts[] = {
	[BATCH_HOUR] = {24, "0  3  6  9 12 15 18 21", "an hour"},
	[BATCH_DAY] = {31, "1   5   10   15   20   25   30", "a day"},
	[BATCH_MONTH] = {12, "JFMAMJJASOND", "a month"},
	[BATCH_YEAR] = {10, "0123456789", "a year"},
};

/* The size of the batch that is as long as a row of these; of years there is none. */
static enum batch_size row_size(enum batch_size unit)
{
	return (enum batch_size)(unit + 1);
}

/* Year 1 is ordinal 0, so that the first decade has no first cell. */
static int64_t row_of(enum batch_size unit, ordinal cell)
{
	if (unit == BATCH_YEAR)
		return ((int64_t)cell + 1) / 10;
	return calendar_ordinal(row_size(unit), calendar_start(unit, cell));
}

/* The cell in the row's first column: an ordinal, or -1. */
static int64_t row_first(enum batch_size unit, int64_t row)
{
	if (unit == BATCH_YEAR)
		return row * 10 - 1;
	return calendar_ordinal(unit, calendar_start(row_size(unit), (ordinal)row));
}

static struct ordinal_range cells_of(enum batch_size unit, int64_t start_us, int64_t now)
{
	struct ordinal_range cells = {calendar_ordinal(unit, start_us), calendar_ordinal(unit, now) + 1};
	if (start_us > now)
		cells.end = cells.first;
	return cells;
}

int calendar_grid_init(struct calendar_grid *g, enum batch_size size, int64_t start_us, int64_t now)
{
	*g = (struct calendar_grid){.unit = size, .cells = cells_of(size, start_us, now)};
	for (;;) {
		struct calendar_rows rows = calendar_grid_rows(g);
		if (rows.end - rows.first <= CALENDAR_ROWS_MAX)
			break;
		g->unit = row_size(g->unit);
		g->cells = cells_of(g->unit, start_us, now);
		g->coarse = true;
	}
	size_t n = g->cells.end - g->cells.first;
	g->worst = malloc(n + 1);
	if (!g->worst)
		return -ENOMEM;
	memset(g->worst, BATCH_STATES, n + 1);
	return 0;
}

void calendar_grid_fini(struct calendar_grid *g)
{
	free(g->worst);
	*g = (struct calendar_grid){.worst = NULL};
}

void calendar_grid_add(struct calendar_grid *g, enum batch_size size, const struct state_runs *states)
{
	ordinal from = states->first;
	for (size_t i = 0; i < states->n; from = states->list[i++].end) {
		struct state_run run = states->list[i];
		struct ordinal_range cells =
			calendar_touched(g->unit, calendar_start(size, from), calendar_start(size, run.end));
		g->states[run.state] += run.end - from;
		/* The manifest and the clock go on while it is drawn. */
		ordinal first = cells.first > g->cells.first ? cells.first : g->cells.first;
		ordinal end = cells.end < g->cells.end ? cells.end : g->cells.end;
		for (ordinal c = first; c < end; c++) {
			uint8_t *worst = &g->worst[c - g->cells.first];
			if (badness[run.state] > badness[*worst])
				*worst = (uint8_t)run.state;
		}
	}
}

struct calendar_rows calendar_grid_rows(const struct calendar_grid *g)
{
	if (g->cells.first >= g->cells.end)
		return (struct calendar_rows){0, 0};
	return (struct calendar_rows){row_of(g->unit, g->cells.first), row_of(g->unit, g->cells.end - 1) + 1};
}

struct ordinal_range calendar_row_cells(const struct calendar_grid *g, int64_t row, unsigned *column)
{
	int64_t first = row_first(g->unit, row), end = row_first(g->unit, row + 1);
	int64_t from = first < g->cells.first ? g->cells.first : first;
	*column = (unsigned)(from - first);
	return (struct ordinal_range){(ordinal)from, end > g->cells.end ? g->cells.end : (ordinal)end};
}

void calendar_row_label(const struct calendar_grid *g, int64_t row, char *buf)
{
	if (g->unit == BATCH_YEAR)
		snprintf(buf, CALENDAR_NAME_MAX, "%03" PRId64 "0s", row);
	else
		calendar_name(row_size(g->unit), (ordinal)row, buf);
}

const char *calendar_grid_ruler(const struct calendar_grid *g)
{
	return layouts[g->unit].ruler;
}

unsigned calendar_grid_columns(const struct calendar_grid *g)
{
	return layouts[g->unit].columns;
}

/* Of one byte, of two (U+0080 to U+009F), and the two of three that XML does not have (U+FFFE, U+FFFF). */
static bool is_control(const char *character)
{
	const unsigned char *c = (const unsigned char *)character;
	return c[0] < ' ' || c[0] == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0) ||
	       (c[0] == 0xef && c[1] == 0xbf && c[2] >= 0xbe);
}

void calendar_add_name(struct strbuf *out, const char *name)
{
	while (*name) {
		unsigned length = utf8_length(name);
		if (length == 0 || is_control(name))
			strbuf_putc(out, '?');
		else
			strbuf_add(out, name, length);
		name += length ? length : 1;
	}
}

void calendar_grid_head(const struct calendar_grid *g, const char *sign, struct strbuf *out)
{
	calendar_add_name(out, g->title ? g->title : "all models");
	strbuf_printf(out, ": a %s %s%s, UTC", sign, layouts[g->unit].cell,
		      g->models	  ? ", the worst state of any model"
		      : g->coarse ? ", the worst state in it"
				  : "");
}
