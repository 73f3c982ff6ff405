/* SPDX-License-Identifier: Apache-2.0 */
/* The documents: facts are gathered under the lock, text is made by report/. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "backend/view/batch.h"

/* With the lock. What was refused of the file, or of one of the parts. */
static const struct report_refusal *refusal_of(const struct snapshot *v, const struct backend_part *parts,
					       size_t n_parts, const struct backend_file *file)
{
	const struct report_refusal *newest = NULL;
	if (file && file->selection)
		newest = refusals_of_selection(v->refusals, file->selection, file->name);
	for (size_t i = 0; i < n_parts; i++)
		newest = refusals_newer(newest,
					refusals_of_range(v->refusals, parts[i].model, parts[i].batches));
	return newest;
}

int backend_batch_document(const struct backend *b, slot model, ordinal batch, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	struct batch_view seen;
	LOCKED(v->lock);
	int r = batch_view(v, model, batch, &seen);
	if (r == 0)
		r = report_batch(&seen.report, out);
	batch_view_fini(&seen);
	return r;
}

/* With the lock. standing NULL: not wanted. */
static void count_part(const struct snapshot *v, const struct backend_part *p, bool run, int64_t now,
		       struct report_summary *s, struct report_standing *standing)
{
	const struct model *m = models_at(v->models, p->model);
	ordinal newest = plan_existing(m, now).end - 1;
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		struct batch_info info;
		ledger_info(v->ledger, p->model, o, &info);
		info.state = plan_state(v->ledger, v->models, p->model, o);
		const char *reason = run ? plan_run_reason(m, info.state, o, newest) : "requested";
		if (!p->states || (p->states >> info.state & 1) != 0)
			report_count(s, o, &info, info.frozen ? NULL : reason);
		if (standing)
			report_note(standing, p->model, m, o, &info);
	}
}

/* With the lock. The part's frozen batches, in the order of the parts. */
static void add_frozen(const struct snapshot *v, const struct backend_part *p, struct report_frozen *out)
{
	struct ordinal_range rest = p->batches;
	while (rest.first < rest.end) {
		struct ordinal_range found = ledger_next_frozen(v->ledger, p->model, rest);
		for (ordinal o = found.first; o < found.end; o++)
			if (!p->states ||
			    (p->states >> plan_state(v->ledger, v->models, p->model, o) & 1) != 0)
				report_frozen_add(out, models_at(v->models, p->model), o);
		rest.first = found.end;
	}
}

/* With the lock. The model's counts, anew where something has changed. */
static const struct report_kept *kept_of(const struct snapshot *v, slot model, int64_t now)
{
	struct snapshot_model known = snapshot_model(v, model);
	struct report_kept *kept = known.kept;
	struct ordinal_range existing = plan_existing(models_at(v->models, model), now);
	if (kept->generation == known.generation && kept->end == existing.end)
		return kept;
	*kept = (struct report_kept){.generation = known.generation, .end = existing.end};
	count_part(v, &(struct backend_part){.model = model, .batches = existing}, true, now, &kept->summary,
		   &kept->standing);
	return kept;
}

static bool is_whole(const struct snapshot *v, const struct backend_part *p, int64_t now)
{
	struct ordinal_range all = plan_existing(models_at(v->models, p->model), now);
	return !p->states && p->batches.first == all.first && p->batches.end == all.end;
}

void backend_count_states(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			  size_t counts[BATCH_STATES])
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	memset(counts, 0, BATCH_STATES * sizeof counts[0]);
	for (size_t i = 0; i < n_parts; i++) {
		struct backend_part whole = parts[i];
		struct report_summary one = {0};
		whole.states = 0;
		LOCKED(v->lock);
		const struct report_summary *s = &one;
		if (is_whole(v, &whole, now))
			s = &kept_of(v, whole.model, now)->summary;
		else
			count_part(v, &whole, false, now, &one, NULL);
		for (int state = 0; state < BATCH_STATES; state++)
			if (!parts[i].states || (parts[i].states >> state & 1) != 0)
				counts[state] += s->states[state];
	}
}

int backend_parts_document(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			   const struct backend_file *file, bool run, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct report_summary all = {0};
	struct report_frozen frozen = {0};
	for (size_t i = 0; i < n_parts; i++) {
		/* A lock a part: somebody else may have it between. */
		struct report_summary one = {0};
		const struct report_summary *kept = NULL;
		LOCKED(v->lock);
		if (run && is_whole(v, &parts[i], now))
			kept = &kept_of(v, parts[i].model, now)->summary;
		else
			count_part(v, &parts[i], run, now, &one, NULL);
		if (n_parts > 1)
			report_merge(&all, kept ? kept : &one);
		else
			all = kept ? *kept : one;
		add_frozen(v, &parts[i], &frozen);
	}
	LOCKED(v->lock);
	int r = report_range(&all, n_parts == 1 ? models_at(v->models, parts[0].model) : NULL, &frozen,
			     run ? refusals_of_model(v->refusals, parts[0].model)
				 : refusal_of(v, parts, n_parts, file),
			     out);
	report_frozen_fini(&frozen);
	return r;
}

