/* SPDX-License-Identifier: Apache-2.0 */
/* The documents: facts are gathered under the lock, text is made by report/. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/view/causes.h"

/* With the lock. The newest refusal that concerns the batches; model -1: of all. NULL: none is kept. */
static const struct report_refusal *refusal_of(const struct backend *b, slot model,
					       struct ordinal_range batches)
{
	unsigned kept = b->n_refusals < REFUSALS_KEPT ? b->n_refusals : REFUSALS_KEPT;
	for (unsigned i = 1; i <= kept; i++) {
		const struct report_refusal *r = &b->refusals[(b->n_refusals - i) % REFUSALS_KEPT];
		bool meets = batches.first >= batches.end || r->batches.first >= r->batches.end ||
			     (r->batches.first < batches.end && batches.first < r->batches.end);
		if (model < 0 || (r->model == model && meets))
			return r;
	}
	return NULL;
}

/* With the lock. The same, of all that concern one of the parts. */
static const struct report_refusal *refusal_of_parts(const struct backend *b,
						     const struct backend_part *parts, size_t n_parts)
{
	const struct report_refusal *newest = NULL;
	for (size_t i = 0; i < n_parts; i++) {
		const struct report_refusal *r = refusal_of(b, parts[i].model, parts[i].batches);
		if (r && (!newest || r->at >= newest->at))
			newest = r;
	}
	return newest;
}

int backend_refuse(struct backend *b, slot model, struct ordinal_range batches, int err, const char *fmt, ...)
{
	struct report_refusal r = {
		.model = model, .batches = batches, .at = clock_now_us(b->config.clock), .err = err};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r.message, sizeof r.message, fmt, ap);
	va_end(ap);
	log_info(b->config.log, "%s%srefused (%s): %s", model < 0 ? "" : dir_of(b, model),
		 model < 0 ? "" : ": ", error_name(err), r.message);
	LOCKED(&b->lock);
	b->refusals[b->n_refusals++ % REFUSALS_KEPT] = r;
	return -err;
}

/* With the lock. What is queued for other SQL says so for as long as it waits; else the newest refusal. */
static const struct report_refusal *refusal_of_batch(const struct backend *b, slot model, ordinal batch,
						     struct report_refusal *waits)
{
	*waits = (struct report_refusal){.err = EOPNOTSUPP};
	if (!ledger_waits_for_other_code(b->ledger, model, batch, &waits->at))
		return refusal_of(b, model, (struct ordinal_range){batch, batch + 1});
	snprintf(waits->message, sizeof waits->message,
		 "It was asked for with other SQL than this mount has, and waits for a mount with that SQL. "
		 "Touch it to have it built with the SQL of this one; rm takes it out of the queue.");
	return waits;
}

int backend_batch_document(const struct backend *b, slot model, ordinal batch, struct strbuf *out)
{
	struct causes causes = {.b = b};
	struct batch_info info;
	struct report_refusal waits;
	uint32_t attempt;
	int64_t built;
	size_t text;
	LOCKED(lock_of(b));
	ledger_info(b->ledger, model, batch, &info);
	ledger_glance(b->ledger, model, batch, &attempt, &built, &text);
	info.state = plan_state(b->ledger, b->models, model, batch);
	causes_of(&causes, model, batch, info.state);
	struct report_batch r = {.model = facts_of(b, model),
				 .batch = batch,
				 .info = &info,
				 .refusal = refusal_of_batch(b, model, batch, &waits),
				 .engine = b->config.engine->name,
				 .because = causes.list,
				 .n_because = causes.n};
	int err = causes.broken ? -ENOMEM : report_batch(&r, text + causes.text, out);
	free(causes.list);
	return err;
}

/* With the lock. standing NULL: not wanted. */
static void count_part(const struct backend *b, const struct backend_part *p, bool run, int64_t now,
		       struct report_summary *s, struct report_standing *standing)
{
	const struct model *m = facts_of(b, p->model);
	ordinal newest = plan_existing(m, now).end - 1;
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		struct batch_info info;
		ledger_info(b->ledger, p->model, o, &info);
		info.state = plan_state(b->ledger, b->models, p->model, o);
		const char *reason = run ? plan_run_reason(m, info.state, o, newest) : "requested";
		if (!p->states || (p->states >> info.state & 1) != 0)
			report_count(s, o, &info, info.frozen ? NULL : reason);
		if (standing)
			report_note(standing, p->model, m, o, &info);
	}
}

