/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/courtesy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "backend/base/cleanup.h"
#include "fs/node.h"

struct courtesy_key {
	slot model;
	ordinal batch;
};

struct courtesy {
	struct courtesy_key key;
	bool busy;
	uint8_t accepted; /* mask of suffixes */
	int64_t accepted_at;
	int64_t settled_at; /* 0: not known to have settled */
	TAILQ_ENTRY(courtesy) age;
	UT_hash_handle hh;
};

void courtesies_init(struct courtesies *c)
{
	memset(c, 0, sizeof(*c));
	TAILQ_INIT(&c->by_age);
	pthread_mutex_init(&c->lock, NULL);
}

static void drop(struct courtesies *c, struct courtesy *y)
{
	HASH_DEL(c->by_batch, y);
	TAILQ_REMOVE(&c->by_age, y, age);
	c->count--;
	free(y);
}

void courtesies_fini(struct courtesies *c)
{
	while (!TAILQ_EMPTY(&c->by_age))
		drop(c, TAILQ_FIRST(&c->by_age));
	pthread_mutex_destroy(&c->lock);
}

static bool is_over(const struct courtesy *y, int64_t now_us)
{
	return !y->busy && (!y->accepted || now_us - y->accepted_at >= COURTESY_ACCEPTED_US) &&
	       (!y->settled_at || now_us - y->settled_at >= COURTESY_SETTLED_US);
}

static struct courtesy *find(struct courtesies *c, slot model, ordinal batch)
{
	struct courtesy_key key = {model, batch};
	struct courtesy *y;

	HASH_FIND(hh, c->by_batch, &key, sizeof(key), y);
	return y;
}

/* Finds or adds it, as the youngest. Without memory: NULL. */
static struct courtesy *touch(struct courtesies *c, slot model, ordinal batch, int64_t now_us)
{
	struct courtesy *y = find(c, model, batch);

	if (y) {
		TAILQ_REMOVE(&c->by_age, y, age);
		TAILQ_INSERT_TAIL(&c->by_age, y, age);
		return y;
	}
	while (c->count && (c->count >= COURTESIES_MAX || is_over(TAILQ_FIRST(&c->by_age), now_us)))
		drop(c, TAILQ_FIRST(&c->by_age));
	y = calloc(1, sizeof(*y));
	if (!y)
		return NULL;
	y->key = (struct courtesy_key){model, batch};
	HASH_ADD(hh, c->by_batch, key, sizeof(y->key), y);
	TAILQ_INSERT_TAIL(&c->by_age, y, age);
	c->count++;
	return y;
}

void courtesy_accepted(struct courtesies *c, slot model, ordinal batch, uint8_t suffix, int64_t now_us)
{
	LOCKED(&c->lock);
	struct courtesy *y = touch(c, model, batch, now_us);
	if (!y)
		return;
	if (now_us - y->accepted_at >= COURTESY_ACCEPTED_US)
		y->accepted = 0;
	y->accepted |= (uint8_t)(1u << suffix);
	y->accepted_at = now_us;
}

void courtesy_seen(struct courtesies *c, slot model, ordinal batch, bool busy, int64_t now_us)
{
	LOCKED(&c->lock);
	if (busy) {
		struct courtesy *y = touch(c, model, batch, now_us);
		if (y)
			y->busy = true;
		return;
	}
	struct courtesy *y = find(c, model, batch);
	if (!y || !y->busy)
		return;
	y->busy = false;
	y->settled_at = now_us;
	touch(c, model, batch, now_us);
}

int64_t courtesy_left(struct courtesies *c, slot model, ordinal batch, uint8_t suffix, int64_t now_us)
{
	uint8_t bit = (uint8_t)(1u << suffix);
	bool passing = suffix == suffix_of(BATCH_QUEUED) || suffix == suffix_of(BATCH_RUNNING);
	int64_t left = 0;

	LOCKED(&c->lock);
	struct courtesy *y = find(c, model, batch);
	if (!y)
		return 0;
	if (y->accepted & bit)
		left = y->accepted_at + COURTESY_ACCEPTED_US - now_us;
	if (y->busy && suffix == suffix_of(BATCH_QUEUED))
		left = left > COURTESY_SETTLED_US ? left : COURTESY_SETTLED_US;
	if (passing && y->settled_at && !y->busy) {
		int64_t settled_left = y->settled_at + COURTESY_SETTLED_US - now_us;
		left = settled_left > left ? settled_left : left;
	}
	return left > 0 ? left : 0;
}
