/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/spare.h"

#include <stdlib.h>

#include "backend/schedule/changes.h"
#include "backend/schedule/job.h"
#include "backend/schedule/runtime.h"

/* Leaves out of *o, which only waited, what lies in the range, and hands on the rest. Without memory for what
 * lies behind the range the store withdraws that, as long as the cancel stands. */
static void cut(struct outcome *o, struct ordinal_range range, struct outcome_queue *to)
{
	ordinal end = o->out.batch + o->out.count;
	if (end <= range.first || o->out.batch >= range.end) {
		STAILQ_INSERT_TAIL(to, o, link);
		return;
	}
	if (end > range.end) {
		struct outcome *behind = malloc(sizeof *behind);
		if (behind) {
			*behind = *o;
			behind->out.batch = range.end;
			behind->out.count = end - range.end;
			behind->out.sqlstate = behind->err.sqlstate;
			behind->out.message = behind->err.text;
			STAILQ_INSERT_TAIL(to, behind, link);
		}
	}
	if (o->out.batch < range.first) {
		o->out.count = range.first - o->out.batch;
		STAILQ_INSERT_TAIL(to, o, link);
	} else {
		free(o);
	}
}

static void cut_all(struct outcome_queue *list, slot model, struct ordinal_range range)
{
	struct outcome_queue kept = STAILQ_HEAD_INITIALIZER(kept);
	struct outcome *o;
	while ((o = STAILQ_FIRST(list))) {
		STAILQ_REMOVE_HEAD(list, link);
		bool inside = o->out.model == model && o->out.kind == SETTLE_CANCELLED &&
			      o->out.batch < range.end && o->out.batch + o->out.count > range.first;
		/* One with a `before` is of an earlier cancel, which holds. */
		if (inside && !o->out.attempt && !o->out.before) {
			cut(o, range, &kept);
			continue;
		}
		if (inside && o->out.attempt) {
			o->out.kind = o->spared;
			o->out.wanted = 0;
		}
		STAILQ_INSERT_TAIL(&kept, o, link);
	}
	STAILQ_CONCAT(list, &kept);
}

/* What has not ended yet goes on, or has been interrupted and ends as such. */
static void go_on(struct backend *b, slot model, struct ordinal_range range)
{
	for (int i = 0; i < b->config.jobs; i++) {
		struct job_worker *w = &b->workers[i];
		for (uint32_t k = 0; w->kind == JOB_BUILD && w->run.model == model && k < w->run.count; k++)
			if (w->run.first + k >= range.first && w->run.first + k < range.end)
				run_unmark(&w->cancelled, k);
	}
}

void spare(struct backend *b, const struct store_request *r, struct outcome_queue *withdrawn)
{
	struct ordinal_range gap = {.first = r->batches.first};
	for (size_t i = 0; i <= r->n_pieces; i++) {
		gap.end = i < r->n_pieces ? r->pieces[i].first : r->batches.end;
		if (gap.first < gap.end) {
			cut_all(withdrawn, r->model, gap);
			cut_all(&b->outcomes, r->model, gap);
			go_on(b, r->model, gap);
			touch_model(b, r->model);
		}
		gap.first = i < r->n_pieces ? r->pieces[i].end : gap.end;
	}
}
