/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/known.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "backend/base/cleanup.h"
#include "fs/node.h"

struct known_key {
	slot model;
	ordinal base;
};

/* Of a chunk in which something has changed. */
struct known_hot {
	struct known_chunk *chunk;
	uint8_t expire[KNOWN_CHUNK];
	uint8_t drop[KNOWN_CHUNK];
	uint8_t refresh[KNOWN_CHUNK];
	uint8_t echo[KNOWN_CHUNK];
	uint8_t again[KNOWN_CHUNK]; /* has changed since the echo was put down: it gets another */
	uint16_t alias[KNOWN_CHUNK];
	uint8_t fresh[KNOWN_CHUNK]; /* inodes of that alias that the kernel may not have */
	int64_t echo_at;
	bool dirty, echoing; /* in which lists it is */
	TAILQ_ENTRY(known_hot) dirty_link, echo_link;
};

struct known_chunk {
	struct known_key key;
	uint8_t seen[KNOWN_CHUNK]; /* inodes the kernel may have */
	uint8_t live[KNOWN_CHUNK]; /* names it may believe in */
	struct known_hot *hot;
	UT_hash_handle hh;
};

void known_init(struct known *k)
{
	memset(k, 0, sizeof(*k));
	TAILQ_INIT(&k->dirty);
	TAILQ_INIT(&k->echoes);
	pthread_mutex_init(&k->lock, NULL);
}

void known_fini(struct known *k)
{
	struct known_chunk *c, *next;

	HASH_ITER(hh, k->chunks, c, next)
	{
		HASH_DEL(k->chunks, c);
		free(c->hot);
		free(c);
	}
	pthread_mutex_destroy(&k->lock);
}

static struct known_chunk *find(struct known *k, slot model, ordinal base)
{
	struct known_key key = {model, base};
	struct known_chunk *c;

	HASH_FIND(hh, k->chunks, &key, sizeof(key), c);
	return c;
}

static struct known_chunk *find_or_add(struct known *k, slot model, ordinal base)
{
	struct known_chunk *c = find(k, model, base);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->key = (struct known_key){model, base};
	HASH_ADD(hh, k->chunks, key, sizeof(c->key), c);
	return c;
}

/* Without memory the notices of this chunk are lost: NULL. */
static struct known_hot *heat(struct known_chunk *c)
{
	if (!c->hot) {
		c->hot = calloc(1, sizeof(*c->hot));
		if (c->hot)
			c->hot->chunk = c;
	}
	return c->hot;
}

static void make_dirty(struct known *k, struct known_hot *h)
{
	if (h->dirty)
		return;
	h->dirty = true;
	TAILQ_INSERT_TAIL(&k->dirty, h, dirty_link);
}

static ordinal base_of(ordinal batch)
{
	return batch - batch % KNOWN_CHUNK;
}

int known_mark(struct known *k, slot model, ordinal batch, uint8_t suffix)
{
	unsigned i = batch % KNOWN_CHUNK;

	LOCKED(&k->lock);
	struct known_chunk *c = find_or_add(k, model, base_of(batch));
	if (!c)
		return -ENOMEM;
	c->seen[i] |= (uint8_t)(1u << suffix);
	c->live[i] |= (uint8_t)(1u << suffix);
	return c->hot ? c->hot->alias[i] : 0;
}

bool known_is_fresh(struct known *k, slot model, ordinal batch, uint8_t suffix)
{
	LOCKED(&k->lock);
	const struct known_chunk *c = find(k, model, base_of(batch));
	unsigned i = batch % KNOWN_CHUNK;
	return c && c->hot && (c->hot->fresh[i] | c->hot->echo[i]) >> suffix & 1;
}

void known_confirm(struct known *k, slot model, ordinal batch, uint8_t suffix, uint16_t alias)
{
	unsigned i = batch % KNOWN_CHUNK;

	LOCKED(&k->lock);
	struct known_chunk *c = find(k, model, base_of(batch));
	if (c && c->hot && c->hot->alias[i] == alias)
		c->hot->fresh[i] &= (uint8_t) ~(1u << suffix);
}

bool known_any(struct known *k, slot model, ordinal base)
{
	LOCKED(&k->lock);
	return find(k, model, base) != NULL;
}

bool known_peek(struct known *k, slot model, ordinal base, struct known_view *out)
{
	LOCKED(&k->lock);
	const struct known_chunk *c = find(k, model, base);
	if (!c)
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out->seen, c->seen, sizeof(out->seen));
	if (c->hot)
		memcpy(out->alias, c->hot->alias, sizeof(out->alias));
	return true;
}

