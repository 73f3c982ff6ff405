/* SPDX-License-Identifier: Apache-2.0 */
/* What the layer's two halves, waiting and building, tell each other. */
#ifndef BATCHFS_TESTS_FAULT_LAYER_H
#define BATCHFS_TESTS_FAULT_LAYER_H

#include "tests/fault/fault.h"

static inline struct fault_layer *fault_of(const struct engine_layer *layer)
{
	return (struct fault_layer *)((char *)layer - offsetof(struct fault_layer, layer));
}

/* Reads the rules again and waits as long as they say. -ECANCELED: the call has been ended meanwhile. */
int fault_wait(struct fault_layer *f, const struct engine_call *call, struct error *err);

/* Takes the failure that comes before the call, if the rules have one. */
int fault_fail(struct fault_layer *f, const struct engine_call *call, struct error *err);

/* The layer's build(). */
int fault_build(const struct engine_layer *layer, const struct engine_call *call, const struct build_run *run,
		build_report_fn *report, void *ctx, struct error *err);

#endif
