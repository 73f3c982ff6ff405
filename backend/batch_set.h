/* SPDX-License-Identifier: Apache-2.0 */
/* Some of the batches of a range, a bit each. Pure; one thread at a time. */
#ifndef BATCHFS_BATCH_SET_H
#define BATCHFS_BATCH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/calendar.h"

/* All zero: of an empty range. */
struct batch_set {
	struct ordinal_range range;
	size_t n;	/* how many are in it */
	uint32_t *bits; /* owned */
};

/* Makes *s, which holds nothing, the empty set of that range. -ENOMEM. */
int batch_set_init(struct batch_set *s, struct ordinal_range range);
void batch_set_fini(struct batch_set *s);

/* Into *out, which holds nothing. -ENOMEM. */
int batch_set_copy(struct batch_set *out, const struct batch_set *s);

/* A batch outside of the range is in no set. */
bool batch_set_has(const struct batch_set *s, ordinal batch);
void batch_set_add(struct batch_set *s, ordinal batch); /* of the range */

/* Number i of the set, i < n, in order. */
ordinal batch_set_nth(const struct batch_set *s, size_t i);

/* The next neighbours in the set from `from` on; {end of the range, end of the range}: there are none. */
struct ordinal_range batch_set_next(const struct batch_set *s, ordinal from);

#endif
