/* SPDX-License-Identifier: Apache-2.0 */
/* Slots for a catalog made by hand: each model's is its place. */
#ifndef BATCHFS_MODELS_FIXTURE_H
#define BATCHFS_MODELS_FIXTURE_H

#include "backend/models.h"

static inline struct models *models_of(struct catalog *catalog)
{
	struct error err = {0};
	struct models *ms = models_new(0);
	assert_non_null(ms);
	assert_int_equal(models_prepare(ms, catalog, NULL, &err), 0);
	models_swap(ms);
	return ms;
}

#endif
