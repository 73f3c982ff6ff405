/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/interned.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/hash.h"
#include "fs/node.h"
#include "fs/selection.h"

enum interned_what { INTERNED_RANGE, INTERNED_SELECTION, INTERNED_ALIAS };

struct interned_entry {
	enum interned_what what;
	uint64_t id;
	uint64_t lookups; /* that the kernel has not dropped */
	unsigned aliases; /* entries that are second inodes of it */
	bool told;	  /* in which list it is */
	struct node node; /* of a range: of its directory, of an alias: of the file */
	struct span span; /* of a range */
	unsigned states;
	struct selection_dir *selection;
	size_t size; /* bytes that it takes */
	TAILQ_ENTRY(interned_entry) use;
	UT_hash_handle by_id, by_name;
	size_t name_size;
	char name[]; /* not of an alias: its directory's st_ino, and the spelling */
};

void interned_init(struct interned *t)
{
	memset(t, 0, sizeof(*t));
	TAILQ_INIT(&t->untold);
	TAILQ_INIT(&t->told);
	t->soft = INTERNED_SOFT_BYTES;
	t->hard = INTERNED_HARD_BYTES;
	pthread_mutex_init(&t->lock, NULL);
}

/* Only valid under the lock, as all that follow. */
static struct interned_entry *find(const struct interned *t, uint64_t id)
{
	struct interned_entry *e;

	HASH_FIND(by_id, t->by_id, &id, sizeof(id), e);
	return e;
}

static void take_out(struct interned *t, struct interned_entry *e)
{
	TAILQ_REMOVE(e->told ? &t->told : &t->untold, e, use);
	if (!e->told)
		t->untold_bytes -= e->size;
}

static void put_last(struct interned *t, struct interned_entry *e, bool told)
{
	e->told = told;
	TAILQ_INSERT_TAIL(told ? &t->told : &t->untold, e, use);
	if (!told)
		t->untold_bytes += e->size;
}

static void drop(struct interned *t, struct interned_entry *e)
{
	HASH_DELETE(by_id, t->by_id, e);
	if (e->what != INTERNED_ALIAS)
		HASH_DELETE(by_name, t->by_name, e);
	take_out(t, e);
	t->bytes -= e->size;
	selection_put(e->selection);
	free(e);
}

static void drop_unused(struct interned *t, struct interned_entry *e)
{
	struct interned_entry *file = NULL;

	if (e->lookups || e->aliases)
		return;
	if (e->what == INTERNED_ALIAS && e->node.interned)
		file = find(t, e->node.interned);
	drop(t, e);
	if (file && file->aliases) {
		file->aliases--;
		drop_unused(t, file);
	}
}

void interned_fini(struct interned *t)
{
	while (!TAILQ_EMPTY(&t->untold))
		drop(t, TAILQ_FIRST(&t->untold));
	while (!TAILQ_EMPTY(&t->told))
		drop(t, TAILQ_FIRST(&t->told));
	pthread_mutex_destroy(&t->lock);
}

static struct interned_entry *new_entry(enum interned_what what, const void *name, size_t name_size)
{
	struct interned_entry *e = calloc(1, sizeof(*e) + name_size);

	if (!e)
		return NULL;
	e->what = what;
	e->lookups = 1;
	e->size = sizeof(*e) + name_size;
	e->name_size = name_size;
	if (name_size)
		memcpy(e->name, name, name_size);
	return e;
}

