/* SPDX-License-Identifier: Apache-2.0 */
/* The calendar for a terminal: plain characters, so that it can be mailed, diffed and read aloud. */
#include <errno.h>
#include <string.h>

#include "backend/base/count.h"
#include "backend/report/calendar_grid.h"

/* A row's label, padded, is as wide as this. */
#define LABEL 12

static void add_row(const struct calendar_grid *g, int64_t row, struct strbuf *out)
{
	char label[CALENDAR_NAME_MAX], line[CALENDAR_COLUMNS + 1];
	unsigned column;
	struct ordinal_range cells = calendar_row_cells(g, row, &column);

	calendar_row_label(g, row, label);
	memset(line, ' ', sizeof line);
	for (ordinal c = cells.first; c < cells.end; c++) {
		uint8_t state = g->worst[c - g->cells.first];
		if (state < BATCH_STATES)
			line[column + (c - cells.first)] = batch_state_traits((enum batch_state)state)->mark;
	}
	size_t n = sizeof line;
	while (n > 0 && line[n - 1] == ' ')
		n--;
	strbuf_printf(out, n ? "%-*s" : "%.*s", n ? LABEL : (int)strlen(label), label);
	strbuf_add(out, line, n);
	strbuf_putc(out, '\n');
}

/* "# 96  F 2": of each state that there is, its character and its count. */
static void add_counts(const size_t *states, bool named, struct strbuf *out)
{
	const char *before = "";
	for (int s = 0; s < BATCH_STATES; s++) {
		const struct batch_state_traits *t = batch_state_traits((enum batch_state)s);
		if (!states[s])
			continue;
		strbuf_printf(out, "%s%c ", before, t->mark);
		if (named)
			strbuf_printf(out, "%s ", t->word);
		strbuf_printf(out, "%zu", states[s]);
		before = named ? "   " : "  ";
	}
	strbuf_putc(out, '\n');
}

static bool is_all_built(const struct calendar_model *m)
{
	for (int s = 0; s < BATCH_STATES; s++)
		if (m->states[s] && s != BATCH_DONE && s != BATCH_PARTIAL)
			return false;
	return true;
}

/* Those that somebody may want to look at: on one screen, however many models there are. */
static void add_models(const struct calendar_grid *g, struct strbuf *out)
{
	size_t built = 0, width = 0;
	if (!g->n_models)
		return;
	for (size_t i = 0; i < g->n_models; i++)
		if (!is_all_built(&g->models[i]) && strlen(g->models[i].dir) > width)
			width = strlen(g->models[i].dir);
	strbuf_putc(out, '\n');
	for (size_t i = 0; i < g->n_models; i++) {
		const struct calendar_model *m = &g->models[i];
		if (is_all_built(m)) {
			built++;
			continue;
		}
		size_t before = out->len;
		calendar_add_name(out, m->dir);
		size_t used = out->len - before;
		strbuf_fill(out, ' ', (used < width ? width - used : 0) + 2);
		add_counts(m->states, false, out);
	}
	if (built)
		strbuf_printf(out, "%s of which everything is built\n",
			      count_of(built, "model", "models").text);
}

int report_calendar(const struct calendar_grid *g, struct strbuf *out)
{
	struct calendar_rows rows = calendar_grid_rows(g);

	calendar_grid_head(g, "character", out);
	strbuf_puts(out, "\n\n");
	if (rows.first >= rows.end)
		strbuf_puts(out, "There is no batch yet.\n");
	else
		strbuf_printf(out, "%*s%s\n", LABEL, "", calendar_grid_ruler(g));
	for (int64_t row = rows.first; row < rows.end; row++)
		add_row(g, row, out);
	if (rows.first < rows.end) {
		strbuf_putc(out, '\n');
		add_counts(g->states, true, out);
	}
	add_models(g, out);
	return strbuf_broken(out) ? -ENOMEM : 0;
}
