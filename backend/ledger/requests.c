/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open requests: one each, whatever the number of their batches; which batches of it are still wanted is a
 * bitmap, in words that lie as the model's chunks do.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/ledger/cells.h"
#include "backend/ledger/cover.h"
#include "backend/ledger/flags.h"
#include "backend/ledger/ids.h"
#include "backend/ledger/open_request.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/requests.h"
#include "backend/ledger/state.h"

static size_t word_at(const struct open_request *r, ordinal batch)
{
	return (batch - r->start) / CELLS_A_CHUNK;
}

static uint32_t bit_at(const struct open_request *r, ordinal batch)
{
	return UINT32_C(1) << (batch - r->start) % CELLS_A_CHUNK;
}

bool request_has(const struct open_request *r, ordinal batch)
{
	return batch >= r->batches.first && batch < r->batches.end &&
	       (r->wanted[word_at(r, batch)] & bit_at(r, batch)) != 0;
}

/* The first batch from `from` on whose bit is set in the words turned over by `flip`, or the request's end.
 */
static ordinal scan(const struct open_request *r, ordinal from, uint32_t flip)
{
	if (from < r->batches.first)
		from = r->batches.first;
	if (from >= r->batches.end)
		return r->batches.end;
	size_t word = word_at(r, from);
	uint32_t mask = UINT32_MAX << (from - r->start) % CELLS_A_CHUNK;
	if (!flip && word < r->hint) {
		word = r->hint;
		mask = UINT32_MAX;
	}
	for (; word < r->n_words; word++, mask = UINT32_MAX) {
		uint32_t found = (r->wanted[word] ^ flip) & mask;
		ordinal batch = r->start + (ordinal)(word * CELLS_A_CHUNK);
		if (found)
			batch += (ordinal)__builtin_ctz(found);
		if (found)
			return batch < r->batches.end ? batch : r->batches.end;
	}
	return r->batches.end;
}

ordinal request_next(const struct open_request *r, ordinal from)
{
	return scan(r, from, 0);
}

ordinal request_gap(const struct open_request *r, ordinal from)
{
	return scan(r, from, UINT32_MAX);
}

struct open_request *request_newest(const struct ledger *l, slot model, ordinal batch)
{
	struct cover c = cover_of(l, model, batch);
	struct open_request *r, *newest = NULL;
	while ((r = cover_next(&c)))
		if (request_has(r, batch) && (!newest || r->seq > newest->seq))
			newest = r;
	return newest;
}

/* It covers nothing any more; the caller frees it. */
static void close_request(struct ledger *l, struct model_state *m, struct open_request *r)
{
	TAILQ_REMOVE(&m->requests, r, link);
	cover_remove(l, m, r);
	r->recorded->open = NULL;
	l->open--;
}

/* Its id goes to those that the store shall retire, unless another mount may have something of it left. */
static void finish(struct ledger *l, struct model_state *m, struct open_request *r)
{
	close_request(l, m, r);
	r->recorded->finished = true;
	if (!r->recorded->reaches_back)
		ids_add(&l->finished, r->recorded->id);
	free(r);
}

static void clear(struct ledger *l, struct model_state *m, struct open_request *r, size_t word, uint32_t bits)
{
	r->remaining -= (size_t)__builtin_popcount(r->wanted[word] & bits);
	r->wanted[word] &= ~bits;
	while (r->hint < r->n_words && !r->wanted[r->hint])
		r->hint++;
	if (r->remaining == 0)
		finish(l, m, r);
}

void request_serve(struct ledger *l, slot model, ordinal batch, int64_t served)
{
	struct cover c = cover_of(l, model, batch);
	struct open_request *r;
	while ((r = cover_next(&c)))
		if (r->seq <= served && request_has(r, batch))
			clear(l, model_state_of(l, model), r, word_at(r, batch), bit_at(r, batch));
}

static void serve_words(struct ledger *l, struct model_state *m, struct open_request *r,
			struct chunk_range chunks, struct ordinal_range batches)
{
	size_t first = chunks.first > r->chunk ? chunks.first : r->chunk;
	size_t end = chunks.end < r->chunk + r->n_words ? chunks.end : r->chunk + r->n_words;
	for (size_t i = first; i < end; i++) {
		bool last = r->remaining ==
			    (size_t)__builtin_popcount(r->wanted[i - r->chunk] & chunk_mask(m, i, batches));
		clear(l, m, r, i - r->chunk, chunk_mask(m, i, batches));
		if (last)
			return;
	}
}

static bool meets(const struct open_request *r, struct ordinal_range batches)
{
	return r->batches.first < batches.end && batches.first < r->batches.end;
}

