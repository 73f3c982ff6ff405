/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/attempts.h"

static uint64_t known(int64_t n)
{
	return n > 0 ? (uint64_t)n : 0;
}

void attempt_count(struct attempt_counts *c, const struct store_outcome *o)
{
	c->ended[o->kind] += o->count;
	c->build_us += o->started ? known(o->finished - o->started) : 0;
	if (o->kind != SETTLE_DONE)
		return;
	c->rows_inserted += known(o->rows_inserted);
	c->rows_deleted += known(o->rows_deleted);
}
