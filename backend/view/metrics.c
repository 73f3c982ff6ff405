/* SPDX-License-Identifier: Apache-2.0 */
/* What .metrics says: gathered a model at a time, so that somebody else may have the lock between. */
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/report/metrics.h"
#include "backend/view/summary.h"

/* NULL: no memory. */
static slot *present(const struct snapshot *v, size_t *n)
{
	LOCKED(v->lock);
	*n = models_count(v->models);
	slot *slots = calloc(*n + 1, sizeof *slots);
	for (size_t i = 0; slots && i < *n; i++)
		slots[i] = models_nth(v->models, i);
	return slots;
}

/* False: the model has gone meanwhile, or (*r: -ENOMEM) there is no memory. */
static bool gather(const struct snapshot *v, slot model, int64_t now, struct report_model_metrics *out,
		   int *r)
{
	LOCKED(v->lock);
	if (models_gone(v->models, model))
		return false;
	struct snapshot_model known = snapshot_model(v, model);
	const struct report_kept *kept = summary_kept(v, model, now);
	if (!kept) {
		*r = -ENOMEM;
		return false;
	}
	const struct model *m = models_at(v->models, model);
	*out = (struct report_model_metrics){
		.dir = models_dir(v->models, model),
		.builder = known.why_not ? NULL : engine_builder(v->config->engine, m)->name,
		.oldest_failure = kept->standing.oldest_failure,
		.attempts = *known.attempts};
	if (!known.why_not)
		out->built_until = kept->standing.built_until;
	for (int s = 0; s < BATCH_STATES; s++)
		out->states[s] = kept->summary.states[s];
	return true;
}

int backend_metrics_document(const struct backend *b, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	const struct engine *e = v->config->engine;
	struct report_metrics m = {
		.version = v->config->version,
		.engine = e->name,
		.store = engine_store_name(e),
		.builders = {engine_looks(e)->name, e->guest && !e->elsewhere ? e->guest->traits.name : NULL},
		.now = clock_now_us(v->config->clock)};
	size_t n;
	int r = 0;
	auto_free slot *slots = present(v, &n);
	auto_free struct report_model_metrics *models = slots ? calloc(n + 1, sizeof *models) : NULL;
	if (!models)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		m.n += gather(v, slots[i], m.now, &models[m.n], &r);
	m.models = models;
	{
		LOCKED(v->lock);
		m.requests_open = ledger_open(v->ledger);
		m.warehouse_up = v->warehouse->err == 0;
		m.manifest_error = v->manifest->wrong.err != 0;
		m.manifest_loaded_at = v->manifest->loaded_at;
	}
	return r ? r : report_metrics(&m, out);
}
