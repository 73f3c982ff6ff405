/* SPDX-License-Identifier: Apache-2.0 */
/* Another manifest has other facts of a model whose batches are known. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/ledger/chunk.h"
#include "backend/ledger/flags.h"
#include "backend/ledger/open_request.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/state.h"

/* n elements of nothing in front of those that there are. NULL: no memory. */
static void *longer(const void *array, size_t element, size_t before, size_t n)
{
	char *out = calloc(before + n, element);
	if (out && before)
		memcpy(out + n * element, array, before * element);
	return out;
}

/* So many chunks come before the first one, so that the places of all others rise. */
static int put_chunks_before(struct model_state *m, size_t n)
{
	struct chunk **chunks = longer(m->chunks, sizeof *chunks, m->n_chunks, n);
	struct flags *flags = longer(m->flags, sizeof *flags, m->n_chunks, n);
	int64_t *built = longer(m->built, sizeof *built, m->n_chunks, n);
	if (!chunks || !flags || !built) {
		free(chunks);
		free(flags);
		free(built);
		return -ENOMEM;
	}
	free(m->chunks);
	free(m->flags);
	free(m->built);
	m->chunks = chunks;
	m->flags = flags;
	m->built = built;
	m->n_chunks += n;
	m->begin -= (ordinal)(n * CELLS_A_CHUNK);
	struct open_request *r;
	TAILQ_FOREACH(r, &m->requests, link)
	{
		r->chunk += n;
	}
	return 0;
}

static int reach_back(struct model_state *m, ordinal begin)
{
	if (begin >= m->begin)
		return 0;
	if (m->n_chunks) {
		size_t n = (m->begin - begin + CELLS_A_CHUNK - 1) / CELLS_A_CHUNK;
		if ((uint64_t)n * CELLS_A_CHUNK <= m->begin)
			return put_chunks_before(m, n);
		return -ENOMEM;
	}
	m->begin = begin;
	return 0;
}

int ledger_adapt(struct ledger *l, slot model, const struct model *facts)
{
	struct model_state *m = model_state_of(l, model);
	int r = reach_back(m, calendar_ordinal(m->size, facts->begin));
	if (r < 0 || strcmp(m->code, facts->code) == 0)
		return r;
	memcpy(m->code, facts->code, sizeof m->code);
	for (struct recorded_request *k = l->recorded; k; k = k->hh.next)
		if (k->model == model)
			recorded_judge(l, k);
	return 0;
}
