/* SPDX-License-Identifier: Apache-2.0 */
/* Which batches a request is about. */
#ifndef BATCHFS_SCHEDULE_EXPAND_H
#define BATCHFS_SCHEDULE_EXPAND_H

#include "backend/backend.h"

/* Neighbouring batches of a model: one request. */
struct stretch {
	slot model;
	struct ordinal_range batches;
};

struct stretches {
	struct stretch *list; /* owned: free() */
	size_t n, size;
	size_t frozen; /* batches that were left out for that */
	bool broken;   /* no memory */
};

/* A part of a request on its way. */
enum part_stage {
	PART_WAITS,   /* for a look at its table */
	PART_READY,   /* it is decided now what it builds */
	PART_SENT,    /* that was decided before */
	PART_REFUSED, /* its model cannot be built here after all */
};

/* A batch that was asked for by its own name. */
bool expand_is_single(const struct backend_request *r);

/*
 * With the lock. What the parts that are ready ask for; stages NULL: all are. -EPERM with *why: nothing,
 * because it is frozen.
 */
int expand(struct backend *b, const struct backend_request *r, const enum part_stage *stages,
	   struct stretches *out, struct error *why);

#endif