static void info_of(void *ctx, slot model, ordinal batch, struct batch_info *out)
{
	const struct snapshot *v = ctx;
	ledger_info(v->ledger, model, batch, out);
}

static struct report_source source_of(const struct snapshot *v, int64_t now)
{
	return (struct report_source){.now = now, .info = info_of, .ctx = (void *)v};
}

int backend_model_status(const struct backend *b, slot model, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct report_frozen frozen = {0};
	LOCKED(v->lock);
	const struct model *m = models_at(v->models, model);
	const struct report_kept *kept = kept_of(v, model, now);
	add_frozen(v, &(struct backend_part){.model = model, .batches = plan_existing(m, now)}, &frozen);
	struct report_source source = source_of(v, now);
	int r = report_status(&kept->summary, &kept->standing, m, &frozen,
			      refusals_of_model(v->refusals, model), &source, out);
	report_frozen_fini(&frozen);
	return r;
}

/* Counts what has changed, a model at a time: somebody else may have the lock between. */
static void count_ahead(const struct snapshot *v, const slot *models, size_t n, int64_t now)
{
	for (size_t i = 0; i < n; i++) {
		LOCKED(v->lock);
		kept_of(v, models[i], now);
	}
}

int backend_selection_document(const struct backend *b, const struct backend_selection *s, const char *text,
			       bool status, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct report_standing standing = {0};
	struct report_summary all = {0};
	struct report_frozen frozen = {0};
	count_ahead(v, s->models, s->n_models, now);
	LOCKED(v->lock);
	const struct report_refusal *refusal = refusals_of_selection(v->refusals, text, NULL);
	const struct model *only = s->n_models == 1 ? models_at(v->models, s->models[0]) : NULL;
	for (size_t i = 0; i < s->n_models; i++) {
		const struct report_kept *one = kept_of(v, s->models[i], now);
		const struct backend_part part = {
			.model = s->models[i],
			.batches = plan_existing(models_at(v->models, s->models[i]), now)};
		add_frozen(v, &part, &frozen);
		refusal = refusals_newer(refusal, refusals_of_model(v->refusals, s->models[i]));
		report_note_all(&standing, &one->standing);
		if (only)
			all = one->summary;
		else
			report_merge(&all, &one->summary);
	}
	struct report_source source = source_of(v, now);
	int r = report_selection(&all, status ? &standing : NULL, only, &frozen, refusal, &source,
				 (const char *const *)s->not_rebuilt, out);
	report_frozen_fini(&frozen);
	return r;
}

int backend_root_status(const struct backend *b, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	for (size_t i = 0;; i++) {
		LOCKED(v->lock);
		if (i >= models_count(v->models))
			break;
		kept_of(v, models_nth(v->models, i), now);
	}
	LOCKED(v->lock);
	size_t n = models_count(v->models);
	auto_free struct report_of_model *models = calloc(n + 1, sizeof *models);
	struct report_frozen frozen = {0};
	if (!models)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		slot s = models_nth(v->models, i);
		const struct report_kept *kept = kept_of(v, s, now);
		struct ordinal_range existing = plan_existing(models_at(v->models, s), now);
		models[i] = (struct report_of_model){.model = models_at(v->models, s),
						     .refusal = refusals_of_model(v->refusals, s),
						     .summary = &kept->summary,
						     .standing = &kept->standing};
		add_frozen(v, &(struct backend_part){.model = s, .batches = existing}, &frozen);
	}
	struct report_source source = source_of(v, now);
	struct report_mount mount = {.version = v->config->version,
				     .engine = v->config->engine->name,
				     .manifest = models_manifest(v->models),
				     .warehouse_error = v->warehouse->err ? v->warehouse->text : NULL,
				     .pid = getpid(),
				     .since = v->since,
				     .loaded_at = v->manifest->loaded_at,
				     .manifest_wrong_at = v->manifest->wrong.err ? v->manifest->wrong_at : 0,
				     .manifest_wrong = v->manifest->wrong.text};
	int r = report_root(models, n, &frozen, refusals_of_root(v->refusals), &mount, &source, out);
	report_frozen_fini(&frozen);
	return r;
}

/* With the lock. */
static struct report_protection protection_of(const struct snapshot *v, slot model)
{
	struct report_protection p = {.by_config = models_at(v->models, model)->full_refresh == TRI_FALSE,
				      .by_mount = v->config->protect};
	p.by = ledger_protected(v->ledger, model, &p.at);
	return p;
}

int backend_model_document(const struct backend *b, slot model, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	struct snapshot_model known = snapshot_model(v, model);
	struct ordinal_range first =
		ledger_next_frozen(v->ledger, model, (struct ordinal_range){0, UINT32_MAX});
	struct report_model r = {.model = models_at(v->models, model),
				 .why_not = known.why_not,
				 .notes = known.notes ? known.notes : "",
				 .frozen = first.first < first.end,
				 .event_time_type = known.event_time_type,
				 .protection = protection_of(v, model)};
	return report_model(&r, out);
}

int backend_full_refresh_document(const struct backend *b, slot model, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	const struct model *m = models_at(v->models, model);
	struct report_protection protection = protection_of(v, model);
	return report_full_refresh(m, &protection, refusals_of_full_refresh(v->refusals, model), out);
}
