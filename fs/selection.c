/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/selection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "backend/base/cleanup.h"
#include "fs/node.h"

#define SLOT_BITS 8

_Static_assert(SELECTIONS_MAX == 1 << SLOT_BITS, "a slot's number and its generation make 28 bits");

struct selection_slot {
	struct selection_dir *dir;
	uint64_t lookups;
	uint16_t run_alias;
	unsigned index;
	TAILQ_ENTRY(selection_slot) use;
	UT_hash_handle hh;
};

void selections_init(struct selections *t)
{
	memset(t, 0, sizeof(*t));
	TAILQ_INIT(&t->by_use);
	pthread_mutex_init(&t->lock, NULL);
}

void selection_put(struct selection_dir *s)
{
	if (!s || __atomic_sub_fetch(&s->holders, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	backend_selection_fini(&s->selected);
	free(s);
}

static void drop(struct selections *t, struct selection_slot *s)
{
	HASH_DEL(t->by_text, s);
	TAILQ_REMOVE(&t->by_use, s, use);
	t->slots[s->index] = NULL;
	t->generation[s->index]++;
	t->used--;
	selection_put(s->dir);
	free(s);
}

void selections_fini(struct selections *t)
{
	while (!TAILQ_EMPTY(&t->by_use))
		drop(t, TAILQ_FIRST(&t->by_use));
	pthread_mutex_destroy(&t->lock);
}

static uint32_t id_of(const struct selections *t, const struct selection_slot *s)
{
	return (t->generation[s->index] << SLOT_BITS | s->index) & NODE_ORDINAL_MAX;
}

/* Only valid under the lock. */
static struct selection_slot *find(const struct selections *t, uint32_t id)
{
	struct selection_slot *s = t->slots[id & (SELECTIONS_MAX - 1)];

	return s && id_of(t, s) == id ? s : NULL;
}

static void use(struct selections *t, struct selection_slot *s)
{
	TAILQ_REMOVE(&t->by_use, s, use);
	TAILQ_INSERT_TAIL(&t->by_use, s, use);
}

bool selections_find(struct selections *t, const char *text, uint32_t *id)
{
	struct selection_slot *s;

	LOCKED(&t->lock);
	HASH_FIND_STR(t->by_text, text, s);
	if (!s)
		return false;
	use(t, s);
	s->lookups++;
	*id = id_of(t, s);
	return true;
}

static struct selection_dir *make(const char *text, struct backend_selection *selected)
{
	size_t size = strlen(text) + 1;
	struct selection_dir *dir = malloc(sizeof(*dir) + size);

	if (!dir) {
		backend_selection_fini(selected);
		return NULL;
	}
	dir->selected = *selected;
	dir->holders = 1;
	memcpy(dir->text, text, size);
	*selected = (struct backend_selection){.n_models = 0};
	return dir;
}

int selections_add(struct selections *t, const char *text, struct backend_selection *selected, uint32_t *id)
{
	struct selection_dir *dir = make(text, selected);
	struct selection_slot *s = dir ? calloc(1, sizeof(*s)) : NULL;

	if (!s) {
		selection_put(dir);
		return -ENOMEM;
	}
	s->dir = dir;
	s->lookups = 1;
	LOCKED(&t->lock);
	if (t->used == SELECTIONS_MAX)
		drop(t, TAILQ_FIRST(&t->by_use));
	while (t->slots[t->next_free])
		t->next_free = (t->next_free + 1) % SELECTIONS_MAX;
	s->index = t->next_free;
	t->slots[s->index] = s;
	t->used++;
	TAILQ_INSERT_TAIL(&t->by_use, s, use);
	HASH_ADD_KEYPTR(hh, t->by_text, dir->text, strlen(dir->text), s);
	*id = id_of(t, s);
	return 0;
}

struct selection_dir *selections_get(struct selections *t, uint32_t id)
{
	LOCKED(&t->lock);
	struct selection_slot *s = find(t, id);
	if (!s)
		return NULL;
	use(t, s);
	__atomic_add_fetch(&s->dir->holders, 1, __ATOMIC_RELAXED);
	return s->dir;
}

void selections_forget(struct selections *t, uint32_t id, uint64_t n)
{
	LOCKED(&t->lock);
	struct selection_slot *s = find(t, id);
	if (!s)
		return;
	if (s->lookups <= n)
		drop(t, s);
	else
		s->lookups -= n;
}

uint16_t selections_run_alias(struct selections *t, uint32_t id)
{
	LOCKED(&t->lock);
	const struct selection_slot *s = find(t, id);
	return s ? s->run_alias : 0;
}

void selections_new_run_alias(struct selections *t, uint32_t id)
{
	LOCKED(&t->lock);
	struct selection_slot *s = find(t, id);
	if (s)
		s->run_alias = (uint16_t)((s->run_alias + 1) & NODE_ALIAS_MAX);
}
