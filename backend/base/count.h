/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A number with its noun, for messages: count_of(n, "batch", "batches").text is "1 batch" or "3 batches". The
 * text lives to the end of the full expression in which the call stands.
 */
#ifndef BATCHFS_BASE_COUNT_H
#define BATCHFS_BASE_COUNT_H

#include <inttypes.h>
#include <stdio.h>

struct counted {
	char text[96];
};

/* Both forms together with the number must fit; what does not is cut. */
static inline struct counted count_of(uint64_t n, const char *one, const char *many)
{
	struct counted c;
	snprintf(c.text, sizeof c.text, "%" PRIu64 " %s", n, n == 1 ? one : many);
	return c;
}

#endif
