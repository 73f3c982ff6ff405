/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents .calendar and .calendar.svg: the states of batches in rows and columns. A row is a month of
 * days, a day of hours, a year of months, a decade of years. A cell shows the worst state of what lies in it.
 */
#ifndef BATCHFS_REPORT_CALENDAR_GRID_H
#define BATCHFS_REPORT_CALENDAR_GRID_H

#include "backend/base/strbuf.h"
#include "backend/state_runs.h"

/* A picture with more rows than this is none any more: its cells are larger, then. */
#define CALENDAR_ROWS_MAX 1000
#define CALENDAR_COLUMNS  31

/* The counts of a model that has batches. */
struct calendar_model {
	const char *dir;
	size_t states[BATCH_STATES];
};

struct calendar_grid {
	enum batch_size unit; /* what a cell is */
	struct ordinal_range cells;
	uint8_t *worst; /* owned; a cell each: its enum batch_state; BATCH_STATES: nothing is there */
	size_t states[BATCH_STATES]; /* batches, of all models together */
	bool coarse;		     /* several batches may lie in a cell */

	const char *title;		     /* a model's directory, a selection; NULL: it is of everything */
	const struct calendar_model *models; /* where it is of several: each */
	size_t n_models;
};

/*
 * Makes *g the grid of what lies in [start_us, now], all cells empty. size: the smallest batches that will be
 * shown in it. -ENOMEM. Then the states of each model are added.
 */
int calendar_grid_init(struct calendar_grid *g, enum batch_size size, int64_t start_us, int64_t now);
void calendar_grid_add(struct calendar_grid *g, enum batch_size size, const struct state_runs *states);
void calendar_grid_fini(struct calendar_grid *g);

/* The rows that have cells are [first, end). */
struct calendar_rows {
	int64_t first, end;
};
struct calendar_rows calendar_grid_rows(const struct calendar_grid *g);

/* The cells of a row as far as they are in the grid; *column: that of the first one. */
struct ordinal_range calendar_row_cells(const struct calendar_grid *g, int64_t row, unsigned *column);

/* "2024-09"; of a decade "2020s". buf holds CALENDAR_NAME_MAX. */
void calendar_row_label(const struct calendar_grid *g, int64_t row, char *buf);

/* What stands above the columns: the number of a day at its column ... */
const char *calendar_grid_ruler(const struct calendar_grid *g);
unsigned calendar_grid_columns(const struct calendar_grid *g);

/* Appends what the picture is of: "sessions: a character a day", for `sign` a "character". */
void calendar_grid_head(const struct calendar_grid *g, const char *sign, struct strbuf *out);

/* Appends the name with all that a terminal or XML would not take as a character replaced by '?'. */
void calendar_add_name(struct strbuf *out, const char *name);

/* The two documents: 0, or -ENOMEM. */
int report_calendar(const struct calendar_grid *g, struct strbuf *out);
int report_calendar_svg(const struct calendar_grid *g, struct strbuf *out);

#endif
