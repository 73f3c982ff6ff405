/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "backend/base/cleanup.h"
#include "fs/node.h"

#define SLOT_BITS 12

_Static_assert(RANGES_MAX == 1 << SLOT_BITS, "a slot's number and its generation make 28 bits");

struct range_key {
	uint64_t dir;
	char name[RANGE_NAME_MAX];
};

struct range_slot {
	struct range_key key; /* zeroed behind the name: compared as bytes */
	struct span span;
	unsigned states;
	uint64_t lookups;
	uint16_t alias;
	unsigned index;
	TAILQ_ENTRY(range_slot) use;
	UT_hash_handle hh;
};

void ranges_init(struct ranges *t)
{
	memset(t, 0, sizeof(*t));
	TAILQ_INIT(&t->by_use);
	pthread_mutex_init(&t->lock, NULL);
}

static void drop(struct ranges *t, struct range_slot *s)
{
	HASH_DEL(t->by_name, s);
	TAILQ_REMOVE(&t->by_use, s, use);
	t->slots[s->index] = NULL;
	t->generation[s->index]++;
	t->used--;
	free(s);
}

void ranges_fini(struct ranges *t)
{
	while (!TAILQ_EMPTY(&t->by_use))
		drop(t, TAILQ_FIRST(&t->by_use));
	pthread_mutex_destroy(&t->lock);
}

static uint32_t id_of(const struct ranges *t, const struct range_slot *s)
{
	return (uint32_t)t->generation[s->index] << SLOT_BITS | s->index;
}

/* Only valid under the lock. */
static struct range_slot *find(struct ranges *t, uint32_t id)
{
	unsigned index = id & (RANGES_MAX - 1);
	struct range_slot *s = t->slots[index];

	return s && t->generation[index] == id >> SLOT_BITS ? s : NULL;
}

static void describe(const struct range_slot *s, struct range *out)
{
	*out = (struct range){.dir = s->key.dir, .span = s->span, .states = s->states, .alias = s->alias};
	memcpy(out->name, s->key.name, sizeof(out->name));
}

static struct range_slot *add(struct ranges *t, const struct range_key *key)
{
	struct range_slot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (t->used == RANGES_MAX)
		drop(t, TAILQ_FIRST(&t->by_use));
	while (t->slots[t->next_free])
		t->next_free = (t->next_free + 1) % RANGES_MAX;
	s->index = t->next_free;
	s->key = *key;
	t->slots[s->index] = s;
	t->used++;
	TAILQ_INSERT_TAIL(&t->by_use, s, use);
	HASH_ADD(hh, t->by_name, key, sizeof(s->key), s);
	return s;
}

int ranges_intern(struct ranges *t, uint64_t dir, const char *text, const struct name *name, uint32_t *id,
		  struct range *out)
{
	struct range_key key;
	struct range_slot *s;

	if (name->len >= sizeof(key.name))
		return -ENAMETOOLONG;
	memset(&key, 0, sizeof(key));
	key.dir = dir;
	memcpy(key.name, text, name->len);

	LOCKED(&t->lock);
	HASH_FIND(hh, t->by_name, &key, sizeof(key), s);
	if (!s)
		s = add(t, &key);
	if (!s)
		return -ENOMEM;
	s->span = name->span;
	s->states = name->states;
	s->lookups++;
	TAILQ_REMOVE(&t->by_use, s, use);
	TAILQ_INSERT_TAIL(&t->by_use, s, use);
	*id = id_of(t, s);
	describe(s, out);
	return 0;
}

bool ranges_get(struct ranges *t, uint32_t id, struct range *out)
{
	LOCKED(&t->lock);
	struct range_slot *s = find(t, id);
	if (!s)
		return false;
	TAILQ_REMOVE(&t->by_use, s, use);
	TAILQ_INSERT_TAIL(&t->by_use, s, use);
	describe(s, out);
	return true;
}

void ranges_forget(struct ranges *t, uint32_t id, uint64_t n)
{
	LOCKED(&t->lock);
	struct range_slot *s = find(t, id);
	if (!s)
		return;
	if (s->lookups <= n)
		drop(t, s);
	else
		s->lookups -= n;
}

bool ranges_new_alias(struct ranges *t, uint32_t id, struct range *out)
{
	LOCKED(&t->lock);
	struct range_slot *s = find(t, id);
	if (!s)
		return false;
	describe(s, out);
	s->alias = (uint16_t)((s->alias + 1) & NODE_ALIAS_MAX);
	return true;
}
