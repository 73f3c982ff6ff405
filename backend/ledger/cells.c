/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/ledger/cells.h"
#include "backend/ledger/state.h"

static size_t chunk_index(const struct model_state *m, ordinal batch)
{
	return (batch - m->begin) / CELLS_A_CHUNK;
}

struct cell *cell_find(const struct model_state *m, ordinal batch)
{
	if (batch < m->begin || chunk_index(m, batch) >= m->n_chunks)
		return NULL;
	struct chunk *chunk = m->chunks[chunk_index(m, batch)];
	return chunk ? &chunk->cells[(batch - m->begin) % CELLS_A_CHUNK] : NULL;
}

static bool lengthen(void **array, size_t element, size_t before, size_t after)
{
	char *longer = realloc(*array, after * element);
	if (!longer)
		return false;
	memset(longer + before * element, 0, (after - before) * element);
	*array = longer;
	return true;
}

bool cells_reach(struct model_state *m, ordinal end)
{
	size_t n = end > m->begin ? chunk_index(m, end - 1) + 1 : 0;
	if (n <= m->n_chunks)
		return true;
	size_t size = n < 16 ? n : n + n / 8;
	/* What has become longer before the memory ran out is no longer counted, and becomes so once more. */
	if (!lengthen((void **)&m->chunks, sizeof *m->chunks, m->n_chunks, size) ||
	    !lengthen((void **)&m->flags, sizeof *m->flags, m->n_chunks, size) ||
	    !lengthen((void **)&m->built, sizeof *m->built, m->n_chunks, size))
		return false;
	m->n_chunks = size;
	return true;
}

struct cell *cell_make(struct model_state *m, ordinal batch)
{
	if (batch < m->begin || !cells_reach(m, batch + 1))
		return NULL;
	struct chunk **chunk = &m->chunks[chunk_index(m, batch)];
	if (!*chunk) {
		*chunk = calloc(1, sizeof **chunk);
		if (!*chunk)
			return NULL;
	}
	return &(*chunk)->cells[(batch - m->begin) % CELLS_A_CHUNK];
}

int64_t cell_finished(const struct cell *c)
{
	return (int64_t)((uint64_t)c->finished_high << 32 | c->finished_low);
}

void cell_set_finished(struct cell *c, int64_t us)
{
	uint64_t time = us > 0 ? (uint64_t)us : 0;
	c->finished_low = (uint32_t)time;
	c->finished_high = time >> 32 & 0xfffff;
}

int64_t cell_built(const struct cell *c)
{
	if (c->outcome == OUTCOME_DONE)
		return cell_finished(c);
	return (int64_t)((uint64_t)c->built_high << 32 | c->built_low);
}

void cell_set_built(struct model_state *m, struct cell *c, ordinal batch, int64_t us)
{
	c->built_low = (uint32_t)us;
	c->built_high = (uint32_t)((uint64_t)us >> 32);
	chunk_built(m, batch, us);
}

void chunk_built(struct model_state *m, ordinal batch, int64_t us)
{
	int64_t *latest = &m->built[chunk_index(m, batch)];
	if (us > *latest)
		*latest = us;
	if (us > m->latest_build)
		m->latest_build = us;
}

void cell_set_outcome(struct model_state *m, struct cell *c, ordinal batch, enum row_outcome outcome)
{
	uint32_t *wrong = &m->flags[chunk_index(m, batch)].wrong;
	uint32_t bit = UINT32_C(1) << (batch - m->begin) % CELLS_A_CHUNK;
	bool set = outcome == OUTCOME_FAILED || outcome == OUTCOME_SKIPPED;
	c->outcome = (unsigned)outcome & 3;
	*wrong = set ? *wrong | bit : *wrong & ~bit;
}
