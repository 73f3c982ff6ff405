/* SPDX-License-Identifier: Apache-2.0 */
/* The documents: facts are gathered under the lock, text is made by report/. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "backend/view/causes.h"

/* With the lock. The newest refusal of all that concern one of the parts. */
static const struct report_refusal *refusal_of_parts(const struct snapshot *v,
						     const struct backend_part *parts, size_t n_parts)
{
	const struct report_refusal *newest = NULL;
	for (size_t i = 0; i < n_parts; i++) {
		const struct report_refusal *r = refusals_find(v->refusals, parts[i].model, parts[i].batches);
		if (r && (!newest || r->at >= newest->at))
			newest = r;
	}
	return newest;
}

/* With the lock. What is queued for other SQL says so for as long as it waits; else the newest refusal. */
static const struct report_refusal *refusal_of_batch(const struct snapshot *v, slot model, ordinal batch,
						     struct report_refusal *waits)
{
	*waits = (struct report_refusal){.err = EOPNOTSUPP};
	if (!ledger_waits_for_other_code(v->ledger, model, batch, &waits->at))
		return refusals_find(v->refusals, model, (struct ordinal_range){batch, batch + 1});
	snprintf(waits->message, sizeof waits->message,
		 "It was asked for with other SQL than this mount has, and waits for a mount with that SQL. "
		 "Touch it to have it built with the SQL of this one; rm takes it out of the queue.");
	return waits;
}

int backend_batch_document(const struct backend *b, slot model, ordinal batch, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	struct causes causes = {.v = v};
	struct batch_info info;
	struct report_refusal waits;
	uint32_t attempt;
	int64_t built;
	size_t text;
	LOCKED(v->lock);
	ledger_info(v->ledger, model, batch, &info);
	ledger_glance(v->ledger, model, batch, &attempt, &built, &text);
	info.state = plan_state(v->ledger, v->models, model, batch);
	causes_of(&causes, model, batch, info.state);
	struct report_batch r = {.model = models_at(v->models, model),
				 .batch = batch,
				 .info = &info,
				 .refusal = refusal_of_batch(v, model, batch, &waits),
				 .engine = v->config->engine->name,
				 .because = causes.list,
				 .n_because = causes.n};
	int err = causes.broken ? -ENOMEM : report_batch(&r, text + causes.text, out);
	free(causes.list);
	return err;
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

int backend_parts_document(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			   bool run, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct report_summary all = {0};
	struct report_frozen frozen = {0};
	LOCKED(v->lock);
	for (size_t i = 0; i < n_parts; i++) {
		struct report_summary one = {0};
		const struct report_summary *kept = NULL;
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
	int r = report_range(&all, n_parts == 1 ? models_at(v->models, parts[0].model) : NULL, &frozen,
			     refusal_of_parts(v, parts, n_parts), out);
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
			      refusals_find(v->refusals, model, (struct ordinal_range){0, 0}), &source, out);
	report_frozen_fini(&frozen);
	return r;
}

int backend_selection_document(const struct backend *b, const struct backend_selection *s, bool status,
			       struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	auto_free struct backend_part *parts = calloc(s->n_models + 1, sizeof *parts);
	struct report_standing standing = {0};
	struct report_summary all = {0};
	struct report_frozen frozen = {0};
	if (!parts)
		return -ENOMEM;
	LOCKED(v->lock);
	const struct model *only = s->n_models == 1 ? models_at(v->models, s->models[0]) : NULL;
	for (size_t i = 0; i < s->n_models; i++) {
		const struct report_kept *one = kept_of(v, s->models[i], now);
		parts[i] = (struct backend_part){
			.model = s->models[i],
			.batches = plan_existing(models_at(v->models, s->models[i]), now)};
		add_frozen(v, &parts[i], &frozen);
		report_note_all(&standing, &one->standing);
		if (only)
			all = one->summary;
		else
			report_merge(&all, &one->summary);
	}
	struct report_source source = source_of(v, now);
	int r = report_selection(&all, status ? &standing : NULL, only, &frozen,
				 refusal_of_parts(v, parts, s->n_models), &source,
				 (const char *const *)s->not_rebuilt, out);
	report_frozen_fini(&frozen);
	return r;
}

int backend_root_status(const struct backend *b, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
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
		models[i] = (struct report_of_model){.of = s,
						     .model = models_at(v->models, s),
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
				     .loaded_at = v->since};
	int r = report_root(models, n, &frozen,
			    refusals_find(v->refusals, SLOT_NONE, (struct ordinal_range){0, 0}), &mount,
			    &source, out);
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
	struct report_model r = {.model = models_at(v->models, model),
				 .why_not = known.why_not,
				 .note = known.note ? known.note : "",
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
	return report_full_refresh(m, &protection,
				   refusals_find(v->refusals, model, (struct ordinal_range){0, 0}), out);
}

int backend_sql_document(const struct backend *b, slot model, struct ordinal_range batches,
			 struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	{
		LOCKED(v->lock);
		const char *why_not = snapshot_model(v, model).why_not;
		if (why_not) {
			strbuf_printf(out, "-- %s\n", why_not);
			return strbuf_broken(out) ? -ENOMEM : 0;
		}
	}
	struct error err = {0};
	int r = builder_statements(v->store, model, batches, out, &err);
	if (r < 0)
		log_warning(v->config->log, "%s: %s", models_dir(v->models, model), err.text);
	return r;
}
