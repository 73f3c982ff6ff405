/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/view/summary.h"

#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/plan.h"
#include "backend/view/estimate.h"

void summary_count(const struct snapshot *v, const struct backend_part *p, bool run, int64_t now,
		   struct report_summary *s, struct report_kept *kept)
{
	const struct model *m = models_at(v->models, p->model);
	ordinal newest = plan_existing(m, now).end - 1;
	bool here = !snapshot_model(v, p->model).why_not;
	s->unlooked |= run && here && !ledger_looked(v->ledger, p->model);
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		struct batch_info info;
		ledger_info(v->ledger, p->model, o, &info);
		info.state = plan_state(v->ledger, v->models, p->model, o);
		const char *reason = run ? plan_run_reason(m, info.state, o, newest) : "requested";
		if (!here || info.frozen)
			reason = NULL;
		if (plan_in_set(v->ledger, p->model, o, info.state, p->states))
			report_count(s, o, &info, reason);
		if (!kept)
			continue;
		report_note(&kept->standing, p->model, m, o, &info);
		report_note_outcome(&kept->outcomes, o, &info);
		state_runs_add(&kept->states, o, info.state);
		if (reason)
			batch_set_add(&kept->build, o);
	}
	if (kept)
		kept->standing.not_here = !here;
}

const struct report_kept *summary_kept(const struct snapshot *v, slot model, int64_t now)
{
	struct snapshot_model known = snapshot_model(v, model);
	struct report_kept *kept = known.kept;
	struct ordinal_range existing = plan_existing(models_at(v->models, model), now);
	if (kept->generation == known.generation && kept->end == existing.end)
		return kept;
	report_kept_fini(kept);
	if (report_kept_init(kept, existing) < 0)
		return NULL;
	summary_count(v, &(struct backend_part){.model = model, .batches = existing}, true, now,
		      &kept->summary, kept);
	const struct estimate_part part = {model, &kept->summary};
	if (kept->states.broken || estimate(v, &part, 1, &kept->summary.expected) < 0)
		return NULL;
	kept->generation = known.generation;
	return kept;
}

void summary_count_ahead(const struct snapshot *v, int64_t now)
{
	for (size_t i = 0;; i++) {
		LOCKED(v->lock);
		if (i >= models_count(v->models))
			break;
		summary_kept(v, models_nth(v->models, i), now);
	}
}

bool summary_is_whole(const struct snapshot *v, const struct backend_part *p, int64_t now)
{
	struct ordinal_range all = plan_existing(models_at(v->models, p->model), now);
	return !p->states && p->batches.first == all.first && p->batches.end == all.end;
}

void summary_add_frozen(const struct snapshot *v, const struct backend_part *p, struct report_frozen *out)
{
	struct ordinal_range rest = p->batches;
	while (rest.first < rest.end) {
		struct ordinal_range found = ledger_next_frozen(v->ledger, p->model, rest);
		for (ordinal o = found.first; o < found.end; o++)
			if (!p->states || plan_is_in_set(v->ledger, v->models, p->model, o, p->states))
				report_frozen_add(out, models_at(v->models, p->model), o);
		rest.first = found.end;
	}
}

/* Models that are brought up to date together. */
struct run {
	struct report_summary *of;   /* each alone */
	struct batch_set *build;     /* what is built of each */
	struct batch_set **by_slot;  /* the same; NULL: nothing can be */
	struct estimate_part *parts; /* for the estimate */
	size_t n;
};

static void run_fini(struct run *r)
{
	for (size_t i = 0; r->build && i < r->n; i++)
		batch_set_fini(&r->build[i]);
	free(r->of);
	free(r->build);
	free(r->by_slot);
	free(r->parts);
}

/* What a model's batches would be stale of comes to what it builds by itself. */
static void add_spread(const struct snapshot *v, slot model, const struct batch_set *all,
		       const struct batch_set *own, struct report_summary *s)
{
	struct ordinal_range next;
	if (all->n == own->n)
		return;
	for (next = batch_set_next(all, 0); next.first < next.end; next = batch_set_next(all, next.end)) {
		for (ordinal o = next.first; o < next.end; o++) {
			struct batch_info info;
			if (batch_set_has(own, o))
				continue;
			ledger_info(v->ledger, model, o, &info);
			/* What is queued or running is built anyway. */
			if (info.state == BATCH_DONE)
				report_count_build(s, o, &info, batch_state_name(BATCH_STALE));
		}
	}
}

static int run_count(const struct snapshot *v, const slot *models, int64_t now, struct run *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct report_kept *kept = summary_kept(v, models[i], now);
		if (!kept || batch_set_copy(&r->build[i], &kept->build) < 0)
			return -ENOMEM;
		r->of[i] = kept->summary;
		r->parts[i] = (struct estimate_part){models[i], &r->of[i]};
		bool can = !snapshot_model(v, models[i]).why_not && ledger_looked(v->ledger, models[i]);
		r->by_slot[models[i]] = can ? &r->build[i] : NULL;
	}
	plan_run_spread(v->ledger, v->models, r->by_slot);
	for (size_t i = 0; i < r->n; i++)
		add_spread(v, models[i], &r->build[i], &summary_kept(v, models[i], now)->build, &r->of[i]);
	return 0;
}

static int join(const struct snapshot *v, const struct estimate_part *parts, size_t n,
		struct report_summary *out)
{
	*out = n == 1 ? *parts[0].summary : (struct report_summary){0};
	for (size_t i = 0; n != 1 && i < n; i++)
		report_merge(out, parts[i].summary);
	return estimate(v, parts, n, &out->expected);
}

int summary_run(const struct snapshot *v, const slot *models, size_t n, int64_t now,
		struct report_summary *out)
{
	struct run run __attribute__((cleanup(run_fini))) = {.n = n};
	run.of = calloc(n + 1, sizeof *run.of);
	run.build = calloc(n + 1, sizeof *run.build);
	run.by_slot = calloc((size_t)models_end(v->models) + 1, sizeof *run.by_slot);
	run.parts = calloc(n + 1, sizeof *run.parts);
	if (!run.of || !run.build || !run.by_slot || !run.parts)
		return -ENOMEM;
	int r = run_count(v, models, now, &run);
	return r < 0 ? r : join(v, run.parts, n, out);
}

int summary_join(const struct snapshot *v, const struct backend_part *parts,
		 const struct report_summary *summaries, size_t n, struct report_summary *out)
{
	auto_free struct estimate_part *of = calloc(n + 1, sizeof *of);
	if (!of)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		of[i] = (struct estimate_part){parts[i].model, &summaries[i]};
	return join(v, of, n, out);
}
