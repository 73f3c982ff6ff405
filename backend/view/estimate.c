/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/view/estimate.h"

#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/plan.h"

/* Of a model that is built: all times in us; -1: not known. */
struct part {
	slot model;
	size_t batches;
	double rows, each, whole;
	double begin, end; /* of its builds, from the beginning of everything */
};

static double mean(int64_t sum, size_t n)
{
	return (double)sum / (double)n;
}

static struct part judge(const struct snapshot *v, const struct estimate_part *p)
{
	const struct report_summary *s = p->summary;
	return (struct part){
		.model = p->model,
		.batches = s->build,
		.each = s->known ? mean(s->known_us, s->known)
				 : (double)ledger_average_us(v->ledger, p->model),
		.rows = s->known ? mean(s->known_rows, s->known)
				 : (double)ledger_average_rows(v->ledger, p->model),
	};
}

/* What was never built is like the others. False: nothing was ever built. */
static bool complete(struct part *parts, size_t n)
{
	double rows = 0, us = 0;
	size_t known = 0;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].each < 0)
			continue;
		known += parts[i].batches;
		us += parts[i].each * (double)parts[i].batches;
		rows += parts[i].rows * (double)parts[i].batches;
	}
	for (size_t i = 0; i < n && known; i++) {
		if (parts[i].each >= 0)
			continue;
		parts[i].each = us / (double)known;
		parts[i].rows = rows / (double)known;
	}
	return known > 0;
}

/* One pass over who reads whom. Whether an end has moved. of: the part of a slot. */
static bool lengthen(const struct snapshot *v, struct part *parts, size_t n, struct part *const *of)
{
	bool moved = false;
	for (size_t i = 0; i < n; i++) {
		struct part *p = &parts[i];
		size_t n_reads;
		const struct model_read *reads = models_reads(v->models, p->model, &n_reads);
		double begin = 0, last = 0;
		for (size_t j = 0; j < n_reads; j++) {
			const struct part *u = of[reads[j].model];
			if (!u || u == p)
				continue;
			/* Batch after batch, or when all of it is there. */
			double from = reads[j].windowed ? u->begin + u->each : u->end;
			begin = from > begin ? from : begin;
			last = u->end > last ? u->end : last;
		}
		double end = begin + p->whole > last + p->each ? begin + p->whole : last + p->each;
		if (begin > p->begin || end > p->end) {
			p->begin = begin;
			p->end = end;
			moved = true;
		}
	}
	return moved;
}

int estimate(const struct snapshot *v, const struct estimate_part *list, size_t n,
	     struct report_estimate *out)
{
	auto_free struct part *parts = calloc(n + 1, sizeof *parts);
	auto_free struct part **of = calloc((size_t)models_end(v->models) + 1, sizeof *of);
	double jobs = v->config->jobs, rows = 0, work = 0, longest = 0;
	size_t used = 0;
	*out = (struct report_estimate){0, 0};
	if (!parts || !of)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (list[i].summary->build)
			parts[used++] = judge(v, &list[i]);
	if (used && !complete(parts, used)) {
		*out = (struct report_estimate){-1, -1};
		return 0;
	}
	for (size_t i = 0; i < used; i++) {
		struct part *p = &parts[i];
		size_t side_by_side = plan_serial(models_at(v->models, p->model)) ? 1 : (size_t)jobs;
		p->whole = p->each * (double)((p->batches + side_by_side - 1) / side_by_side);
		of[p->model] = p;
		work += p->each * (double)p->batches;
		rows += p->rows * (double)p->batches;
	}
	/* A chain has at most as many models as there are. */
	for (size_t i = 0; i <= used && lengthen(v, parts, used, of); i++)
		;
	for (size_t i = 0; i < used; i++)
		longest = parts[i].end > longest ? parts[i].end : longest;
	longest = work / jobs > longest ? work / jobs : longest;
	*out = (struct report_estimate){.rows = (int64_t)rows, .us = (int64_t)longest};
	return 0;
}