void request_serve_range(struct ledger *l, slot model, struct ordinal_range batches, int64_t served)
{
	struct model_state *m = model_state_of(l, model);
	struct chunk_range chunks = chunks_of(m, batches);
	struct open_request *r, *next;
	for (r = TAILQ_FIRST(&m->requests); r && r->seq <= served; r = next) {
		next = TAILQ_NEXT(r, link);
		if (meets(r, batches))
			serve_words(l, m, r, chunks, batches);
	}
	for (size_t i = chunks.first; i < chunks.end; i++) {
		struct flags f = m->flags[i];
		f.queued &= ~chunk_mask(m, i, batches) | f.requeued;
		flags_put(m, i, f);
	}
	TAILQ_FOREACH(r, &m->requests, link)
	{
		for (size_t i = r->chunk; meets(r, batches) && i < r->chunk + r->n_words; i++) {
			struct flags f = m->flags[i];
			f.queued |= r->wanted[i - r->chunk];
			flags_put(m, i, f);
		}
	}
}

/* Kept by rising seq: nearly always the new one is the last. */
static void insert(struct model_state *m, struct open_request *r)
{
	struct open_request *before = TAILQ_LAST(&m->requests, request_list);
	while (before && before->seq > r->seq)
		before = TAILQ_PREV(before, request_list, link);
	if (before)
		TAILQ_INSERT_AFTER(&m->requests, before, r, link);
	else
		TAILQ_INSERT_HEAD(&m->requests, r, link);
}

/* Every batch of it is wanted, and shows as queued. */
static int open_make(struct ledger *l, struct model_state *m, struct recorded_request *k,
		     const struct store_request_row *row)
{
	if (!cells_reach(m, row->batches.end))
		return -ENOMEM;
	struct chunk_range chunks = chunks_of(m, row->batches);
	size_t n = chunks.end - chunks.first;
	struct open_request *r = calloc(1, sizeof *r + n * sizeof *r->wanted);
	if (!r)
		return -ENOMEM;
	r->recorded = k;
	r->seq = row->seq;
	r->batches = row->batches;
	r->remaining = row->batches.end - row->batches.first;
	r->chunk = chunks.first;
	r->start = m->begin + (ordinal)(chunks.first * CELLS_A_CHUNK);
	r->n_words = n;
	if (cover_add(l, m, r) < 0) {
		free(r);
		return -ENOMEM;
	}
	insert(m, r);
	k->open = r;
	l->open++;
	for (size_t i = 0; i < n; i++) {
		struct flags f = m->flags[chunks.first + i];
		r->wanted[i] = chunk_mask(m, chunks.first + i, row->batches);
		f.queued |= r->wanted[i];
		flags_put(m, chunks.first + i, f);
	}
	return 0;
}

void request_void(struct ledger *l, struct recorded_request *k)
{
	struct model_state *m = model_state_of(l, k->model);
	struct open_request *r = k->open;
	if (!r)
		return;
	close_request(l, m, r);
	for (ordinal b = request_next(r, r->batches.first); b < r->batches.end; b = request_next(r, b + 1))
		flags_set(m, b, marked(m, MARK_REQUEUED, b) || request_newest(l, k->model, b),
			  marked(m, MARK_CLAIMED, b), marked(m, MARK_RUNNING, b));
	free(r);
}

/* Of another life even what its id asks for may differ. */
static void renew(struct ledger *l, struct recorded_request *k, const struct store_request_row *r)
{
	if (!k || !k->unsure)
		return;
	request_void(l, k);
	k->model = r->model;
	k->batches = r->batches;
	k->at = r->at;
	recorded_set_code(l, k, r->code);
	k->finished = k->unsure = false;
	k->equal_failures = 0;
}

int ledger_put_request(struct ledger *l, const struct store_request_row *row)
{
	struct model_state *m = model_state_of(l, row->model);
	struct store_request_row r = *row;
	/* The model has another begin now, or in another mount's manifest: here nothing exists before this
	 * one. */
	bool reaches_back = r.batches.first < m->begin;
	if (reaches_back)
		r.batches.first = m->begin;
	renew(l, recorded_find(l, r.id), &r);
	struct recorded_request *k = recorded_make(l, &r);
	if (!k)
		return -ENOMEM;
	k->reaches_back = r.open && reaches_back && r.batches.first < r.batches.end;
	if (!r.open || k->finished || r.batches.first >= r.batches.end || k->open)
		return 0;
	return open_make(l, m, k, &r);
}

size_t ledger_open(const struct ledger *l)
{
	return l->open;
}

size_t ledger_take_finished(struct ledger *l, int64_t *ids, size_t n)
{
	return ids_take(&l->finished, ids, n);
}

void ledger_untake_finished(struct ledger *l, const int64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ids_add(&l->finished, ids[i]);
}

void requests_free(struct ledger *l, struct model_state *m)
{
	struct open_request *r;
	while ((r = TAILQ_FIRST(&m->requests))) {
		close_request(l, m, r);
		free(r);
	}
}
