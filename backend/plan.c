/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/plan.h"

/* A run is claimed with one commit and ends with one look at the queue: as much work as makes that cheap,
 * and not so much that another model, or a cancel, waits long for its turn. */
#define RUN_TARGET_US 250000

bool plan_serial(const struct model *m)
{
	return m->reads_itself || m->concurrent_batches == TRI_FALSE;
}

static uint32_t run_length(const struct ledger *l, int model, unsigned jobs)
{
	int64_t average = ledger_average_us(l, model);
	if (average < 0)
		return 1;
	int64_t n = RUN_TARGET_US / (average > 0 ? average : 1);
	int64_t share = ((int64_t)ledger_queued(l, model) + jobs - 1) / jobs;
	if (n > share)
		n = share;
	if (n > CLAIM_MAX)
		n = CLAIM_MAX;
	return n < 1 ? 1 : (uint32_t)n;
}

struct plan_next plan_next(struct ledger *l, const struct catalog *c, const struct plan_gate *gates,
			   unsigned jobs, size_t *turn)
{
	struct plan_next next = {.model = -1};
	for (size_t i = 0; i < c->n_models; i++) {
		int model = (int)((*turn + i) % c->n_models);
		const struct model *m = &c->models[model];
		bool alone = gates[model].unprepared || plan_serial(m);
		if (!gates[model].open || ledger_queued(l, model) == 0 ||
		    (alone && ledger_running(l, model) > 0))
			continue;
		if (gates[model].unprepared) {
			next.prepare = true;
		} else {
			next.run = ledger_next_run(l, model, run_length(l, model, jobs));
			if (next.run.count == 0)
				continue;
		}
		next.model = model;
		*turn = (size_t)model + 1;
		return next;
	}
	return next;
}

struct ordinal_range plan_existing(const struct model *m, int64_t now)
{
	if (m->begin > now)
		return (struct ordinal_range){0, 0};
	return (struct ordinal_range){calendar_ordinal(m->batch_size, m->begin),
				      calendar_ordinal(m->batch_size, now) + 1};
}

const char *plan_run_reason(const struct model *m, enum batch_state state, ordinal batch, ordinal newest)
{
	switch (state) {
	case BATCH_PENDING:
	case BATCH_FAILED:
	case BATCH_SKIPPED:
	case BATCH_PARTIAL:
	case BATCH_STALE:
		return batch_state_name(state);
	case BATCH_DONE:
		return newest - batch <= (ordinal)m->lookback ? "lookback" : NULL;
	case BATCH_RUNNING:
	case BATCH_QUEUED:
	case BATCH_STATES:
		break;
	}
	return NULL;
}
