/* SPDX-License-Identifier: Apache-2.0 */
/* What a listing shows of a batch. */
#include "backend/base/cleanup.h"
#include "tests/fake_backend/fake_private.h"

/* As fake_models.c pads the texts. */
#define SIZE_SHORT  512
#define SIZE_FAILED 1536

static void glance(const struct fake_table *t, const struct fake_batch *x, struct batch_glance *out)
{
	*out = (struct batch_glance){
		.state = x->state,
		.attempt = x->attempt,
		.built_at = x->built_at,
		.size = x->state == BATCH_FAILED ? SIZE_FAILED : SIZE_SHORT,
		.writable = t->model.runnable && !x->frozen,
	};
}

int backend_glance(const struct backend *b, slot model, ordinal batch, struct batch_glance *out)
{
	const struct fake_table *t = &b->tables[model];

	if (batch < t->model.existing.first || batch >= t->model.existing.end)
		return -ENOENT;
	LOCKED(lock_of(b));
	glance(t, fake_at(b, model, batch), out);
	return 0;
}

uint64_t backend_glances(const struct backend *b, slot model, ordinal first, size_t n,
			 struct batch_glance *out)
{
	LOCKED(lock_of(b));
	for (size_t i = 0; i < n; i++)
		glance(&b->tables[model], fake_at(b, model, first + (ordinal)i), &out[i]);
	return b->tables[model].generation;
}

uint64_t backend_generation(const struct backend *b, slot model)
{
	LOCKED(lock_of(b));
	return b->tables[model].generation;
}
