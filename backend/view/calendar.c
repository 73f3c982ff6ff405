/* SPDX-License-Identifier: Apache-2.0 */
/* What .calendar and .calendar.svg show: drawn a model at a time, so that somebody else may have the lock
 * between. */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/plan.h"
#include "backend/report/calendar_grid.h"
#include "backend/view/summary.h"

/* What is drawn: the time from the earliest begin on, and the smallest batches. */
struct extent {
	int64_t start_us;
	enum batch_size size;
};

/* With the lock. False: the model has gone, or has no batch. */
static bool extends(const struct snapshot *v, slot model, int64_t now, struct ordinal_range *existing)
{
	if (models_gone(v->models, model))
		return false;
	*existing = plan_existing(models_at(v->models, model), now);
	return existing->first < existing->end;
}

static struct extent extent_of(const struct snapshot *v, const slot *models, size_t n, int64_t now)
{
	struct extent e = {.start_us = INT64_MAX, .size = BATCH_YEAR};
	bool any = false;
	for (size_t i = 0; i < n; i++) {
		LOCKED(v->lock);
		struct ordinal_range existing;
		enum batch_size size = models_batch_size(v->models, models[i]);
		if (!extends(v, models[i], now, &existing))
			continue;
		int64_t start = calendar_start(size, existing.first);
		e.start_us = start < e.start_us ? start : e.start_us;
		e.size = !any || size < e.size ? size : e.size;
		any = true;
	}
	/* Of several models hours would be a row a day: no picture of years. */
	if (n > 1 && e.size == BATCH_HOUR)
		e.size = BATCH_DAY;
	return e;
}

static int draw(const struct snapshot *v, slot model, int64_t now, struct calendar_grid *g,
		struct calendar_model *counts, size_t *n)
{
	LOCKED(v->lock);
	struct ordinal_range existing;
	if (!extends(v, model, now, &existing))
		return 0;
	const struct report_kept *kept = summary_kept(v, model, now);
	if (!kept)
		return -ENOMEM;
	calendar_grid_add(g, models_batch_size(v->models, model), &kept->states);
	counts[*n].dir = models_dir(v->models, model);
	for (int s = 0; s < BATCH_STATES; s++)
		counts[*n].states[s] = kept->summary.states[s];
	++*n;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct calendar_model *one = a, *other = b;
	return strcmp(one->dir, other->dir);
}

int backend_calendar_document(const struct backend *b, const slot *models, size_t n, const char *title,
			      bool svg, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct extent e = extent_of(v, models, n, now);
	struct calendar_grid g __attribute__((cleanup(calendar_grid_fini))) = {.worst = NULL};
	auto_free struct calendar_model *counts = calloc(n + 1, sizeof *counts);
	size_t drawn = 0;
	int r = counts ? calendar_grid_init(&g, e.size, e.start_us, now) : -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = draw(v, models[i], now, &g, counts, &drawn);
	if (r)
		return r;
	g.title = title;
	if (n > 1) {
		g.models = counts;
		g.n_models = drawn;
		qsort(counts, drawn, sizeof *counts, by_name);
	}
	return svg ? report_calendar_svg(&g, out) : report_calendar(&g, out);
}
