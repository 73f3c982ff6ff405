/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing, which takes no time here, and nobody else is told of it. */
#include "backend/base/cleanup.h"
#include "tests/fake_backend/fake_private.h"

void backend_freeze(struct backend *b, const struct backend_freeze *f)
{
	const struct backend_part *p = f->parts;
	int result = 0;
	{
		LOCKED(&b->lock);
		for (ordinal o = p->batches.first; o < p->batches.end; o++)
			if (f->freeze && fake_at(b, p->model, o)->state == BATCH_RUNNING)
				result = -EBUSY;
		for (ordinal o = p->batches.first; o < p->batches.end && result == 0; o++)
			fake_at(b, p->model, o)->frozen = f->freeze;
		b->tables[p->model].generation++;
	}
	f->done(f->ctx, result);
}

void backend_protect(struct backend *b, slot model, const struct backend_freeze *f)
{
	{
		LOCKED(&b->lock);
		b->tables[model].model.protected = f->freeze;
	}
	f->done(f->ctx, 0);
}

bool backend_frozen(const struct backend *b, const struct backend_part *parts, size_t n_parts)
{
	(void)n_parts;
	LOCKED((pthread_mutex_t *)&b->lock);
	for (ordinal o = parts->batches.first; o < parts->batches.end; o++)
		if (!fake_at(b, parts->model, o)->frozen)
			return false;
	return parts->batches.first < parts->batches.end;
}
