/* SPDX-License-Identifier: Apache-2.0 */
/* Which batches of a run something is true of. The batches are neighbours; i counts from the first one. Pure.
 */
#ifndef BATCHFS_RUN_MARKS_H
#define BATCHFS_RUN_MARKS_H

#include <stdbool.h>
#include <stdint.h>

/* So many batches are claimed together, or given to a builder as one run, at most: a year of days. */
#define CLAIM_MAX 384

struct run_marks {
	uint64_t word[CLAIM_MAX / 64];
};

static inline bool run_marked(const struct run_marks *m, uint32_t i)
{
	return m->word[i / 64] >> i % 64 & 1;
}

static inline void run_mark(struct run_marks *m, uint32_t i)
{
	m->word[i / 64] |= UINT64_C(1) << i % 64;
}

static inline void run_unmark(struct run_marks *m, uint32_t i)
{
	m->word[i / 64] &= ~(UINT64_C(1) << i % 64);
}

static inline bool run_marks_none(const struct run_marks *m)
{
	uint64_t all = 0;
	for (int w = 0; w < CLAIM_MAX / 64; w++)
		all |= m->word[w];
	return !all;
}

#endif
