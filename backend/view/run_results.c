/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/report/run_results.h"

#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/plan.h"
#include "backend/view/pages.h"
#include "backend/view/summary.h"

struct results_pages {
	struct backend_pages pages; /* first: whoever has this has the other */
	struct run_results *results;
};

static int read_results(const struct backend_pages *p, size_t off, size_t end, struct strbuf *out)
{
	run_results_read(((const struct results_pages *)p)->results, off, end, out);
	return 0;
}

static void free_results(struct backend_pages *p)
{
	run_results_free(((struct results_pages *)p)->results);
	free(p);
}

/* With the lock. */
static int add_model(const struct snapshot *v, slot model, int64_t now, struct run_results *results)
{
	const struct report_kept *kept = summary_kept(v, model, now);
	struct batch_info info = {.message = ""};
	if (!kept)
		return -ENOMEM;
	if (kept->outcomes.failed.n)
		ledger_info(v->ledger, model, kept->outcomes.first_failed, &info);
	const struct run_result one = {
		.model = models_at(v->models, model), .outcomes = &kept->outcomes, .message = info.message};
	return run_results_add(results, &one);
}

static int add_all(const struct snapshot *v, int64_t now, struct run_results **out)
{
	LOCKED(v->lock);
	size_t n = models_count(v->models);
	const struct catalog *catalog = n ? models_at(v->models, models_nth(v->models, 0))->catalog : NULL;
	const struct run_results_head head = {
		.dbt_version = catalog ? catalog->dbt_version : "", .target = v->config->target, .now = now};
	int r = 0;
	*out = run_results_new(&head);
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_model(v, models_nth(v->models, i), now, *out);
	return r < 0 ? r : run_results_end(*out);
}

int backend_run_results_open(const struct backend *b, struct backend_pages **out)
{
	static const struct pages_ops ops = {.read = read_results, .free = free_results};
	const struct snapshot *v = snapshot_of(b);
	int64_t now = clock_now_us(v->config->clock);
	struct results_pages *p = calloc(1, sizeof *p);
	*out = NULL;
	if (!p)
		return -ENOMEM;
	pages_init(&p->pages, &ops);
	summary_count_ahead(v, now);
	int r = add_all(v, now, &p->results);
	if (r < 0) {
		backend_pages_close(&p->pages);
		return r;
	}
	p->pages.size = run_results_size(p->results);
	*out = &p->pages;
	return 0;
}
