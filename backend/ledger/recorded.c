/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by their ids: who asked and why, for what is reported of their batches. */
#include <stdlib.h>
#include <string.h>

#include "backend/ledger/flags.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/state.h"

/* Of closed ones so many are remembered after their last batch: a report that comes late still names who
 * asked. What was reported stays until ledger_forget_closed(), because the states that name it come next. */
#define CLOSED_MAX 4096

struct recorded_request *recorded_find(const struct ledger *l, int64_t id)
{
	struct recorded_request *k = NULL;
	if (id)
		HASH_FIND(hh, l->recorded, &id, sizeof id, k);
	return k;
}

struct recorded_request *recorded_make(struct ledger *l, const struct store_request_row *r)
{
	const struct requester *by = requester_intern(l, r->uid, r->command ? r->command : "", r->reason);
	struct recorded_request *k = recorded_find(l, r->id);
	if (k) {
		requester_set(l, &k->by, by);
		recorded_set_code(l, k, r->code);
		return k;
	}
	k = calloc(1, sizeof *k);
	if (k) {
		*k = (struct recorded_request){
			.id = r->id, .model = r->model, .batches = r->batches, .at = r->at, .by = by};
		recorded_set_code(l, k, r->code);
		HASH_ADD(hh, l->recorded, id, sizeof k->id, k);
	}
	if (k && hash_has(k->hh))
		return k;
	if (k && k->code)
		code_unref(l, k->code);
	requester_unref(l, by);
	free(k);
	return NULL;
}

void recorded_judge(const struct ledger *l, struct recorded_request *k)
{
	k->foreign = k->code && strcmp(k->code->code, model_state_of(l, k->model)->code) != 0;
}

void recorded_set_code(struct ledger *l, struct recorded_request *k, const char *code)
{
	struct code_entry *was = k->code;
	k->code = code ? code_intern(l, code) : NULL;
	if (was)
		code_unref(l, was);
	recorded_judge(l, k);
}

void recorded_forget(struct ledger *l, struct recorded_request *k)
{
	HASH_DELETE(hh, l->recorded, k);
	if (k->code)
		code_unref(l, k->code);
	requester_unref(l, k->by);
	free(k);
}

static bool closed_unnamed(const struct recorded_request *k)
{
	return !k->open && !k->refs && !k->reaches_back;
}

void ledger_forget_closed(struct ledger *l)
{
	struct recorded_request *k, *next;
	size_t closed = 0;
	/* Only now and then, so that it costs nothing for each. */
	if (HASH_COUNT(l->recorded) <= l->recorded_before + CLOSED_MAX)
		return;
	for (k = l->recorded; k; k = k->hh.next)
		closed += closed_unnamed(k);
	/* Oldest first. */
	HASH_ITER(hh, l->recorded, k, next)
	{
		if (closed <= CLOSED_MAX)
			break;
		if (!closed_unnamed(k))
			continue;
		recorded_forget(l, k);
		closed--;
	}
	l->recorded_before = HASH_COUNT(l->recorded);
}

void recorded_free(struct ledger *l)
{
	struct recorded_request *k, *next;
	HASH_ITER(hh, l->recorded, k, next)
	{
		recorded_forget(l, k);
	}
}
