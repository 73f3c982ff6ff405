/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by their ids: who asked and why, for what is reported of their batches. */
#include "backend/ledger/private.h"

/* Of closed ones so many are remembered after their last batch: a report that comes late still names who
 * asked. What was reported stays until ledger_forget_closed(), because the states that name it come next. */
#define CLOSED_MAX 4096

struct known_request *known_find(const struct ledger *l, int64_t id)
{
	struct known_request *k = NULL;
	if (id)
		HASH_FIND(hh, l->known, &id, sizeof id, k);
	return k;
}

struct known_request *known_make(struct ledger *l, const struct store_request_row *r)
{
	const struct requester *by = requester_intern(l, r->uid, r->command ? r->command : "", r->reason);
	struct known_request *k = known_find(l, r->id);
	if (k && k->unsure)
		request_renew(l, k, r);
	if (k) {
		requester_set(l, &k->by, by);
		return k;
	}
	k = calloc(1, sizeof *k);
	if (k) {
		*k = (struct known_request){
			.id = r->id, .model = r->model, .batches = r->batches, .at = r->at, .by = by};
		k->foreign = r->code && strcmp(r->code, model_state_of(l, r->model)->code) != 0;
		HASH_ADD(hh, l->known, id, sizeof k->id, k);
	}
	if (k && hash_has(k->hh))
		return k;
	requester_unref(l, by);
	free(k);
	return NULL;
}

void known_forget(struct ledger *l, struct known_request *k)
{
	HASH_DELETE(hh, l->known, k);
	requester_unref(l, k->by);
	free(k);
}

void ledger_forget_closed(struct ledger *l)
{
	struct known_request *k, *next;
	size_t closed = 0;
	/* Only now and then, so that it costs nothing for each. */
	if (HASH_COUNT(l->known) <= l->known_before + CLOSED_MAX)
		return;
	for (k = l->known; k; k = k->hh.next)
		closed += !k->open && !k->refs;
	/* Oldest first. */
	HASH_ITER(hh, l->known, k, next)
	{
		if (closed <= CLOSED_MAX)
			break;
		if (k->open || k->refs)
			continue;
		known_forget(l, k);
		closed--;
	}
	l->known_before = HASH_COUNT(l->known);
}

void known_free(struct ledger *l)
{
	struct known_request *k, *next;
	HASH_ITER(hh, l->known, k, next)
	{
		known_forget(l, k);
	}
}

/* No memory for it: what is not handed over is found again at the next load. */
void ids_add(struct id_list *list, int64_t id)
{
	if (list->n == list->size) {
		size_t size = list->size ? 2 * list->size : 64;
		int64_t *ids = realloc(list->ids, size * sizeof *ids);
		if (!ids)
			return;
		list->ids = ids;
		list->size = size;
	}
	list->ids[list->n++] = id;
}

size_t ids_take(struct id_list *list, int64_t *ids, size_t n)
{
	if (n > list->n)
		n = list->n;
	list->n -= n;
	if (n)
		memcpy(ids, list->ids + list->n, n * sizeof *ids);
	return n;
}
