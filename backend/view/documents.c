/* SPDX-License-Identifier: Apache-2.0 */
/* The documents: facts are gathered under the lock, text is made by report/. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "backend/plan.h"
#include "backend/view/batch.h"
#include "backend/view/protection.h"
#include "backend/view/summary.h"

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

void backend_count_states(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			  size_t counts[BATCH_STATES])
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	memset(counts, 0, BATCH_STATES * sizeof counts[0]);
	for (size_t i = 0; i < n_parts; i++) {
		struct backend_part whole = parts[i];
		struct report_summary one = {0};
		/* The states alone do not tell what is changed. */
		bool counted = (whole.states & SET_CHANGED) != 0;
		if (!counted)
			whole.states = 0;
		LOCKED(v->lock);
		const struct report_kept *kept =
			summary_is_whole(v, &whole, now) ? summary_kept(v, whole.model, now) : NULL;
		const struct report_summary *s = kept ? &kept->summary : &one;
		if (!kept)
			summary_count(v, &whole, false, now, &one, NULL);
		for (int state = 0; state < BATCH_STATES; state++)
			if (counted || !parts[i].states || (parts[i].states >> state & 1) != 0)
				counts[state] += s->states[state];
	}
}

int backend_parts_document(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			   const struct backend_file *file, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct report_summary all;
	struct report_frozen frozen = {0};
	auto_free struct report_summary *of = calloc(n_parts + 1, sizeof *of);
	if (!of)
		return -ENOMEM;
	for (size_t i = 0; i < n_parts; i++) {
		/* A lock a part: somebody else may have it between. */
		LOCKED(v->lock);
		summary_count(v, &parts[i], false, now, &of[i], NULL);
		summary_add_frozen(v, &parts[i], &frozen);
	}
	LOCKED(v->lock);
	int r = summary_join(v, parts, of, n_parts, &all);
	if (r == 0)
		r = report_range(&all, n_parts == 1 ? models_at(v->models, parts[0].model) : NULL, &frozen,
				 refusal_of(v, parts, n_parts, file), out);
	report_frozen_fini(&frozen);
	return r;
}

int backend_run_document(const struct backend *b, slot model, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct report_summary s;
	struct report_frozen frozen = {0};
	LOCKED(v->lock);
	const struct model *m = models_at(v->models, model);
	summary_add_frozen(v, &(struct backend_part){.model = model, .batches = plan_existing(m, now)},
			   &frozen);
	int r = summary_run(v, &model, 1, now, &s);
	if (r == 0)
		r = report_range(&s, m, &frozen, refusals_of_model(v->refusals, model), out);
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
	struct report_summary s;
	LOCKED(v->lock);
	const struct model *m = models_at(v->models, model);
	int r = summary_run(v, &model, 1, now, &s);
	summary_add_frozen(v, &(struct backend_part){.model = model, .batches = plan_existing(m, now)},
			   &frozen);
	struct report_source source = source_of(v, now);
	if (r == 0)
		r = report_status(&s, &summary_kept(v, model, now)->standing, m, &frozen,
				  refusals_of_model(v->refusals, model), &source, out);
	report_frozen_fini(&frozen);
	return r;
}

/* Counts what has changed, a model at a time: somebody else may have the lock between. */
static void count_ahead(const struct snapshot *v, const slot *models, size_t n, int64_t now)
{
	for (size_t i = 0; i < n; i++) {
		LOCKED(v->lock);
		summary_kept(v, models[i], now);
	}
}

/* With the lock. What the selection does not rebuild: no microbatch models, then those that cannot be built.
 * NULL: no memory. */
static struct report_not_rebuilt *not_rebuilt(const struct snapshot *v, const struct backend_selection *s,
					      size_t *n)
{
	struct report_not_rebuilt *list = calloc(s->n_not_rebuilt + s->n_models + 1, sizeof *list);
	*n = 0;
	for (size_t i = 0; list && i < s->n_not_rebuilt; i++)
		list[(*n)++] = (struct report_not_rebuilt){
			s->not_rebuilt[i], "It is no microbatch model, and only those are built here"};
	for (size_t i = 0; list && i < s->n_models; i++) {
		const char *why_not = snapshot_model(v, s->models[i]).why_not;
		if (why_not)
			list[(*n)++] =
				(struct report_not_rebuilt){models_dir(v->models, s->models[i]), why_not};
	}
	return list;
}

