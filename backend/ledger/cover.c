/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which open requests cover a batch. A request of at most 2^k batches is of level k; numbers of batches
 * shifted by k name the buckets of that level, of which it lies in two at most. So a batch is looked up in
 * one bucket a level, whether there is one request or 26,000, each for a batch of its own.
 */
#include <stdlib.h>

#include "backend/ledger/cover.h"
#include "backend/ledger/open_request.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/state.h"

static unsigned level_of(const struct open_request *r)
{
	uint32_t n = r->batches.end - r->batches.first;
	return n <= 1 ? 0 : 32 - (unsigned)__builtin_clz(n - 1);
}

static uint32_t place(ordinal batch, unsigned level)
{
	return level > 31 ? 0 : batch >> level;
}

static struct bucket *find(const struct ledger *l, const struct bucket_key *key)
{
	struct bucket *b;
	HASH_FIND(hh, l->buckets, key, sizeof *key, b);
	return b;
}

static int put(struct ledger *l, struct spot *s, const struct bucket_key *key)
{
	struct bucket *b = find(l, key);
	if (!b) {
		b = calloc(1, sizeof *b);
		if (!b)
			return -ENOMEM;
		b->key = *key;
		LIST_INIT(&b->spots);
		HASH_ADD(hh, l->buckets, key, sizeof b->key, b);
		if (!hash_has(b->hh)) {
			free(b);
			return -ENOMEM;
		}
	}
	s->bucket = b;
	LIST_INSERT_HEAD(&b->spots, s, link);
	return 0;
}

static void take_out(struct ledger *l, struct spot *s)
{
	struct bucket *b = s->bucket;
	if (!b)
		return;
	LIST_REMOVE(s, link);
	s->bucket = NULL;
	if (LIST_EMPTY(&b->spots)) {
		HASH_DELETE(hh, l->buckets, b);
		free(b);
	}
}

int cover_add(struct ledger *l, struct model_state *m, struct open_request *r)
{
	unsigned level = level_of(r);
	struct bucket_key key = {.model = (uint32_t)r->recorded->model,
				 .level = level,
				 .index = place(r->batches.first, level)};
	uint32_t last = place(r->batches.end - 1, level);
	r->spots[0].request = r->spots[1].request = r;
	int err = put(l, &r->spots[0], &key);
	if (!err && last != key.index) {
		key.index = last;
		err = put(l, &r->spots[1], &key);
	}
	if (err)
		take_out(l, &r->spots[0]);
	else
		m->levels[level]++;
	return err;
}

void cover_remove(struct ledger *l, struct model_state *m, struct open_request *r)
{
	take_out(l, &r->spots[0]);
	take_out(l, &r->spots[1]);
	m->levels[level_of(r)]--;
}

struct cover cover_of(const struct ledger *l, slot model, ordinal batch)
{
	return (struct cover){.l = l, .m = model_state_of(l, model), .model = model, .batch = batch};
}

struct open_request *cover_next(struct cover *c)
{
	for (;;) {
		while (c->next) {
			struct open_request *r = c->next->request;
			c->next = LIST_NEXT(c->next, link);
			if (c->batch >= r->batches.first && c->batch < r->batches.end)
				return r;
		}
		while (c->level < LEVELS && c->m->levels[c->level] == 0)
			c->level++;
		if (c->level == LEVELS)
			return NULL;
		struct bucket_key key = {
			.model = (uint32_t)c->model, .level = c->level, .index = place(c->batch, c->level)};
		const struct bucket *b = find(c->l, &key);
		c->next = b ? LIST_FIRST(&b->spots) : NULL;
		c->level++;
	}
}
