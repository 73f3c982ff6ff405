/* SPDX-License-Identifier: Apache-2.0 */
/* What the last validations say, of parts of models. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/plan.h"
#include "backend/report/validation.h"
#include "backend/snapshot.h"

struct gathering {
	const struct snapshot *v;
	struct report_validation *out; /* NULL: only the counts are wanted */
	int64_t found;
	size_t models, missing; /* that can be validated; and of which something was not */
	int64_t at;		/* the oldest; 0: none yet */
};

/* With the lock. */
static int take(struct gathering *g, slot model, const struct validation_part *p)
{
	const char *dir = models_dir(g->v->models, model);
	enum batch_size size = models_batch_size(g->v->models, model);
	g->found += p->found;
	if (p->covered && (!g->at || p->at < g->at))
		g->at = p->at;
	if (!g->out)
		return 0;
	g->out->batches += p->batches;
	g->out->pending += p->pending;
	g->out->rows = p->rows;
	g->out->recorded = p->recorded;
	for (size_t i = 0; i < p->n; i++)
		if (report_problem_add(g->out, dir, size, p->list[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* With the lock. *missing: a part of it was never looked at. */
static int compose(struct gathering *g, slot model, struct ordinal_range batches, bool whole, bool *missing)
{
	const struct validation_list *l = snapshot_model(g->v, model).validations;
	struct validation_part p;
	int r = validation_compose(l, models_batch_size(g->v->models, model), batches, whole, &p);
	if (r == 0)
		r = take(g, model, &p);
	*missing |= !p.covered;
	if (r == 0 && g->out && p.under_way && !g->out->since) {
		g->out->since = p.under_way->v.asked_at;
		g->out->begun = p.under_way->begun;
		if (p.under_way->waits_for)
			snprintf(g->out->waits_for, sizeof g->out->waits_for, "%s", p.under_way->waits_for);
	}
	if (g->out && l->failed && (!p.covered || l->failed_at >= p.at)) {
		g->out->failed_at = l->failed_at;
		snprintf(g->out->failed, sizeof g->out->failed, "%s: %s", models_dir(g->v->models, model),
			 l->failed);
	}
	validation_part_fini(&p);
	return r;
}

/* With the lock. Neighbours of a set of states as one. */
static int compose_set(struct gathering *g, const struct backend_part *part, bool *missing)
{
	int r = 0;
	for (ordinal o = part->batches.first; o < part->batches.end && r == 0; o++) {
		ordinal first = o;
		while (o < part->batches.end &&
		       plan_is_in_set(g->v->ledger, g->v->models, part->model, o, part->states))
			o++;
		if (o > first)
			r = compose(g, part->model, (struct ordinal_range){first, o}, false, missing);
	}
	return r;
}

static int gather_part(struct gathering *g, const struct backend_part *part)
{
	LOCKED(g->v->lock);
	bool missing = false;
	/* What has no table that anybody could look at is not validated, and is missed by nobody. */
	if (models_gone(g->v->models, part->model) || !snapshot_model(g->v, part->model).lookable)
		return 0;
	struct ordinal_range existing =
		plan_existing(models_at(g->v->models, part->model), clock_now_us(g->v->config->clock));
	bool whole = part->batches.first <= existing.first && part->batches.end >= existing.end;
	int r = part->states ? compose_set(g, part, &missing)
			     : compose(g, part->model, part->batches, whole, &missing);
	g->models++;
	g->missing += missing;
	if (r == 0 && missing && g->out)
		report_missing_add(g->out, models_dir(g->v->models, part->model));
	return r;
}

static int gather(struct gathering *g, const struct backend_part *parts, size_t n_parts)
{
	int r = 0;
	for (size_t i = 0; i < n_parts && r == 0; i++)
		r = gather_part(g, &parts[i]);
	return r;
}

int backend_validation_verdict(const struct backend *b, const struct backend_part *parts, size_t n_parts)
{
	struct gathering g = {.v = snapshot_of(b)};
	int r = gather(&g, parts, n_parts);
	if (r < 0)
		return r;
	if (g.found)
		return -EUCLEAN;
	return g.missing || !g.models ? -ENODATA : 0;
}

int backend_validation_document(const struct backend *b, const struct backend_part *parts, size_t n_parts,
				bool several, bool single, bool json, struct strbuf *out)
{
	struct report_validation report = {.rows = -1, .recorded = -1, .several = several};
	struct gathering g = {.v = snapshot_of(b), .out = &report};
	if (single) {
		report.single = true;
		report.batch = parts->batches.first;
		report.dir = models_dir(g.v->models, parts->model);
		report.size = models_batch_size(g.v->models, parts->model);
	}
	int r = gather(&g, parts, n_parts);
	report.found = g.found;
	report.at = g.missing ? 0 : g.at;
	report.oldest = g.at;
	report.models = g.models;
	report.never = engine_looks(g.v->config->engine)->no_validation;
	if (r == 0)
		r = json ? report_validation_json(&report, out) : report_validation_table(&report, out);
	report_validation_fini(&report);
	return r;
}
