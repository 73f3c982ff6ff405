/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/models.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/count.h"
#include "backend/base/hash.h"
#include "backend/base/strbuf.h"
#include "backend/verdict.h"

struct held_catalog {
	unsigned references; /* atomic */
	struct catalog *catalog;
	void (*free_catalog)(struct catalog *c);
	/* By place: */
	slot *slots;
	struct reads reads;
	char **why_not; /* the verdict; NULL: the model can be built */
};

/* What a slot stands for. Never freed while the models live. */
struct identity {
	char *key; /* directory, relation, batch size */
	char *dir;
	enum batch_size size;
	slot slot;
	int place;		   /* in `from` */
	struct held_catalog *from; /* holds it: the last catalog that had the model; the prepared one until then */
	int next_place;		   /* in the prepared catalog; -1: it is not there, or none is prepared */
	UT_hash_handle hh;
};

/* Read without the lock, so one that has become too small is kept beside its successor, of twice its size. */
struct slot_table {
	struct slot_table *previous;
	struct identity *slots[];
};

struct models {
	struct slot_table *table; /* atomic: published */
	size_t size;		  /* of the table */
	slot end;
	uint64_t supports; /* of who builds here */
	struct identity *by_key;
	struct held_catalog *current; /* holds it; NULL: no catalog yet */
	struct held_catalog *next;    /* holds it; NULL: none is prepared */
};

static void held_free(struct held_catalog *c)
{
	free(c->slots);
	reads_fini(&c->reads);
	for (size_t i = 0; c->why_not && i < c->catalog->n_models; i++)
		free(c->why_not[i]);
	free(c->why_not);
	if (c->free_catalog)
		c->free_catalog(c->catalog);
	free(c);
}

static struct held_catalog *hold(struct held_catalog *c)
{
	__atomic_add_fetch(&c->references, 1, __ATOMIC_RELAXED);
	return c;
}

void catalog_drop(struct held_catalog *c)
{
	if (c && __atomic_sub_fetch(&c->references, 1, __ATOMIC_ACQ_REL) == 0)
		held_free(c);
}

struct models *models_new(uint64_t supports)
{
	struct models *ms = calloc(1, sizeof *ms);
	if (ms)
		ms->supports = supports;
	return ms;
}

static struct identity *at(const struct models *ms, slot model)
{
	return __atomic_load_n(&ms->table, __ATOMIC_ACQUIRE)->slots[model];
}

static bool reserve(struct models *ms, size_t n)
{
	if (n <= ms->size)
		return true;
	size_t size = n > 2 * ms->size ? n : 2 * ms->size;
	struct slot_table *table = calloc(1, sizeof *table + size * sizeof *table->slots);
	if (!table)
		return false;
	for (slot s = 0; s < ms->end; s++)
		table->slots[s] = at(ms, s);
	table->previous = ms->table;
	__atomic_store_n(&ms->table, table, __ATOMIC_RELEASE);
	ms->size = size;
	return true;
}

static void identity_free(struct identity *id)
{
	catalog_drop(id->from);
	free(id->key);
	free(id->dir);
	free(id);
}

void models_free(struct models *ms)
{
	if (!ms)
		return;
	HASH_CLEAR(hh, ms->by_key);
	for (slot s = 0; s < ms->end; s++)
		identity_free(at(ms, s));
	catalog_drop(ms->current);
	for (struct slot_table *t = ms->table, *previous; t; t = previous) {
		previous = t->previous;
		free(t);
	}
	free(ms);
}

/* No name holds a line break: a model whose name does is refused by the manifest, and in the rest of a
 * relation it could only make two keys equal that differ in nothing that is ever built. */
static char *key_of(const struct model *m)
{
	const struct relation *r = &m->relation;
	auto_strbuf key = STRBUF_INIT;
	strbuf_printf(&key, "%s\n%s\n%s\n%s\n%s", m->dir, r->database ? r->database : "",
		      r->schema ? r->schema : "", r->identifier ? r->identifier : "",
		      calendar_size_name(m->batch_size));
	return strbuf_detach(&key);
}

static struct held_catalog *held_new(struct catalog *catalog, void (*free_catalog)(struct catalog *c))
{
	struct held_catalog *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	*c = (struct held_catalog){.references = 1, .catalog = catalog, .free_catalog = free_catalog};
	c->slots = calloc(catalog->n_models + 1, sizeof *c->slots);
	c->why_not = calloc(catalog->n_models + 1, sizeof *c->why_not);
	if (c->slots && c->why_not && reads_init(&c->reads, catalog))
		return c;
	c->free_catalog = NULL;
	held_free(c);
	return NULL;
}

static struct identity *identity_new(struct models *ms, const struct model *m, char *key)
{
	struct identity *id = calloc(1, sizeof *id);
	if (!id)
		return NULL;
	*id = (struct identity){.key = strdup(key),
				.dir = strdup(m->dir),
				.size = m->batch_size,
				.slot = ms->end,
				.next_place = -1};
	if (id->key && id->dir)
		HASH_ADD_KEYPTR(hh, ms->by_key, id->key, strlen(id->key), id);
	if (!id->key || !id->dir || !hash_has(id->hh)) {
		identity_free(id);
		return NULL;
	}
	ms->table->slots[ms->end++] = id;
	return id;
}