/* Only valid under the lock. The names of the batch that are no longer right. */
static void outdate(struct known_chunk *c, struct known_hot *h, unsigned i, uint8_t suffix)
{
	uint8_t wrong = c->live[i] & (uint8_t) ~(1u | 1u << suffix);

	h->expire[i] |= wrong;
	c->live[i] &= (uint8_t)~wrong;
}

/* Only valid under the lock. */
static void put_echo(struct known *k, struct known_hot *h, int64_t now_us)
{
	h->echoing = true;
	h->echo_at = now_us + KNOWN_ECHO_US;
	TAILQ_INSERT_TAIL(&k->echoes, h, echo_link);
}

bool known_changed(struct known *k, slot model, ordinal base, ordinal first, ordinal end,
		   const uint8_t *suffixes, int64_t now_us, struct known_view *out)
{
	LOCKED(&k->lock);
	struct known_chunk *c = find(k, model, base);
	struct known_hot *h = c ? heat(c) : NULL;
	if (!h)
		return false;
	for (ordinal o = first; o < end; o++) {
		unsigned i = o - base;
		outdate(c, h, i, suffixes[o - first]);
		h->again[i] |= c->seen[i] & h->echo[i];
		h->echo[i] |= c->seen[i];
	}
	memcpy(out->seen, c->seen, sizeof(out->seen));
	memcpy(out->alias, h->alias, sizeof(out->alias));
	make_dirty(k, h);
	if (!h->echoing)
		put_echo(k, h, now_us);
	return true;
}

void known_refresh(struct known *k, slot model, ordinal batch, uint8_t suffix)
{
	unsigned i = batch % KNOWN_CHUNK;

	LOCKED(&k->lock);
	struct known_chunk *c = find(k, model, base_of(batch));
	struct known_hot *h = c ? heat(c) : NULL;
	if (!h)
		return;
	outdate(c, h, i, suffix);
	h->refresh[i] |= c->seen[i];
	make_dirty(k, h);
}

void known_new_alias(struct known *k, slot model, ordinal batch)
{
	unsigned i = batch % KNOWN_CHUNK;

	LOCKED(&k->lock);
	struct known_chunk *c = find(k, model, base_of(batch));
	struct known_hot *h = c ? heat(c) : NULL;
	if (!h)
		return;
	h->alias[i] = (uint16_t)((h->alias[i] + 1) & NODE_ALIAS_MAX);
	h->fresh[i] = UINT8_MAX;
	h->drop[i] |= c->seen[i];
	make_dirty(k, h);
}

static void start_work(const struct known_hot *h, struct known_work *out)
{
	memset(out, 0, sizeof(*out));
	out->model = h->chunk->key.model;
	out->base = h->chunk->key.base;
	memcpy(out->alias, h->alias, sizeof(out->alias));
}

static void take_dirty(struct known *k, struct known_hot *h, struct known_work *out)
{
	TAILQ_REMOVE(&k->dirty, h, dirty_link);
	h->dirty = false;
	start_work(h, out);
	memcpy(out->refresh, h->refresh, sizeof(out->refresh));
	memcpy(out->expire, h->expire, sizeof(out->expire));
	memcpy(out->drop, h->drop, sizeof(out->drop));
	memset(h->refresh, 0, sizeof(h->refresh));
	memset(h->expire, 0, sizeof(h->expire));
	memset(h->drop, 0, sizeof(h->drop));
}

static void take_echo(struct known *k, struct known_hot *h, int64_t now_us, struct known_work *out)
{
	bool more = false;

	TAILQ_REMOVE(&k->echoes, h, echo_link);
	h->echoing = false;
	start_work(h, out);
	memcpy(out->refresh, h->echo, sizeof(out->refresh));
	for (unsigned i = 0; i < KNOWN_CHUNK; i++)
		out->expire[i] = h->echo[i] & (uint8_t)~1u;
	/* Between two changes of one batch there is always an echo to come, so that known_is_fresh() holds.
	 */
	memcpy(h->echo, h->again, sizeof(h->echo));
	memset(h->again, 0, sizeof(h->again));
	for (unsigned i = 0; i < KNOWN_CHUNK; i++)
		more |= h->echo[i] != 0;
	if (more)
		put_echo(k, h, now_us);
}

bool known_take(struct known *k, int64_t now_us, struct known_work *out, int64_t *next_us)
{
	LOCKED(&k->lock);
	struct known_hot *h = TAILQ_FIRST(&k->dirty);
	*next_us = INT64_MAX;
	if (h) {
		take_dirty(k, h, out);
		return true;
	}
	h = TAILQ_FIRST(&k->echoes);
	if (!h)
		return false;
	if (h->echo_at > now_us) {
		*next_us = h->echo_at;
		return false;
	}
	take_echo(k, h, now_us, out);
	return true;
}