/* False: no memory, and it is freed. */
static bool add(struct interned *t, struct interned_entry *e)
{
	e->id = t->last + 1;
	HASH_ADD(by_id, t->by_id, id, sizeof(e->id), e);
	if (hash_has(e->by_id) && e->name_size) {
		HASH_ADD_KEYPTR(by_name, t->by_name, e->name, e->name_size, e);
		if (!hash_has(e->by_name))
			HASH_DELETE(by_id, t->by_id, e);
	}
	if (!hash_has(e->by_id) || (e->name_size && !hash_has(e->by_name))) {
		selection_put(e->selection);
		free(e);
		return false;
	}
	t->last++;
	t->bytes += e->size;
	put_last(t, e, false);
	/* Not what was just added, however large it is. */
	while (t->bytes > t->hard) {
		struct interned_entry *oldest = TAILQ_FIRST(&t->told);
		oldest = oldest ? oldest : TAILQ_FIRST(&t->untold);
		if (oldest == e)
			break;
		drop(t, oldest);
	}
	return true;
}

/* Its name has been looked up: the kernel has it again, and may be told again. */
static void count(struct interned *t, struct interned_entry *e)
{
	e->lookups++;
	take_out(t, e);
	put_last(t, e, false);
}

bool interned_resolve(struct interned *t, struct node *n)
{
	LOCKED(&t->lock);
	struct interned_entry *e = find(t, n->interned);
	if (!e)
		return false;
	bool told = e->told;
	take_out(t, e);
	put_last(t, e, told);
	const struct node_traits *traits = node_traits(n);
	if (e->what == INTERNED_ALIAS) {
		if (n->kind != e->node.kind)
			return false;
		*n = e->node;
		n->alias = e->id;
		return true;
	}
	n->model = e->what == INTERNED_RANGE ? e->node.model : SLOT_NONE;
	return e->what == INTERNED_RANGE ? traits->range : n->kind == NODE_SELECTION || traits->fixed;
}

#define DIR_SIZE sizeof(uint64_t)

/* The key of a name. Returns its length. */
static size_t make_key(uint64_t dir, const char *text, size_t len, char key[DIR_SIZE + INTERNED_NAME_MAX])
{
	memcpy(key, &dir, DIR_SIZE);
	memcpy(key + DIR_SIZE, text, len);
	return DIR_SIZE + len;
}

int interned_range(struct interned *t, const struct node *dir, const char *text, const struct name *name,
		   struct node *n)
{
	char key[DIR_SIZE + INTERNED_NAME_MAX];
	struct interned_entry *e;

	if (name->len >= RANGE_NAME_MAX)
		return -ENAMETOOLONG;
	size_t size = make_key(node_ino(dir), text, name->len, key);
	LOCKED(&t->lock);
	HASH_FIND(by_name, t->by_name, key, size, e);
	if (e) {
		count(t, e);
		n->interned = e->id;
		return 0;
	}
	e = new_entry(INTERNED_RANGE, key, size);
	if (!e)
		return -ENOMEM;
	e->node = *dir;
	e->span = name->span;
	e->states = name->states;
	if (!add(t, e))
		return -ENOMEM;
	n->interned = e->id;
	return 0;
}

bool interned_get_range(struct interned *t, uint64_t id, struct range *out)
{
	LOCKED(&t->lock);
	const struct interned_entry *e = find(t, id);
	if (!e || e->what != INTERNED_RANGE)
		return false;
	*out = (struct range){.dir = e->node, .span = e->span, .states = e->states};
	memcpy(out->name, e->name + DIR_SIZE, e->name_size - DIR_SIZE);
	return true;
}

uint64_t interned_range_key(struct interned *t, uint64_t id)
{
	/* FNV-1a. */
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	LOCKED(&t->lock);
	const struct interned_entry *e = find(t, id);
	if (!e)
		return 0;
	for (size_t i = 0; i < e->name_size; i++)
		hash = (hash ^ (uint8_t)e->name[i]) * UINT64_C(0x100000001b3);
	return hash | UINT64_C(1) << 63;
}

bool interned_find_selection(struct interned *t, const char *text, uint64_t *id)
{
	char key[DIR_SIZE + INTERNED_NAME_MAX];
	struct interned_entry *e;
	size_t len = strlen(text);

	if (len > INTERNED_NAME_MAX)
		return false;
	size_t size = make_key(NODE_ROOT_INO, text, len, key);
	LOCKED(&t->lock);
	HASH_FIND(by_name, t->by_name, key, size, e);
	if (!e)
		return false;
	count(t, e);
	*id = e->id;
	return true;
}

