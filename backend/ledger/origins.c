/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asked for a batch, with which code it was built, in which answer it was skipped: a cell has room for a
 * number. A million batches of one request share one origin, which goes with the last of them.
 */
#include <stdlib.h>

#include "backend/ledger/cells.h"
#include "backend/ledger/origins.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/shown.h"
#include "backend/ledger/state.h"

static struct origin *find(const struct ledger *l, const struct origin_key *key)
{
	struct origin *o = l->last_origin ? l->origins[l->last_origin] : NULL;
	if (o && o->key.by == key->by && o->key.code == key->code && o->key.answer == key->answer)
		return o;
	HASH_FIND(hh, l->by_key, key, sizeof *key, o);
	return o;
}

static bool grow(void **array, size_t element, size_t n, size_t *size)
{
	if (n < *size)
		return true;
	size_t longer = *size ? 2 * *size : 16;
	void *a = realloc(*array, longer * element);
	if (!a)
		return false;
	*array = a;
	*size = longer;
	return true;
}

/* There is room for every number to be free, so that freeing one cannot fail. */
static struct origin *make(struct ledger *l, const struct origin_key *key)
{
	if (l->n_origins == 0)
		l->n_origins = 1;
	bool reuse = l->n_free > 0;
	if (!reuse &&
	    (!grow((void **)&l->origins, sizeof(struct origin *), l->n_origins, &l->origins_size) ||
	     !grow((void **)&l->free_origins, sizeof *l->free_origins, l->n_origins, &l->free_size)))
		return NULL;
	struct origin *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	o->key = *key;
	HASH_ADD(hh, l->by_key, key, sizeof o->key, o);
	if (!hash_has(o->hh)) {
		free(o);
		return NULL;
	}
	o->index = reuse ? l->free_origins[--l->n_free] : (uint32_t)l->n_origins++;
	l->origins[o->index] = o;
	requester_ref(key->by);
	key->code->refs++;
	if (key->answer)
		key->answer->refs++;
	return o;
}

static void unref(struct ledger *l, uint32_t index)
{
	struct origin *o = index ? l->origins[index] : NULL;
	if (!o || --o->refs > 0)
		return;
	HASH_DELETE(hh, l->by_key, o);
	l->origins[index] = NULL;
	l->free_origins[l->n_free++] = index;
	if (l->last_origin == index)
		l->last_origin = 0;
	requester_unref(l, o->key.by);
	code_unref(l, o->key.code);
	answer_unref(l, o->key.answer);
	free(o);
}

void cell_set_origin(struct ledger *l, struct cell *c, const struct requester *by, const char *code,
		     struct answer *answer)
{
	struct code_entry *shared = code_intern(l, code);
	/* What the hash covers has no hole: three pointers. */
	const struct origin_key key = {.by = by, .code = shared, .answer = answer};
	struct origin *o = shared ? find(l, &key) : NULL;
	if (!o && shared)
		o = make(l, &key);
	if (o)
		o->refs++;
	if (shared)
		code_unref(l, shared);
	unref(l, c->origin);
	c->origin = o ? o->index : 0;
	l->last_origin = c->origin;
}

bool cell_shows_answer(const struct ledger *l, const struct cell *c)
{
	bool wrong = c->outcome == OUTCOME_SKIPPED || c->outcome == OUTCOME_FAILED;
	return wrong && origin_of(l, c)->answer;
}

void cell_drop_origin(struct ledger *l, struct cell *c)
{
	unref(l, c->origin);
	c->origin = 0;
}

const struct origin_key *origin_of(const struct ledger *l, const struct cell *c)
{
	static struct code_entry no_code; /* its text is empty */
	static const struct origin_key none = {.code = &no_code};
	return c && c->origin ? &l->origins[c->origin]->key : &none;
}

void origins_free(struct ledger *l)
{
	free(l->origins);
	free(l->free_origins);
}