int backend_selection_document(const struct backend *b, const struct backend_selection *s, const char *text,
			       bool status, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct report_standing standing = {0};
	struct report_summary all;
	struct report_frozen frozen = {0};
	size_t n_left;
	count_ahead(v, s->models, s->n_models, now);
	LOCKED(v->lock);
	const struct report_refusal *refusal =
		text ? refusals_of_selection(v->refusals, text, NULL) : refusals_of_root(v->refusals);
	const struct model *only = s->n_models == 1 ? models_at(v->models, s->models[0]) : NULL;
	auto_free struct report_not_rebuilt *left = not_rebuilt(v, s, &n_left);
	int r = left ? summary_run(v, s->models, s->n_models, now, &all) : -ENOMEM;
	for (size_t i = 0; i < s->n_models && r == 0; i++) {
		const struct report_kept *one = summary_kept(v, s->models[i], now);
		const struct backend_part part = {
			.model = s->models[i],
			.batches = plan_existing(models_at(v->models, s->models[i]), now)};
		summary_add_frozen(v, &part, &frozen);
		refusal = refusals_newer(refusal, refusals_of_model(v->refusals, s->models[i]));
		report_note_all(&standing, &one->standing);
	}
	struct report_source source = source_of(v, now);
	if (r == 0)
		r = report_selection(&all, status ? &standing : NULL, only, &frozen, refusal, &source, left,
				     n_left, out);
	report_frozen_fini(&frozen);
	return r;
}

int backend_root_status(const struct backend *b, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	summary_count_ahead(v, now);
	LOCKED(v->lock);
	size_t n = models_count(v->models);
	auto_free struct report_of_model *models = calloc(n + 1, sizeof *models);
	auto_free slot *slots = calloc(n + 1, sizeof *slots);
	struct report_frozen frozen = {0};
	struct report_summary all;
	if (!models || !slots)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		slots[i] = models_nth(v->models, i);
	int r = summary_run(v, slots, n, now, &all);
	for (size_t i = 0; i < n && r == 0; i++) {
		slot s = slots[i];
		const struct report_kept *kept = summary_kept(v, s, now);
		struct ordinal_range existing = plan_existing(models_at(v->models, s), now);
		models[i] = (struct report_of_model){.model = models_at(v->models, s),
						     .refusal = refusals_of_model(v->refusals, s),
						     .summary = &kept->summary,
						     .standing = &kept->standing};
		summary_add_frozen(v, &(struct backend_part){.model = s, .batches = existing}, &frozen);
	}
	struct report_source source = source_of(v, now);
	struct report_mount mount = {.version = v->config->version,
				     .engine = v->config->engine->name,
				     .store = engine_store_name(v->config->engine),
				     .manifest = models_manifest(v->models),
				     .warehouse_error = v->warehouse->err ? v->warehouse->text : NULL,
				     .pid = getpid(),
				     .since = v->since,
				     .loaded_at = v->manifest->loaded_at,
				     .manifest_wrong_at = v->manifest->wrong.err ? v->manifest->wrong_at : 0,
				     .manifest_wrong = v->manifest->wrong.text};
	if (r == 0)
		r = report_root(&all, models, n, &frozen, refusals_of_root(v->refusals), &mount, &source,
				out);
	report_frozen_fini(&frozen);
	return r;
}

int backend_model_document(const struct backend *b, slot model, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	struct snapshot_model known = snapshot_model(v, model);
	struct ordinal_range first =
		ledger_next_frozen(v->ledger, model, (struct ordinal_range){0, UINT32_MAX});
	const struct model *m = models_at(v->models, model);
	struct report_model r = {.model = m,
				 .looked_at = known.look.looked_at,
				 .compiled_at = clock_of_system(v->config->clock, m->compiled_at),
				 .why_not = known.why_not,
				 .builder = engine_builder(v->config->engine, m)->name,
				 .notes = known.notes ? known.notes : "",
				 .strategy = known.strategy,
				 .frozen = first.first < first.end,
				 .event_time_type = known.event_time_type,
				 .protection = protection_of(v, model)};
	return report_model(&r, out);
}

int backend_adopt_document(const struct backend *b, const slot *models, size_t n, bool several,
			   const struct backend_file *file, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	auto_free struct report_look *looks = calloc(n + 1, sizeof *looks);
	if (!looks)
		return -ENOMEM;
	LOCKED(v->lock);
	for (size_t i = 0; i < n; i++) {
		looks[i] = snapshot_model(v, models[i]).look;
		looks[i].model = models_at(v->models, models[i]);
	}
	const struct report_refusal *refusal =
		file->selection ? refusals_of_selection(v->refusals, file->selection, file->name)
		: several	? refusals_of_root(v->refusals)
				: refusals_of_model(v->refusals, models[0]);
	return report_looks(looks, n, several, refusal, out);
}
