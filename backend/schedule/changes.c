/* SPDX-License-Identifier: Apache-2.0 */
/* A batch's listener is told after the lock is gone, in ranges: a request of a year is one change. */
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/engine.h"
#include "backend/plan.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"

void touch_model(struct backend *b, slot model)
{
	struct model_runtime *m = &b->runtime[model];
	m->generation++;
	b->changes++;
	m->changed_at = clock_now_us(b->config.clock);
}

void changed(struct backend *b, slot model, struct ordinal_range batches)
{
	if (b->listener.changed && batches.first < batches.end)
		b->listener.changed(b->listener.ctx, model, batches);
}

#define READERS_AT_ONCE 32

/* A window on the readers, from the skip-th on: the lock is not held while the listener is told. */
struct readers {
	struct {
		slot model;
		struct ordinal_range batches;
	} list[READERS_AT_ONCE];
	size_t n, seen, skip;
};

static void note_reader(void *ctx, slot model, struct ordinal_range batches, bool windowed)
{
	struct readers *r = ctx;
	if (!windowed || r->seen++ < r->skip || r->n == READERS_AT_ONCE)
		return;
	r->list[r->n].model = model;
	r->list[r->n++].batches = batches;
}

void changed_readers(struct backend *b, slot model, struct ordinal_range batches)
{
	struct readers r = {0};
	do {
		r.skip += r.n;
		r.n = r.seen = 0;
		{
			LOCKED(&b->lock);
			plan_readers(b->ledger, b->models, model, batches, note_reader, &r);
			for (size_t i = 0; i < r.n; i++)
				touch_model(b, r.list[i].model);
		}
		for (size_t i = 0; i < r.n; i++)
			changed(b, r.list[i].model, r.list[i].batches);
	} while (r.n == READERS_AT_ONCE);
}
