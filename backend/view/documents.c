/* SPDX-License-Identifier: Apache-2.0 */
/* The documents: facts are gathered under the lock, text is made by report/. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/schedule/private.h"

/* With the lock. The newest refusal that concerns the batches; model -1: of all. NULL: none is kept. */
static const struct report_refusal *refusal_of(const struct backend *b, int model,
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

int backend_refuse(struct backend *b, int model, struct ordinal_range batches, int err, const char *fmt, ...)
{
	struct report_refusal r = {
		.model = model, .batches = batches, .at = clock_now_us(b->config.clock), .err = err};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r.message, sizeof r.message, fmt, ap);
	va_end(ap);
	log_info(b->config.log, "refused (%s): %s", error_name(err), r.message);
	LOCKED(&b->lock);
	b->refusals[b->n_refusals++ % REFUSALS_KEPT] = r;
	return -err;
}

int backend_batch_document(const struct backend *b, int model, ordinal batch, struct strbuf *out)
{
	const struct model *m = &b->catalog->models[model];
	struct batch_info info;
	uint32_t attempt;
	int64_t built;
	size_t text;
	LOCKED(lock_of(b));
	ledger_info(b->ledger, model, batch, &info);
	ledger_glance(b->ledger, model, batch, &attempt, &built, &text);
	struct report_batch r = {.model = m,
				 .batch = batch,
				 .info = &info,
				 .refusal = refusal_of(b, model, (struct ordinal_range){batch, batch + 1}),
				 .engine = b->config.engine->name};
	return report_batch(&r, text, out);
}

int backend_range_document(const struct backend *b, int model, struct ordinal_range batches,
			   struct strbuf *out)
{
	struct report_summary s = {0};
	LOCKED(lock_of(b));
	for (ordinal o = batches.first; o < batches.end; o++) {
		struct batch_info info;
		ledger_info(b->ledger, model, o, &info);
		report_count(&s, o, &info, "requested");
	}
	return report_range(&s, &b->catalog->models[model], refusal_of(b, model, batches), out);
}

/* With the lock. Counting a model takes a while where it is large: kept until something changes. */
static const struct report_summary *summary_of(struct backend *b, int model, int64_t now)
{
	struct model_runtime *rt = &b->models[model];
	const struct model *m = &b->catalog->models[model];
	struct ordinal_range existing = plan_existing(m, now);
	if (rt->summary_generation == rt->generation && rt->summary_end == existing.end)
		return &rt->summary;
	rt->summary = (struct report_summary){0};
	for (ordinal o = existing.first; o < existing.end; o++) {
		struct batch_info info;
		ledger_info(b->ledger, model, o, &info);
		report_count(&rt->summary, o, &info, plan_run_reason(m, info.state, o, existing.end - 1));
	}
	rt->summary_generation = rt->generation;
	rt->summary_end = existing.end;
	return &rt->summary;
}

int backend_model_status(const struct backend *b, int model, struct strbuf *out)
{
	int64_t now = clock_now_us(b->config.clock);
	LOCKED(lock_of(b));
	const struct report_summary *s = summary_of((struct backend *)b, model, now);
	return report_range(s, &b->catalog->models[model], refusal_of(b, model, (struct ordinal_range){0, 0}),
			    out);
}

int backend_root_status(const struct backend *b, struct strbuf *out)
{
	size_t n = b->catalog->n_models;
	auto_free struct report_summary *all = calloc(n + 1, sizeof *all);
	if (!all)
		return -ENOMEM;
	int64_t now = clock_now_us(b->config.clock);
	LOCKED(lock_of(b));
	for (size_t i = 0; i < n; i++)
		all[i] = *summary_of((struct backend *)b, (int)i, now);
	struct report_mount mount = {.version = b->config.version,
				     .engine = b->config.engine->name,
				     .manifest = b->catalog->path,
				     .warehouse_error = b->warehouse.err ? b->warehouse.text : NULL,
				     .pid = getpid(),
				     .since = b->since,
				     .loaded_at = b->since};
	return report_root(b->catalog, all, refusal_of(b, -1, (struct ordinal_range){0, 0}), &mount, out);
}

int backend_model_document(const struct backend *b, int model, struct strbuf *out)
{
	LOCKED(lock_of(b));
	const struct model_runtime *rt = &b->models[model];
	struct report_model r = {.model = &b->catalog->models[model],
				 .why_not = model_why_not(b, model),
				 .note = rt->note ? rt->note : "",
				 .event_time_type = rt->event_time_type,
				 .mount_protects = b->config.protect};
	return report_model(&r, out);
}

int backend_full_refresh_document(const struct backend *b, int model, struct strbuf *out)
{
	const struct model *m = &b->catalog->models[model];
	LOCKED(lock_of(b));
	return report_full_refresh(m, m->full_refresh == TRI_FALSE ? "config" : "mount",
				   refusal_of(b, model, (struct ordinal_range){0, 0}), out);
}

int backend_sql_document(const struct backend *b, int model, struct ordinal_range batches, struct strbuf *out)
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
	int r = b->config.engine->builder->statements(b->store, model, batches, out, &err);
	if (r < 0)
		log_warning(b->config.log, "%s: %s", b->catalog->models[model].dir, err.text);
	return r;
}