static int give_slots(struct models *ms, struct held_catalog *c)
{
	size_t n = c->catalog->n_models;
	if (!reserve(ms, (size_t)ms->end + n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct model *m = &c->catalog->models[i];
		auto_free char *key = key_of(m);
		struct identity *id = NULL;
		if (!key)
			return -ENOMEM;
		HASH_FIND_STR(ms->by_key, key, id);
		if (!id)
			id = identity_new(ms, m, key);
		if (!id)
			return -ENOMEM;
		if (!id->from) {
			id->from = hold(c);
			id->place = (int)i;
		}
		id->next_place = (int)i;
		c->slots[i] = id->slot;
	}
	return 0;
}

static int judge(const struct models *ms, struct held_catalog *c)
{
	for (size_t i = 0; i < c->catalog->n_models; i++) {
		const struct model *m = &c->catalog->models[i];
		auto_strbuf text = STRBUF_INIT;
		if (verdict_builds(m, ms->supports))
			continue;
		verdict_why_not(m, ms->supports, &text);
		c->why_not[i] = strbuf_detach(&text);
		if (!c->why_not[i])
			return -ENOMEM;
	}
	return 0;
}

void models_abandon(struct models *ms)
{
	for (slot s = 0; s < ms->end; s++)
		at(ms, s)->next_place = -1;
	catalog_drop(ms->next);
	ms->next = NULL;
}

int models_prepare(struct models *ms, struct catalog *catalog, void (*free_catalog)(struct catalog *c),
		   struct error *err)
{
	size_t n = catalog->n_models;
	if ((size_t)ms->end + n > SLOTS_MAX) {
		if (free_catalog)
			free_catalog(catalog);
		return error_set(err, E2BIG, "%s, and one mount knows %d in its life: mount it anew",
				 count_of((uint64_t)ms->end + n, "model", "models").text, SLOTS_MAX);
	}
	ms->next = held_new(catalog, free_catalog);
	if (!ms->next && free_catalog)
		free_catalog(catalog);
	if (ms->next && give_slots(ms, ms->next) == 0 && judge(ms, ms->next) == 0) {
		reads_number(&ms->next->reads, catalog, ms->next->slots);
		return 0;
	}
	models_abandon(ms);
	return error_set(err, ENOMEM, "no memory for %s", count_of((uint64_t)n, "model", "models").text);
}

void models_swap(struct models *ms)
{
	for (slot s = 0; s < ms->end; s++) {
		struct identity *id = at(ms, s);
		if (id->next_place < 0)
			continue;
		catalog_drop(id->from);
		id->from = hold(ms->next);
		id->place = id->next_place;
		id->next_place = -1;
	}
	catalog_drop(ms->current);
	ms->current = ms->next;
	ms->next = NULL;
}

const struct model *models_prepared(const struct models *ms, slot model)
{
	int place = at(ms, model)->next_place;
	return place < 0 ? NULL : &ms->next->catalog->models[place];
}

slot models_end(const struct models *ms)
{
	return ms->end;
}

slot models_find(const struct models *ms, const char *dir)
{
	int place = ms->current ? catalog_find(ms->current->catalog, dir) : -1;
	return place < 0 ? SLOT_NONE : ms->current->slots[place];
}

const char *models_dir(const struct models *ms, slot model)
{
	return at(ms, model)->dir;
}

enum batch_size models_batch_size(const struct models *ms, slot model)
{
	return at(ms, model)->size;
}

const char *models_manifest(const struct models *ms)
{
	return ms->current->catalog->path;
}

size_t models_count(const struct models *ms)
{
	return ms->current ? ms->current->catalog->n_models : 0;
}

slot models_nth(const struct models *ms, size_t i)
{
	return ms->current->slots[i];
}

bool models_gone(const struct models *ms, slot model)
{
	return at(ms, model)->from != ms->current;
}

const struct model *models_at(const struct models *ms, slot model)
{
	const struct identity *id = at(ms, model);
	return &id->from->catalog->models[id->place];
}

const char *models_why_not(const struct models *ms, slot model)
{
	const struct identity *id = at(ms, model);
	return id->from->why_not[id->place];
}

const struct model_read *models_reads(const struct models *ms, slot model, size_t *n)
{
	const struct identity *id = at(ms, model);
	return reads_of(&id->from->reads, id->place, n);
}

const struct model_read *models_readers(const struct models *ms, slot model, size_t *n)
{
	const struct identity *id = at(ms, model);
	*n = 0;
	/* What has left the catalog is read by nothing in it. States of new models are loaded before the swap. */
	bool there = id->from == ms->current || id->from == ms->next;
	return there ? readers_of(&id->from->reads, id->place, n) : NULL;
}

struct held_catalog *models_hold_current(struct models *ms)
{
	return hold(ms->current);
}

struct held_catalog *models_hold(struct models *ms, slot model)
{
	return hold(at(ms, model)->from);
}

const struct catalog *held_catalog(const struct held_catalog *c)
{
	return c->catalog;
}

slot held_slot(const struct held_catalog *c, int place)
{
	return c->slots[place];
}
