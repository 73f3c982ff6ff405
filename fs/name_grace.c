/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/name_grace.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/hash.h"
#include "fs/node.h"

struct name_grace_key {
	slot model;
	ordinal batch;
};

struct name_grace {
	struct name_grace_key key;
	bool busy;
	uint8_t accepted; /* mask of suffixes */
	int64_t accepted_at;
	int64_t settled_at; /* 0: not known to have settled */
	TAILQ_ENTRY(name_grace) age;
	UT_hash_handle hh;
};

void name_graces_init(struct name_graces *c)
{
	memset(c, 0, sizeof(*c));
	TAILQ_INIT(&c->by_age);
	pthread_mutex_init(&c->lock, NULL);
}

static void drop(struct name_graces *c, struct name_grace *y)
{
	HASH_DEL(c->by_batch, y);
	TAILQ_REMOVE(&c->by_age, y, age);
	c->count--;
	free(y);
}

void name_graces_fini(struct name_graces *c)
{
	while (!TAILQ_EMPTY(&c->by_age))
		drop(c, TAILQ_FIRST(&c->by_age));
	pthread_mutex_destroy(&c->lock);
}

static bool is_over(const struct name_grace *y, int64_t now_us)
{
	return !y->busy && (!y->accepted || now_us - y->accepted_at >= NAME_GRACE_ACCEPTED_US) &&
	       (!y->settled_at || now_us - y->settled_at >= NAME_GRACE_SETTLED_US);
}

static struct name_grace *find(struct name_graces *c, slot model, ordinal batch)
{
	struct name_grace_key key = {model, batch};
	struct name_grace *y;

	HASH_FIND(hh, c->by_batch, &key, sizeof(key), y);
	return y;
}

/* Finds or adds it, as the youngest. Without memory: NULL. */
static struct name_grace *touch(struct name_graces *c, slot model, ordinal batch, int64_t now_us)
{
	struct name_grace *y = find(c, model, batch);

	if (y) {
		TAILQ_REMOVE(&c->by_age, y, age);
		TAILQ_INSERT_TAIL(&c->by_age, y, age);
		return y;
	}
	while (c->count && (c->count >= NAME_GRACES_MAX || is_over(TAILQ_FIRST(&c->by_age), now_us)))
		drop(c, TAILQ_FIRST(&c->by_age));
	y = calloc(1, sizeof(*y));
	if (!y)
		return NULL;
	y->key = (struct name_grace_key){model, batch};
	HASH_ADD(hh, c->by_batch, key, sizeof(y->key), y);
	if (!hash_has(y->hh)) {
		free(y);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&c->by_age, y, age);
	c->count++;
	return y;
}

void name_grace_accepted(struct name_graces *c, slot model, ordinal batch, uint8_t suffix, int64_t now_us)
{
	LOCKED(&c->lock);
	struct name_grace *y = touch(c, model, batch, now_us);
	if (!y)
		return;
	if (now_us - y->accepted_at >= NAME_GRACE_ACCEPTED_US)
		y->accepted = 0;
	y->accepted |= (uint8_t)(1u << suffix);
	y->accepted_at = now_us;
}

void name_grace_seen(struct name_graces *c, slot model, ordinal batch, bool busy, int64_t now_us)
{
	LOCKED(&c->lock);
	if (busy) {
		struct name_grace *y = touch(c, model, batch, now_us);
		if (y)
			y->busy = true;
		return;
	}
	struct name_grace *y = find(c, model, batch);
	if (!y || !y->busy)
		return;
	y->busy = false;
	y->settled_at = now_us;
	touch(c, model, batch, now_us);
}

int64_t name_grace_left(struct name_graces *c, slot model, ordinal batch, uint8_t suffix, int64_t now_us)
{
	uint8_t bit = (uint8_t)(1u << suffix);
	bool passing = suffix == suffix_of(BATCH_QUEUED) || suffix == suffix_of(BATCH_RUNNING);
	int64_t left = 0;

	LOCKED(&c->lock);
	struct name_grace *y = find(c, model, batch);
	if (!y)
		return 0;
	if (y->accepted & bit)
		left = y->accepted_at + NAME_GRACE_ACCEPTED_US - now_us;
	if (y->busy && suffix == suffix_of(BATCH_QUEUED))
		left = left > NAME_GRACE_SETTLED_US ? left : NAME_GRACE_SETTLED_US;
	if (passing && y->settled_at && !y->busy) {
		int64_t settled_left = y->settled_at + NAME_GRACE_SETTLED_US - now_us;
		left = settled_left > left ? settled_left : left;
	}
	return left > 0 ? left : 0;
}
