/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/ledger/private.h"

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

static bool grow(struct model_state *m, size_t n)
{
	if (n <= m->n_chunks)
		return true;
	size_t size = n < 16 ? n : n + n / 2;
	struct chunk **chunks = realloc(m->chunks, size * sizeof *chunks);
	if (!chunks)
		return false;
	memset(chunks + m->n_chunks, 0, (size - m->n_chunks) * sizeof *chunks);
	m->chunks = chunks;
	m->n_chunks = size;
	return true;
}

struct cell *cell_make(struct model_state *m, ordinal batch)
{
	if (batch < m->begin || !grow(m, chunk_index(m, batch) + 1))
		return NULL;
	struct chunk **chunk = &m->chunks[chunk_index(m, batch)];
	if (!*chunk) {
		*chunk = calloc(1, sizeof **chunk);
		if (!*chunk)
			return NULL;
	}
	return &(*chunk)->cells[(batch - m->begin) % CELLS_A_CHUNK];
}

void cell_requeue(struct model_state *m, struct cell *c, ordinal batch, bool requeued)
{
	m->requeued += requeued - c->requeued;
	c->requeued = requeued;
	if (requeued && batch < m->requeued_hint)
		m->requeued_hint = batch;
}

/* The one place where the counters of queued and running move. */
void cell_flags(struct model_state *m, struct cell *c, bool queued, bool claimed, bool running)
{
	m->queued -= c->queued && !c->claimed;
	m->running -= c->claimed || c->running;
	c->queued = queued;
	c->claimed = claimed;
	c->running = running;
	m->queued += queued && !claimed;
	m->running += claimed || running;
}
