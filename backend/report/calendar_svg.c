/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calendar as a picture: the colours of Okabe and Ito, which those tell apart who do not see all colours,
 * and the character of the text in every cell that is not done. Sizes are in pixels. No style sheet: what
 * draws SVG does not always know them.
 */
#include <errno.h>
#include <string.h>

#include "backend/report/calendar_grid.h"

#define CELL   14 /* with the gap behind it */
#define SIDE   12
#define LEFT   92
#define TOP    52
#define MARGIN 12
#define LEGEND 20 /* a line of it */

static const struct colours {
	const char *fill, *mark;
} colours[] = {
	[BATCH_RUNNING] = {"#56B4E9", "#000000"}, [BATCH_QUEUED] = {"#0072B2", "#FFFFFF"},
	[BATCH_FAILED] = {"#D55E00", "#FFFFFF"},  [BATCH_SKIPPED] = {"#CC79A7", "#000000"},
	[BATCH_UNKNOWN] = {"#BBBBBB", "#000000"}, [BATCH_PENDING] = {"#F2F2F2", "#000000"},
	[BATCH_PARTIAL] = {"#F0E442", "#000000"}, [BATCH_STALE] = {"#E69F00", "#000000"},
	[BATCH_DONE] = {"#009E73", "#FFFFFF"},
};
_Static_assert(sizeof colours / sizeof *colours == BATCH_STATES, "every state has its colours");

static void add_escaped(struct strbuf *out, const char *name)
{
	auto_strbuf plain = STRBUF_INIT;

	calendar_add_name(&plain, name);
	for (const char *c = plain.str; *c; c++) {
		if (*c == '&')
			strbuf_puts(out, "&amp;");
		else if (*c == '<')
			strbuf_puts(out, "&lt;");
		else if (*c == '>')
			strbuf_puts(out, "&gt;");
		else
			strbuf_putc(out, *c);
	}
}

static void add_text(struct strbuf *out, unsigned x, unsigned y, const char *text)
{
	strbuf_printf(out, "<text x=\"%u\" y=\"%u\">", x, y);
	add_escaped(out, text);
	strbuf_puts(out, "</text>\n");
}

/* A cell, or a sample of one in the legend (name: NULL). */
static void add_cell(struct strbuf *out, unsigned x, unsigned y, enum batch_state state, const char *name)
{
	const struct batch_state_traits *t = batch_state_traits(state);

	strbuf_printf(
		out,
		"<g><title>%s%s%s</title><rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" fill=\"%s\"/>",
		name ? name : "", name ? ": " : "", t->word, x, y, SIDE, SIDE, colours[state].fill);
	/* Nothing else in the picture is as frequent. */
	if (state != BATCH_DONE)
		strbuf_printf(
			out,
			"<text x=\"%u\" y=\"%u\" text-anchor=\"middle\" font-size=\"9\" fill=\"%s\">%c</text>",
			x + SIDE / 2, y + SIDE - 3, colours[state].mark, t->mark);
	strbuf_puts(out, "</g>\n");
}

static void add_ruler(const struct calendar_grid *g, struct strbuf *out)
{
	const char *ruler = calendar_grid_ruler(g);

	for (unsigned i = 0; ruler[i];) {
		size_t digits = strspn(ruler + i, "0123456789");
		/* A number of several digits stands above its last one; what stands side by side is each for
		 * itself. */
		unsigned n = g->unit == BATCH_YEAR || digits == 0 ? 1 : (unsigned)digits;
		if (ruler[i] != ' ')
			strbuf_printf(out, "<text x=\"%u\" y=\"%d\" text-anchor=\"middle\">%.*s</text>\n",
				      LEFT + (i + n - 1) * CELL + SIDE / 2, TOP - 6, (int)n, ruler + i);
		i += n;
	}
}

static void add_row(const struct calendar_grid *g, int64_t row, unsigned y, struct strbuf *out)
{
	char name[CALENDAR_NAME_MAX];
	unsigned column;
	struct ordinal_range cells = calendar_row_cells(g, row, &column);

	calendar_row_label(g, row, name);
	add_text(out, MARGIN, y + SIDE - 2, name);
	for (ordinal c = cells.first; c < cells.end; c++) {
		uint8_t state = g->worst[c - g->cells.first];
		calendar_name(g->unit, c, name);
		if (state < BATCH_STATES)
			add_cell(out, LEFT + (column + (c - cells.first)) * CELL, y, (enum batch_state)state,
				 name);
	}
}

static unsigned legend_lines(const struct calendar_grid *g)
{
	unsigned n = 0;

	for (int s = 0; s < BATCH_STATES; s++)
		n += g->states[s] > 0;
	return n;
}

int report_calendar_svg(const struct calendar_grid *g, struct strbuf *out)
{
	struct calendar_rows rows = calendar_grid_rows(g);
	unsigned y = TOP, width = LEFT + CALENDAR_COLUMNS * CELL + MARGIN,
		 height = TOP + (unsigned)(rows.end - rows.first) * CELL + legend_lines(g) * LEGEND +
			  2 * MARGIN;
	auto_strbuf head = STRBUF_INIT;

	strbuf_printf(
		out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" "
		"height=\"%u\" viewBox=\"0 0 %u %u\" font-family=\"sans-serif\" font-size=\"11\">\n"
		"<rect width=\"%u\" height=\"%u\" fill=\"#FFFFFF\"/>\n",
		width, height, width, height, width, height);
	calendar_grid_head(g, "square", &head);
	add_text(out, MARGIN, 20, head.str);
	add_ruler(g, out);
	for (int64_t row = rows.first; row < rows.end; row++, y += CELL)
		add_row(g, row, y, out);
	y += MARGIN;
	for (int s = 0; s < BATCH_STATES; s++) {
		if (!g->states[s])
			continue;
		add_cell(out, MARGIN, y, (enum batch_state)s, NULL);
		strbuf_printf(out, "<text x=\"%d\" y=\"%u\">%s %zu</text>\n", MARGIN + LEGEND, y + SIDE - 2,
			      batch_state_name((enum batch_state)s), g->states[s]);
		y += LEGEND;
	}
	strbuf_puts(out, "</svg>\n");
	return strbuf_broken(out) || strbuf_broken(&head) ? -ENOMEM : 0;
}
