/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/kernel_cache.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/hash.h"
#include "fs/node.h"

struct kernel_cache_key {
	slot model;
	ordinal base;
};

/* Of a chunk in which something has changed. */
struct kernel_cache_news {
	struct kernel_cache_chunk *chunk;
	uint8_t expire[KERNEL_CACHE_CHUNK];
	uint8_t drop[KERNEL_CACHE_CHUNK];
	uint8_t refresh[KERNEL_CACHE_CHUNK];
	uint8_t echo[KERNEL_CACHE_CHUNK];
	uint8_t again[KERNEL_CACHE_CHUNK]; /* has changed since the echo was put down: it gets another */
	int64_t echo_at;
	bool dirty, echoing; /* in which lists it is */
	TAILQ_ENTRY(kernel_cache_news) dirty_link, echo_link;
};

struct kernel_cache_chunk {
	struct kernel_cache_key key;
	uint8_t seen[KERNEL_CACHE_CHUNK]; /* inodes the kernel may have */
	uint8_t live[KERNEL_CACHE_CHUNK]; /* names it may believe in */
	struct kernel_cache_news *news;
	UT_hash_handle hh;
};

void kernel_cache_init(struct kernel_cache *k)
{
	memset(k, 0, sizeof(*k));
	TAILQ_INIT(&k->dirty);
	TAILQ_INIT(&k->echoes);
	pthread_mutex_init(&k->lock, NULL);
}

void kernel_cache_fini(struct kernel_cache *k)
{
	struct kernel_cache_chunk *c, *next;

	HASH_ITER(hh, k->chunks, c, next)
	{
		HASH_DEL(k->chunks, c);
		free(c->news);
		free(c);
	}
	pthread_mutex_destroy(&k->lock);
}

static struct kernel_cache_chunk *find(struct kernel_cache *k, slot model, ordinal base)
{
	struct kernel_cache_key key = {model, base};
	struct kernel_cache_chunk *c;

	HASH_FIND(hh, k->chunks, &key, sizeof(key), c);
	return c;
}

static struct kernel_cache_chunk *find_or_add(struct kernel_cache *k, slot model, ordinal base)
{
	struct kernel_cache_chunk *c = find(k, model, base);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->key = (struct kernel_cache_key){model, base};
	HASH_ADD(hh, k->chunks, key, sizeof(c->key), c);
	if (hash_has(c->hh))
		return c;
	free(c);
	return NULL;
}

/* Without memory the notices of this chunk are lost: NULL. */
static struct kernel_cache_news *news_of(struct kernel_cache_chunk *c)
{
	if (!c->news) {
		c->news = calloc(1, sizeof(*c->news));
		if (c->news)
			c->news->chunk = c;
	}
	return c->news;
}

static void make_dirty(struct kernel_cache *k, struct kernel_cache_news *news)
{
	if (news->dirty)
		return;
	news->dirty = true;
	TAILQ_INSERT_TAIL(&k->dirty, news, dirty_link);
}

static ordinal base_of(ordinal batch)
{
	return batch - batch % KERNEL_CACHE_CHUNK;
}

int kernel_cache_mark(struct kernel_cache *k, slot model, ordinal batch, uint8_t suffix)
{
	unsigned i = batch % KERNEL_CACHE_CHUNK;

	LOCKED(&k->lock);
	struct kernel_cache_chunk *c = find_or_add(k, model, base_of(batch));
	if (!c)
		return -ENOMEM;
	c->seen[i] |= (uint8_t)(1u << suffix);
	c->live[i] |= (uint8_t)(1u << suffix);
	return 0;
}

bool kernel_cache_is_changing(struct kernel_cache *k, slot model, ordinal batch, uint8_t suffix)
{
	LOCKED(&k->lock);
	const struct kernel_cache_chunk *c = find(k, model, base_of(batch));
	return c && c->news && c->news->echo[batch % KERNEL_CACHE_CHUNK] >> suffix & 1;
}

bool kernel_cache_any(struct kernel_cache *k, slot model, ordinal base)
{
	LOCKED(&k->lock);
	return find(k, model, base) != NULL;
}

bool kernel_cache_peek(struct kernel_cache *k, slot model, ordinal base, struct kernel_cache_view *out)
{
	LOCKED(&k->lock);
	const struct kernel_cache_chunk *c = find(k, model, base);
	if (!c)
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out->seen, c->seen, sizeof(out->seen));
	return true;
}

/* Only valid under the lock. The names of the batch that are no longer right. */
static void outdate(struct kernel_cache_chunk *c, struct kernel_cache_news *news, unsigned i, uint8_t suffix)
{
	uint8_t wrong = c->live[i] & (uint8_t) ~(1u | 1u << suffix);

	news->expire[i] |= wrong;
	c->live[i] &= (uint8_t)~wrong;
}

