/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of .full-refresh. */
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/plan.h"
#include "backend/view/protection.h"
#include "backend/view/summary.h"

/* With the lock. What one of them says; its summary is counted into *s. */
static int gather(const struct snapshot *v, slot model, int64_t now, struct report_summary *s,
		  struct report_frozen *frozen, struct report_refresh *out)
{
	const struct model *m = models_at(v->models, model);
	const struct backend_part all = {.model = model, .batches = plan_existing(m, now)};
	struct report_summary one = {0};
	summary_count(v, &all, false, now, &one, NULL);
	summary_add_frozen(v, &all, frozen);
	*out = (struct report_refresh){.model = m,
				       .protection = protection_of(v, model),
				       .refresh = ledger_refresh(v->ledger, model),
				       .count = ledger_refresh_count(v->ledger, model),
				       .summary = s,
				       .refusal = refusals_of_full_refresh(v->refusals, model)};
	return summary_join(v, &all, &one, 1, s);
}

int backend_full_refresh_document(const struct backend *b, slot model, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	struct report_summary s;
	struct report_frozen frozen = {0};
	struct report_refresh r;
	LOCKED(v->lock);
	int err = gather(v, model, clock_now_us(v->config->clock), &s, &frozen, &r);
	if (err == 0)
		err = report_full_refresh(&r, &frozen, r.refusal, out);
	report_frozen_fini(&frozen);
	return err;
}

int backend_full_refreshes_document(const struct backend *b, const slot *models, size_t n,
				    const struct backend_file *file, struct strbuf *out)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct report_frozen frozen = {0};
	auto_free struct report_refresh *list = calloc(n + 1, sizeof *list);
	auto_free struct report_summary *of = calloc(n + 1, sizeof *of);
	int err = list && of ? 0 : -ENOMEM;
	LOCKED(v->lock);
	for (size_t i = 0; i < n && err == 0; i++)
		err = gather(v, models[i], now, &of[i], &frozen, &list[i]);
	if (err == 0)
		err = report_full_refreshes(list, n, &frozen,
					    refusals_of_selection(v->refusals, file->selection, file->name),
					    out);
	report_frozen_fini(&frozen);
	return err;
}
