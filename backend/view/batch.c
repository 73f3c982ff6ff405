/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/view/batch.h"

#include <stdio.h>
#include <stdlib.h>

/* What is queued for other SQL says so for as long as it waits; else the newest refusal. */
static const struct report_refusal *refusal_of(const struct snapshot *v, slot model, ordinal batch,
					       struct report_refusal *waits)
{
	*waits = (struct report_refusal){.err = EOPNOTSUPP};
	if (!ledger_waits_for_other_code(v->ledger, model, batch, &waits->at))
		return refusals_of_batch(v->refusals, model, batch);
	snprintf(waits->message, sizeof waits->message,
		 "It was asked for with other SQL than this mount has, and waits for a mount with that SQL. "
		 "Touch it to have it built with the SQL of this one; rm takes it out of the queue.");
	return waits;
}

int batch_view(const struct snapshot *v, slot model, ordinal batch, struct batch_view *out)
{
	*out = (struct batch_view){.causes.v = v};
	ledger_info(v->ledger, model, batch, &out->info);
	if (out->info.state == BATCH_DONE)
		out->info.state = plan_state(v->ledger, v->models, model, batch);
	/* A builder that is elsewhere does not tell of rows that it has left out. */
	const struct builder_traits *by = engine_builder(v->config->engine, models_at(v->models, model));
	if (by->settles_done)
		out->info.rows_outside = -1;
	causes_of(&out->causes, model, batch, out->info.state);
	bool built_here = out->info.built && !out->info.adopted;
	bool builds = built_here || !snapshot_model(v, model).why_not;
	out->report = (struct report_batch){.model = models_at(v->models, model),
					    .batch = batch,
					    .info = &out->info,
					    .refusal = refusal_of(v, model, batch, &out->waits),
					    .builder = builds ? by->name : NULL,
					    .because = out->causes.list,
					    .n_because = out->causes.n};
	return out->causes.broken ? -ENOMEM : 0;
}

void batch_view_fini(struct batch_view *seen)
{
	free(seen->causes.list);
}
