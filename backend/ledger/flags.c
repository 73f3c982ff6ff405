/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits and what runs, one bit a batch. A scan reads one word for 32 batches, so that looking for the
 * next one among a hundred thousand costs some microseconds, whoever asks.
 */
#include "backend/ledger/flags.h"
#include "backend/ledger/state.h"

static uint32_t bits(const struct flags *f, enum mark mark)
{
	uint32_t waiting = f->queued & ~f->claimed & ~f->running;
	switch (mark) {
	case MARK_UNSETTLED:
		return f->queued | f->claimed | f->running;
	case MARK_WAITING:
		return waiting;
	case MARK_HOPEFUL:
		return waiting & ~f->skipping;
	case MARK_REQUEUED:
		return f->requeued;
	case MARK_CLAIMED:
		return f->claimed;
	case MARK_RUNNING:
		return f->running;
	case MARK_WRONG:
		return f->wrong & ~(f->queued | f->claimed | f->running);
	case MARK_ACTIVE:
		return f->claimed | f->running;
	}
	return 0;
}

bool marked(const struct model_state *m, enum mark mark, ordinal batch)
{
	size_t chunk = (batch - m->begin) / CELLS_A_CHUNK;
	if (batch < m->begin || chunk >= m->n_chunks)
		return false;
	return bits(&m->flags[chunk], mark) >> (batch - m->begin) % CELLS_A_CHUNK & 1;
}

/* The first batch of [from, end) whose bit is set, in the words turned over by `flip`; end: none. */
static ordinal scan(const struct ledger *l, const struct model_state *m, enum mark mark, uint32_t flip,
		    ordinal from, ordinal end)
{
	if (from >= end)
		return end;
	size_t chunk = (from - m->begin) / CELLS_A_CHUNK, last = (end - 1 - m->begin) / CELLS_A_CHUNK;
	uint32_t mask = UINT32_MAX << (from - m->begin) % CELLS_A_CHUNK;
	for (; chunk <= last && chunk < m->n_chunks; chunk++) {
		uint32_t found = (bits(&m->flags[chunk], mark) ^ flip) & mask;
		((struct ledger *)l)->looked_at++;
		if (found) {
			ordinal batch =
				m->begin + (ordinal)(chunk * CELLS_A_CHUNK) + (ordinal)__builtin_ctz(found);
			return batch < end ? batch : end;
		}
		mask = UINT32_MAX;
	}
	/* Beyond the chunks nothing is marked. */
	ordinal beyond = m->begin + (ordinal)(chunk * CELLS_A_CHUNK);
	return flip && beyond < end ? (beyond > from ? beyond : from) : end;
}

ordinal mark_next(const struct ledger *l, const struct model_state *m, enum mark mark, ordinal from,
		  ordinal end)
{
	return scan(l, m, mark, 0, from < m->begin ? m->begin : from, end);
}

ordinal mark_gap(const struct ledger *l, const struct model_state *m, enum mark mark, ordinal from,
		 ordinal end)
{
	return from < m->begin ? from : scan(l, m, mark, UINT32_MAX, from, end);
}

static size_t count(uint32_t word)
{
	return (size_t)__builtin_popcount(word);
}

/* The one place where the counters move. */
void flags_put(struct model_state *m, size_t chunk, struct flags now)
{
	struct flags *f = &m->flags[chunk];
	m->queued += count(now.queued & ~now.claimed) - count(f->queued & ~f->claimed);
	m->running += count(now.claimed | now.running) - count(f->claimed | f->running);
	m->requeued += count(now.requeued) - count(f->requeued);
	*f = now;
}

static uint32_t with(uint32_t word, uint32_t bit, bool set)
{
	return set ? word | bit : word & ~bit;
}

void flags_set(struct model_state *m, ordinal batch, bool queued, bool claimed, bool running)
{
	size_t chunk = (batch - m->begin) / CELLS_A_CHUNK;
	uint32_t bit = UINT32_C(1) << (batch - m->begin) % CELLS_A_CHUNK;
	struct flags f = m->flags[chunk];
	f.queued = with(f.queued, bit, queued);
	f.claimed = with(f.claimed, bit, claimed);
	f.running = with(f.running, bit, running);
	flags_put(m, chunk, f);
}

void flags_requeue(struct model_state *m, ordinal batch, bool requeued)
{
	size_t chunk = (batch - m->begin) / CELLS_A_CHUNK;
	uint32_t bit = UINT32_C(1) << (batch - m->begin) % CELLS_A_CHUNK;
	struct flags f = m->flags[chunk];
	f.requeued = with(f.requeued, bit, requeued);
	flags_put(m, chunk, f);
}

uint32_t chunk_mask(const struct model_state *m, size_t chunk, struct ordinal_range batches)
{
	uint64_t start = (uint64_t)m->begin + chunk * CELLS_A_CHUNK, end = start + CELLS_A_CHUNK;
	uint64_t first = batches.first > start ? batches.first : start;
	uint64_t last = batches.end < end ? batches.end : end;
	if (first >= last)
		return 0;
	return (uint32_t)(((UINT64_C(1) << (last - first)) - 1) << (first - start));
}

struct chunk_range chunks_of(const struct model_state *m, struct ordinal_range batches)
{
	struct chunk_range r = {0, 0};
	ordinal first = batches.first < m->begin ? m->begin : batches.first;
	if (first >= batches.end)
		return r;
	r.first = (first - m->begin) / CELLS_A_CHUNK;
	r.end = (batches.end - 1 - m->begin) / CELLS_A_CHUNK + 1;
	if (r.end > m->n_chunks)
		r.end = m->n_chunks;
	return r;
}

bool unsure(const struct model_state *m, ordinal batch)
{
	return m->flags[(batch - m->begin) / CELLS_A_CHUNK].unsure >> (batch - m->begin) % CELLS_A_CHUNK & 1;
}

void make_sure(struct model_state *m, ordinal batch)
{
	m->flags[(batch - m->begin) / CELLS_A_CHUNK].unsure &=
		~(UINT32_C(1) << (batch - m->begin) % CELLS_A_CHUNK);
}
