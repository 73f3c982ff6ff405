/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/batch_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD 32u

static size_t words_of(struct ordinal_range range)
{
	return range.first < range.end ? (range.end - range.first + WORD - 1) / WORD : 0;
}

int batch_set_init(struct batch_set *s, struct ordinal_range range)
{
	if (range.end < range.first)
		range.end = range.first;
	*s = (struct batch_set){.range = range, .bits = calloc(words_of(range) + 1, sizeof *s->bits)};
	if (s->bits)
		return 0;
	*s = (struct batch_set){.n = 0};
	return -ENOMEM;
}

void batch_set_fini(struct batch_set *s)
{
	free(s->bits);
	*s = (struct batch_set){.n = 0};
}

int batch_set_copy(struct batch_set *out, const struct batch_set *s)
{
	int r = batch_set_init(out, s->range);
	if (r < 0 || !s->bits)
		return r;
	memcpy(out->bits, s->bits, words_of(s->range) * sizeof *s->bits);
	out->n = s->n;
	return 0;
}

bool batch_set_has(const struct batch_set *s, ordinal batch)
{
	if (batch < s->range.first || batch >= s->range.end)
		return false;
	uint32_t at = batch - s->range.first;
	return s->bits[at / WORD] >> at % WORD & 1;
}

void batch_set_add(struct batch_set *s, ordinal batch)
{
	uint32_t at = batch - s->range.first;
	s->n += !batch_set_has(s, batch);
	s->bits[at / WORD] |= UINT32_C(1) << at % WORD;
}

ordinal batch_set_nth(const struct batch_set *s, size_t i)
{
	size_t word = 0, before = 0;
	for (size_t here; (here = (size_t)__builtin_popcount(s->bits[word])) <= i - before; word++)
		before += here;
	uint32_t left = s->bits[word];
	for (; before < i; before++)
		left &= left - 1;
	return s->range.first + (ordinal)(word * WORD) + (ordinal)__builtin_ctz(left);
}

/* The first batch from `from` on that is in the set, in the words turned over by `flip`; else the end. */
static ordinal scan(const struct batch_set *s, ordinal from, uint32_t flip)
{
	uint32_t size = s->range.end - s->range.first, at = from - s->range.first;
	uint32_t mask = UINT32_MAX << at % WORD;
	for (; at < size; at = (at / WORD + 1) * WORD) {
		uint32_t found = (s->bits[at / WORD] ^ flip) & mask;
		if (found) {
			uint32_t bit = at / WORD * WORD + (uint32_t)__builtin_ctz(found);
			return bit < size ? s->range.first + bit : s->range.end;
		}
		mask = UINT32_MAX;
	}
	return s->range.end;
}

struct ordinal_range batch_set_next(const struct batch_set *s, ordinal from)
{
	if (s->n == 0 || from >= s->range.end)
		return (struct ordinal_range){s->range.end, s->range.end};
	if (from < s->range.first)
		from = s->range.first;
	ordinal first = scan(s, from, 0);
	return (struct ordinal_range){first, first < s->range.end ? scan(s, first, UINT32_MAX) : first};
}
