/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/refusals.h"

void refusals_add(struct refusals *list, const struct report_refusal *r)
{
	list->ring[list->n++ % REFUSALS_KEPT] = *r;
}

static bool meets(const struct report_refusal *r, struct ordinal_range batches)
{
	return batches.first >= batches.end || r->batches.first >= r->batches.end ||
	       (r->batches.first < batches.end && batches.first < r->batches.end);
}

const struct report_refusal *refusals_find(const struct refusals *list, slot model,
					   struct ordinal_range batches)
{
	unsigned kept = list->n < REFUSALS_KEPT ? list->n : REFUSALS_KEPT;
	for (unsigned i = 1; i <= kept; i++) {
		const struct report_refusal *r = &list->ring[(list->n - i) % REFUSALS_KEPT];
		if (model < 0 || (r->model == model && meets(r, batches)))
			return r;
	}
	return NULL;
}
