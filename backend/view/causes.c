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

static bool went_wrong(const struct ledger *l, slot model, ordinal batch)
{
	return batch_state_traits(ledger_state(l, model, batch))->wrong;
}

void causes_of(struct causes *c, slot model, ordinal batch, enum batch_state state)
{
	const struct ledger *l = c->v->ledger;
	const struct models *ms = c->v->models;
	size_t n;
	const struct model_read *reads = models_reads(ms, model, &n);
	if (state == BATCH_STALE)
		plan_stale(l, ms, model, batch, add, c);
	for (size_t i = 0; state == BATCH_SKIPPED && i < n; i++) {
		struct ordinal_range read = plan_reads(l, ms, model, batch, &reads[i]);
		for (ordinal o = read.first; reads[i].model != model && o < read.end; o++)
			if (went_wrong(l, reads[i].model, o))
				add(c, reads[i].model, o);
	}
	bool reads_itself = models_at(c->v->models, model)->reads_itself;
	ordinal end = state == BATCH_SKIPPED && reads_itself ? batch : 0;
	for (ordinal o = ledger_known(l, model).first; o < end && c->n < CAUSES_MAX; o++)
		if (went_wrong(l, model, o))
			add(c, model, o);
}
