/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/view/causes.h"

#include <stdlib.h>

static void add(void *ctx, slot model, ordinal batch)
{
	struct causes *c = ctx;
	if (c->n == CAUSES_MAX)
		return;
	if (c->n == c->size) {
		size_t size = c->size ? 2 * c->size : 8;
		struct report_cause *list = realloc(c->list, size * sizeof *list);
		if (!list) {
			c->broken = true;
			return;
		}
		c->list = list;
		c->size = size;
	}
	c->list[c->n++] = (struct report_cause){models_at(c->v->models, model), batch};
}

static void add_wrong(struct causes *c, slot model, struct ordinal_range batches)
{
	const struct ledger *l = c->v->ledger;
	for (; c->n < CAUSES_MAX && (batches.first = ledger_next_wrong(l, model, batches)) < batches.end;
	     batches.first++)
		add(c, model, batches.first);
}

void causes_of(struct causes *c, slot model, ordinal batch, enum batch_state state)
{
	const struct ledger *l = c->v->ledger;
	const struct models *ms = c->v->models;
	size_t n;
	const struct model_read *reads = models_reads(ms, model, &n);
	if (state == BATCH_STALE)
		plan_stale(l, ms, model, batch, add, c);
	if (state != BATCH_SKIPPED)
		return;
	for (size_t i = 0; i < n; i++)
		if (reads[i].model != model)
			add_wrong(c, reads[i].model, plan_reads(l, ms, model, batch, &reads[i]));
	if (models_at(ms, model)->reads_itself)
		add_wrong(c, model, (struct ordinal_range){ledger_recorded(l, model).first, batch});
}
