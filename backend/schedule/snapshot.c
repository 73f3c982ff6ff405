/* SPDX-License-Identifier: Apache-2.0 */
/* What others may read of a backend. */
#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/plan.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/snapshot.h"
#include "backend/snapshot.h"

void snapshot_init(struct backend *b)
{
	b->snapshot = (struct snapshot){.backend = b,
					.lock = &b->lock,
					.config = &b->config,
					.models = b->models,
					.ledger = b->ledger,
					.refusals = &b->refusals,
					.manifest = &b->manifest,
					.warehouse = &b->warehouse,
					.since = b->since};
}

const struct snapshot *snapshot_of(const struct backend *b)
{
	return &b->snapshot;
}

struct snapshot_model snapshot_model(const struct snapshot *v, slot model)
{
	struct model_runtime *m = &v->backend->runtime[model];
	return (struct snapshot_model){.why_not = model_why_not(v->backend, model),
				       .notes = m->notes,
				       .strategy = m->strategy,
				       .event_time_type = m->event_time_type,
				       .changed_at = m->changed_at,
				       .kept = &m->kept,
				       .attempts = &m->attempts,
				       .generation = m->generation,
				       .validations = &m->validations,
				       .lookable = m->lookable,
				       .look = {.looked_at = m->looked_at,
						.found_at = m->found_at,
						.adopted = m->adopted,
						.gone = m->gone,
						.why_not = m->look_failed		     ? m->look_failed
							   : ledger_looked(v->ledger, model) ? NULL
											     : m->why_not}};
}

struct ordinal_range backend_existing(const struct backend *b, slot model)
{
	LOCKED(lock_of(b));
	return plan_existing(facts_of(b, model), clock_now_us(b->config.clock));
}