/* With the lock. The part's frozen batches, in the order of the parts. */
static void add_frozen(const struct backend *b, const struct backend_part *p, struct report_frozen *out)
{
	struct ordinal_range rest = p->batches;
	while (rest.first < rest.end) {
		struct ordinal_range found = ledger_next_frozen(b->ledger, p->model, rest);
		for (ordinal o = found.first; o < found.end; o++)
			if (!p->states ||
			    (p->states >> plan_state(b->ledger, b->models, p->model, o) & 1) != 0)
				report_frozen_add(out, facts_of(b, p->model), o);
		rest.first = found.end;
	}
}

/* With the lock. Counting a model takes a while where it is large: kept until something changes. */
static const struct report_summary *summary_of(struct backend *b, slot model, int64_t now)
{
	struct model_runtime *rt = &b->runtime[model];
	const struct model *m = facts_of(b, model);
	struct ordinal_range existing = plan_existing(m, now);
	if (rt->summary_generation == rt->generation && rt->summary_end == existing.end)
		return &rt->summary;
	rt->summary = (struct report_summary){0};
	rt->standing = (struct report_standing){0};
	count_part(b, &(struct backend_part){.model = model, .batches = existing}, true, now, &rt->summary,
		   &rt->standing);
	rt->summary_generation = rt->generation;
	rt->summary_end = existing.end;
	return &rt->summary;
}

static bool is_whole(const struct backend *b, const struct backend_part *p, int64_t now)
{
	struct ordinal_range all = plan_existing(facts_of(b, p->model), now);
	return !p->states && p->batches.first == all.first && p->batches.end == all.end;
}

int backend_parts_document(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			   bool run, struct strbuf *out)
{
	int64_t now = clock_now_us(b->config.clock);
	struct report_summary all = {0};
	struct report_frozen frozen = {0};
	LOCKED(lock_of(b));
	for (size_t i = 0; i < n_parts; i++) {
		struct report_summary one = {0};
		const struct report_summary *kept = NULL;
		if (run && is_whole(b, &parts[i], now))
			kept = summary_of((struct backend *)b, parts[i].model, now);
		else
			count_part(b, &parts[i], run, now, &one, NULL);
		if (n_parts > 1)
			report_merge(&all, kept ? kept : &one);
		else
			all = kept ? *kept : one;
		add_frozen(b, &parts[i], &frozen);
	}
	int r = report_range(&all, n_parts == 1 ? facts_of(b, parts[0].model) : NULL, &frozen,
			     refusal_of_parts(b, parts, n_parts), out);
	report_frozen_fini(&frozen);
	return r;
}

static void info_of(void *ctx, slot model, ordinal batch, struct batch_info *out)
{
	const struct backend *b = ctx;
	ledger_info(b->ledger, model, batch, out);
}

static struct report_source source_of(const struct backend *b, int64_t now)
{
	return (struct report_source){.now = now, .info = info_of, .ctx = (void *)b};
}

int backend_model_status(const struct backend *b, slot model, struct strbuf *out)
{
	int64_t now = clock_now_us(b->config.clock);
	struct report_frozen frozen = {0};
	LOCKED(lock_of(b));
	const struct model *m = facts_of(b, model);
	const struct report_summary *s = summary_of((struct backend *)b, model, now);
	add_frozen(b, &(struct backend_part){.model = model, .batches = plan_existing(m, now)}, &frozen);
	struct report_source source = source_of(b, now);
	int r = report_status(s, &b->runtime[model].standing, m, &frozen,
			      refusal_of(b, model, (struct ordinal_range){0, 0}), &source, out);
	report_frozen_fini(&frozen);
	return r;
}

