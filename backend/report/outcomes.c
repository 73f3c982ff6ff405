/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a model's batches from one count to the next. */
#include <errno.h>

#include "backend/report/report.h"

int report_outcomes_init(struct report_outcomes *o, struct ordinal_range existing)
{
	*o = (struct report_outcomes){.skipped = 0};
	if (batch_set_init(&o->successful, existing) == 0 && batch_set_init(&o->failed, existing) == 0)
		return 0;
	report_outcomes_fini(o);
	return -ENOMEM;
}

void report_outcomes_fini(struct report_outcomes *o)
{
	batch_set_fini(&o->successful);
	batch_set_fini(&o->failed);
}

static void note_failed(struct report_outcomes *o, ordinal batch, bool skipped)
{
	bool first = skipped ? o->failed.n == 0 : o->failed.n == o->skipped;
	if (first)
		o->first_failed = batch;
	o->skipped += skipped;
	batch_set_add(&o->failed, batch);
}

static void note_times(struct report_outcomes *o, const struct batch_info *info)
{
	if (info->adopted || !info->started || !info->finished)
		return;
	o->us += info->finished - info->started;
	if (!o->started || info->started < o->started)
		o->started = info->started;
	if (info->finished > o->finished)
		o->finished = info->finished;
	if (info->rows_inserted > 0)
		o->rows += info->rows_inserted;
}

void report_note_outcome(struct report_outcomes *o, ordinal batch, const struct batch_info *info)
{
	switch (info->state) {
	case BATCH_DONE:
	case BATCH_STALE:
	case BATCH_PARTIAL:
		batch_set_add(&o->successful, batch);
		note_times(o, info);
		break;
	case BATCH_FAILED:
	case BATCH_SKIPPED:
		note_failed(o, batch, info->state == BATCH_SKIPPED);
		note_times(o, info);
		break;
	case BATCH_QUEUED:
	case BATCH_RUNNING:
		/* Its last outcome is about to be another one; the rows of its last build are there. */
		if (info->built)
			batch_set_add(&o->successful, batch);
		break;
	case BATCH_UNKNOWN:
	case BATCH_PENDING:
	case BATCH_STATES:
		break;
	}
}

int report_kept_init(struct report_kept *k, struct ordinal_range existing)
{
	*k = (struct report_kept){.end = existing.end};
	if (batch_set_init(&k->build, existing) == 0 && report_outcomes_init(&k->outcomes, existing) == 0)
		return 0;
	report_kept_fini(k);
	return -ENOMEM;
}

void report_kept_fini(struct report_kept *k)
{
	batch_set_fini(&k->build);
	state_runs_fini(&k->states);
	report_outcomes_fini(&k->outcomes);
	*k = (struct report_kept){.generation = 0};
}