/* Only valid under the lock. */
static void put_echo(struct kernel_cache *k, struct kernel_cache_news *news, int64_t now_us)
{
	news->echoing = true;
	news->echo_at = now_us + KERNEL_CACHE_ECHO_US;
	TAILQ_INSERT_TAIL(&k->echoes, news, echo_link);
}

/* Only valid under the lock. Of the inodes, and of whatever names lead to them. */
static void add_echo(struct kernel_cache *k, struct kernel_cache_chunk *c, struct kernel_cache_news *news,
		     unsigned i, int64_t now_us)
{
	news->again[i] |= c->seen[i] & news->echo[i];
	news->echo[i] |= c->seen[i];
	if (!news->echoing)
		put_echo(k, news, now_us);
}

bool kernel_cache_changed(struct kernel_cache *k, slot model, ordinal base, ordinal first, ordinal end,
			  const uint8_t *suffixes, int64_t now_us, struct kernel_cache_view *out)
{
	LOCKED(&k->lock);
	struct kernel_cache_chunk *c = find(k, model, base);
	struct kernel_cache_news *news = c ? news_of(c) : NULL;
	if (!news)
		return false;
	for (ordinal o = first; o < end; o++) {
		unsigned i = o - base;
		outdate(c, news, i, suffixes[o - first]);
		add_echo(k, c, news, i, now_us);
	}
	memcpy(out->seen, c->seen, sizeof(out->seen));
	make_dirty(k, news);
	return true;
}

void kernel_cache_refresh(struct kernel_cache *k, slot model, ordinal batch, uint8_t suffix, int64_t now_us)
{
	unsigned i = batch % KERNEL_CACHE_CHUNK;

	LOCKED(&k->lock);
	struct kernel_cache_chunk *c = find(k, model, base_of(batch));
	struct kernel_cache_news *news = c ? news_of(c) : NULL;
	if (!news)
		return;
	outdate(c, news, i, suffix);
	news->refresh[i] |= c->seen[i];
	add_echo(k, c, news, i, now_us);
	make_dirty(k, news);
}

void kernel_cache_drop_names(struct kernel_cache *k, slot model, ordinal batch)
{
	unsigned i = batch % KERNEL_CACHE_CHUNK;

	LOCKED(&k->lock);
	struct kernel_cache_chunk *c = find(k, model, base_of(batch));
	struct kernel_cache_news *news = c ? news_of(c) : NULL;
	if (!news)
		return;
	news->drop[i] |= c->seen[i];
	make_dirty(k, news);
}

static void start_work(const struct kernel_cache_news *news, struct kernel_cache_work *out)
{
	memset(out, 0, sizeof(*out));
	out->model = news->chunk->key.model;
	out->base = news->chunk->key.base;
}

static void take_dirty(struct kernel_cache *k, struct kernel_cache_news *news, struct kernel_cache_work *out)
{
	TAILQ_REMOVE(&k->dirty, news, dirty_link);
	news->dirty = false;
	start_work(news, out);
	memcpy(out->refresh, news->refresh, sizeof(out->refresh));
	memcpy(out->expire, news->expire, sizeof(out->expire));
	memcpy(out->drop, news->drop, sizeof(out->drop));
	memset(news->refresh, 0, sizeof(news->refresh));
	memset(news->expire, 0, sizeof(news->expire));
	memset(news->drop, 0, sizeof(news->drop));
}

static void take_echo(struct kernel_cache *k, struct kernel_cache_news *news, int64_t now_us,
		      struct kernel_cache_work *out)
{
	bool more = false;

	TAILQ_REMOVE(&k->echoes, news, echo_link);
	news->echoing = false;
	start_work(news, out);
	memcpy(out->refresh, news->echo, sizeof(out->refresh));
	for (unsigned i = 0; i < KERNEL_CACHE_CHUNK; i++)
		out->expire[i] = news->echo[i] & (uint8_t)~1u;
	/* Between two changes of one batch there is always an echo to come, so that
	 * kernel_cache_is_changing() holds.
	 */
	memcpy(news->echo, news->again, sizeof(news->echo));
	memset(news->again, 0, sizeof(news->again));
	for (unsigned i = 0; i < KERNEL_CACHE_CHUNK; i++)
		more |= news->echo[i] != 0;
	if (more)
		put_echo(k, news, now_us);
}

bool kernel_cache_take(struct kernel_cache *k, int64_t now_us, struct kernel_cache_work *out,
		       int64_t *next_us)
{
	LOCKED(&k->lock);
	struct kernel_cache_news *news = TAILQ_FIRST(&k->dirty);
	*next_us = INT64_MAX;
	if (news) {
		take_dirty(k, news, out);
		return true;
	}
	news = TAILQ_FIRST(&k->echoes);
	if (!news)
		return false;
	if (news->echo_at > now_us) {
		*next_us = news->echo_at;
		return false;
	}
	take_echo(k, news, now_us, out);
	return true;
}