int interned_add_selection(struct interned *t, const char *text, struct backend_selection *s, uint64_t *id)
{
	char key[DIR_SIZE + INTERNED_NAME_MAX];
	struct selection_dir *dir = selection_new(text, s);
	struct interned_entry *e = NULL;
	size_t len = strlen(text);

	if (dir && len <= INTERNED_NAME_MAX)
		e = new_entry(INTERNED_SELECTION, key, make_key(NODE_ROOT_INO, text, len, key));
	if (!e) {
		selection_put(dir);
		return -ENOMEM;
	}
	e->selection = dir;
	e->size += dir->size;
	LOCKED(&t->lock);
	if (!add(t, e))
		return -ENOMEM;
	*id = e->id;
	return 0;
}

struct selection_dir *interned_get_selection(struct interned *t, uint64_t id)
{
	LOCKED(&t->lock);
	const struct interned_entry *e = find(t, id);
	if (!e || e->what != INTERNED_SELECTION)
		return NULL;
	selection_hold(e->selection);
	return e->selection;
}

struct selection_dir *interned_next_selection(struct interned *t, uint64_t after, uint64_t *id)
{
	struct interned_entry *next = NULL;

	LOCKED(&t->lock);
	for (struct interned_entry *e = t->by_id; e; e = e->by_id.next)
		if (e->what == INTERNED_SELECTION && e->id > after && (!next || e->id < next->id))
			next = e;
	if (!next)
		return NULL;
	*id = next->id;
	selection_hold(next->selection);
	return next->selection;
}

void interned_set_selection(struct interned *t, uint64_t id, struct selection_dir *dir)
{
	struct selection_dir *former = dir;
	{
		LOCKED(&t->lock);
		struct interned_entry *e = find(t, id);
		if (e && e->what == INTERNED_SELECTION) {
			former = e->selection;
			e->selection = dir;
		}
	}
	selection_put(former);
}

bool interned_count(struct interned *t, uint64_t id)
{
	LOCKED(&t->lock);
	struct interned_entry *e = find(t, id);
	if (!e)
		return false;
	count(t, e);
	return true;
}

int interned_alias(struct interned *t, struct node *n)
{
	struct interned_entry *e = new_entry(INTERNED_ALIAS, NULL, 0);

	if (!e)
		return -ENOMEM;
	e->node = *n;
	LOCKED(&t->lock);
	if (!add(t, e))
		return -ENOMEM;
	n->alias = e->id;
	/* Not before: what was just added may have cost the file its place. */
	struct interned_entry *file = n->interned ? find(t, n->interned) : NULL;
	if (file) {
		file->aliases++;
		file->lookups--;
	}
	return 0;
}

void interned_forget(struct interned *t, uint64_t id, uint64_t n)
{
	LOCKED(&t->lock);
	struct interned_entry *e = find(t, id);
	if (!e)
		return;
	e->lookups -= e->lookups < n ? e->lookups : n;
	drop_unused(t, e);
}

bool interned_take_surplus(struct interned *t, struct node *out)
{
	LOCKED(&t->lock);
	struct interned_entry *e = TAILQ_FIRST(&t->untold);
	if (!e || t->untold_bytes <= t->soft)
		return false;
	take_out(t, e);
	put_last(t, e, true);
	*out = (struct node){.kind = NODE_RANGE, .model = e->node.model, .interned = e->id};
	if (e->what == INTERNED_ALIAS)
		*out = e->node;
	else if (e->what == INTERNED_SELECTION)
		*out = (struct node){.kind = NODE_SELECTION, .model = SLOT_NONE, .interned = e->id};
	return true;
}

bool interned_has_surplus(struct interned *t)
{
	LOCKED(&t->lock);
	return t->untold_bytes > t->soft;
}