int backend_selection_document(const struct backend *b, const struct backend_selection *s, bool status,
			       struct strbuf *out)
{
	int64_t now = clock_now_us(b->config.clock);
	auto_free struct backend_part *parts = calloc(s->n_models + 1, sizeof *parts);
	struct report_standing standing = {0};
	struct report_summary all = {0};
	struct report_frozen frozen = {0};
	if (!parts)
		return -ENOMEM;
	LOCKED(lock_of(b));
	const struct model *only = s->n_models == 1 ? facts_of(b, s->models[0]) : NULL;
	for (size_t i = 0; i < s->n_models; i++) {
		const struct report_summary *one = summary_of((struct backend *)b, s->models[i], now);
		parts[i] = (struct backend_part){.model = s->models[i],
						 .batches = plan_existing(facts_of(b, s->models[i]), now)};
		add_frozen(b, &parts[i], &frozen);
		report_note_all(&standing, &b->runtime[s->models[i]].standing);
		if (only)
			all = *one;
		else
			report_merge(&all, one);
	}
	struct report_source source = source_of(b, now);
	int r = report_selection(&all, status ? &standing : NULL, only, &frozen,
				 refusal_of_parts(b, parts, s->n_models), &source,
				 (const char *const *)s->not_rebuilt, out);
	report_frozen_fini(&frozen);
	return r;
}

int backend_root_status(const struct backend *b, struct strbuf *out)
{
	int64_t now = clock_now_us(b->config.clock);
	LOCKED(lock_of(b));
	size_t n = models_count(b->models);
	auto_free struct report_of_model *models = calloc(n + 1, sizeof *models);
	struct report_frozen frozen = {0};
	if (!models)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		slot s = models_nth(b->models, i);
		struct ordinal_range existing = plan_existing(facts_of(b, s), now);
		models[i] = (struct report_of_model){.of = s,
						     .model = facts_of(b, s),
						     .summary = summary_of((struct backend *)b, s, now),
						     .standing = &b->runtime[s].standing};
		add_frozen(b, &(struct backend_part){.model = s, .batches = existing}, &frozen);
	}
	struct report_source source = source_of(b, now);
	struct report_mount mount = {.version = b->config.version,
				     .engine = b->config.engine->name,
				     .manifest = models_manifest(b->models),
				     .warehouse_error = b->warehouse.err ? b->warehouse.text : NULL,
				     .pid = getpid(),
				     .since = b->since,
				     .loaded_at = b->since};
	int r = report_root(models, n, &frozen, refusal_of(b, SLOT_NONE, (struct ordinal_range){0, 0}),
			    &mount, &source, out);
	report_frozen_fini(&frozen);
	return r;
}

/* With the lock. */
static struct report_protection protection_of(const struct backend *b, slot model)
{
	struct report_protection p = {.by_config = facts_of(b, model)->full_refresh == TRI_FALSE,
				      .by_mount = b->config.protect};
	p.by = ledger_protected(b->ledger, model, &p.at);
	return p;
}

int backend_model_document(const struct backend *b, slot model, struct strbuf *out)
{
	LOCKED(lock_of(b));
	const struct model_runtime *rt = &b->runtime[model];
	struct report_model r = {.model = facts_of(b, model),
				 .why_not = model_why_not(b, model),
				 .note = rt->note ? rt->note : "",
				 .event_time_type = rt->event_time_type,
				 .protection = protection_of(b, model)};
	return report_model(&r, out);
}

int backend_full_refresh_document(const struct backend *b, slot model, struct strbuf *out)
{
	LOCKED(lock_of(b));
	const struct model *m = facts_of(b, model);
	struct report_protection protection = protection_of(b, model);
	return report_full_refresh(m, &protection, refusal_of(b, model, (struct ordinal_range){0, 0}), out);
}

int backend_sql_document(const struct backend *b, slot model, struct ordinal_range batches,
			 struct strbuf *out)
{
	{
		LOCKED(lock_of(b));
		const char *why_not = model_why_not(b, model);
		if (why_not) {
			strbuf_printf(out, "-- %s\n", why_not);
			return strbuf_broken(out) ? -ENOMEM : 0;
		}
	}
	struct error err = {0};
	int r = builder_statements(b->store, model, batches, out, &err);
	if (r < 0)
		log_warning(b->config.log, "%s: %s", dir_of(b, model), err.text);
	return r;
}
