/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open requests: one row each, whatever the number of their batches; which batches
 * of it are still wanted is a bitmap.
 */
#include "backend/ledger/private.h"

bool request_has(const struct open_request *r, ordinal batch)
{
	if (batch < r->batches.first || batch >= r->batches.end)
		return false;
	size_t bit = batch - r->batches.first;
	return r->wanted[bit / 8] >> (bit % 8) & 1;
}

bool request_wants(const struct model_state *m, ordinal batch, int64_t *request, int64_t *seq)
{
	const struct open_request *r, *last = NULL;
	TAILQ_FOREACH(r, &m->requests, link)
	{
		if (request_has(r, batch))
			last = r;
	}
	if (last && request)
		*request = last->known->id;
	if (last && seq)
		*seq = last->seq;
	return last != NULL;
}

static void remember_finished(struct ledger *l, int64_t id)
{
	if (l->n_finished == l->finished_size) {
		size_t size = l->finished_size ? 2 * l->finished_size : 64;
		int64_t *ids = realloc(l->finished, size * sizeof *ids);
		if (ids) {
			l->finished = ids;
			l->finished_size = size;
		}
	}
	if (l->n_finished < l->finished_size)
		l->finished[l->n_finished++] = id;
}

/* Its id goes to those that the store shall retire; no memory for that: it is found again at the next load.
 */
static void finish(struct ledger *l, struct model_state *m, struct open_request *r)
{
	TAILQ_REMOVE(&m->requests, r, link);
	r->known->open = false;
	r->known->finished = true;
	remember_finished(l, r->known->id);
	free(r);
}

/* The batch answers every request up to `served`. */
void request_serve(struct ledger *l, struct model_state *m, ordinal batch, int64_t served)
{
	struct open_request *r, *next;
	for (r = TAILQ_FIRST(&m->requests); r && r->seq <= served; r = next) {
		next = TAILQ_NEXT(r, link);
		if (!request_has(r, batch))
			continue;
		size_t bit = batch - r->batches.first;
		r->wanted[bit / 8] &= (unsigned char)~(1u << (bit % 8));
		if (--r->remaining == 0)
			finish(l, m, r);
	}
}

static struct open_request *open_find(const struct model_state *m, const struct known_request *k)
{
	struct open_request *r;
	TAILQ_FOREACH(r, &m->requests, link)
	{
		if (r->known == k)
			return r;
	}
	return NULL;
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
static int open_make(struct model_state *m, struct known_request *k, const struct store_request_row *row)
{
	size_t n = row->batches.end - row->batches.first;
	struct open_request *r = calloc(1, sizeof *r + (n + 7) / 8);
	if (!r)
		return -ENOMEM;
	for (ordinal b = row->batches.first; b < row->batches.end; b++)
		if (!cell_make(m, b)) {
			free(r);
			return -ENOMEM;
		}
	r->known = k;
	r->seq = row->seq;
	r->batches = row->batches;
	r->remaining = n;
	for (size_t bit = 0; bit < n; bit++)
		r->wanted[bit / 8] |= (unsigned char)(1u << (bit % 8));
	insert(m, r);
	k->open = true;
	for (ordinal b = row->batches.first; b < row->batches.end; b++) {
		struct cell *c = cell_find(m, b);
		cell_flags(m, c, true, c->claimed, c->running);
	}
	return 0;
}

int ledger_put_request(struct ledger *l, const struct store_request_row *row)
{
	struct model_state *m = model_state_of(l, row->model);
	struct store_request_row r = *row;
	/* A model whose begin has moved: what lies before it exists no more. */
	if (r.batches.first < m->begin)
		r.batches.first = m->begin;
	struct known_request *k = known_make(l, &r);
	if (!k)
		return -ENOMEM;
	if (!r.open || k->finished || r.batches.first >= r.batches.end || open_find(m, k))
		return 0;
	return open_make(m, k, &r);
}

size_t ledger_take_finished(struct ledger *l, int64_t *ids, size_t n)
{
	if (n > l->n_finished)
		n = l->n_finished;
	l->n_finished -= n;
	if (n)
		memcpy(ids, l->finished + l->n_finished, n * sizeof *ids);
	return n;
}

void ledger_untake_finished(struct ledger *l, const int64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		remember_finished(l, ids[i]);
}

void requests_free(struct model_state *m)
{
	struct open_request *r;
	while ((r = TAILQ_FIRST(&m->requests))) {
		TAILQ_REMOVE(&m->requests, r, link);
		free(r);
	}
}
