/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/view/causes.h"

#include <string.h>

/* Quotes, comma, blank and slash around and between the names. */
#define AROUND (CALENDAR_NAME_MAX + 5)

static void add(void *ctx, slot model, ordinal batch)
{
	struct causes *c = ctx;
	const struct model *m = &c->b->catalog->models[model];
	c->text += strlen(m->dir) + AROUND;
	if (c->counting)
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
	c->list[c->n++] = (struct report_cause){m, batch};
}

static bool went_wrong(const struct ledger *l, slot model, ordinal batch)
{
	enum batch_state s = ledger_state(l, model, batch);
	return s == BATCH_FAILED || s == BATCH_SKIPPED;
}

void causes_of(struct causes *c, slot model, ordinal batch, enum batch_state state)
{
	const struct ledger *l = c->b->ledger;
	const struct catalog *catalog = c->b->catalog;
	const struct model *m = &catalog->models[model];
	if (state == BATCH_STALE)
		plan_stale(l, catalog, model, batch, add, c);
	for (size_t i = 0; state == BATCH_SKIPPED && i < m->n_upstreams; i++) {
		struct ordinal_range reads = plan_reads(l, catalog, model, batch, &m->upstreams[i]);
		for (ordinal o = reads.first; m->upstreams[i].model != model && o < reads.end; o++)
			if (went_wrong(l, m->upstreams[i].model, o))
				add(c, m->upstreams[i].model, o);
	}
	for (ordinal o = ledger_known(l, model).first; state == BATCH_SKIPPED && m->reads_itself && o < batch;
	     o++)
		if (went_wrong(l, model, o))
			add(c, model, o);
}
