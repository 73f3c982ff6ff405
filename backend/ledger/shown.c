/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/ledger/ids.h"
#include "backend/ledger/shown.h"
#include "backend/ledger/state.h"

static struct answer_key key_of(const struct store_answer *row)
{
	return (struct answer_key){.id = row->id, .served = row->served, .at = row->at};
}

struct answer *answer_find(const struct ledger *l, const struct store_answer *row)
{
	const struct answer_key key = key_of(row);
	struct answer *a;
	HASH_FIND(hh, l->shown, &key, sizeof key, a);
	if (a)
		a->refs++;
	return a;
}

struct answer *answer_make(struct ledger *l, const struct store_answer *row)
{
	struct answer *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->key = key_of(row);
	a->refs = 1;
	HASH_ADD(hh, l->shown, key, sizeof a->key, a);
	if (!a->hh.tbl) {
		free(a);
		return NULL;
	}
	a->message = *row->message ? strdup(row->message) : NULL;
	if (!a->message)
		return a;
	TAILQ_INSERT_TAIL(&l->answers, a, with_text);
	l->n_texts++;
	return a;
}

static void drop_text(struct ledger *l, struct answer *a)
{
	if (!a->message)
		return;
	TAILQ_REMOVE(&l->answers, a, with_text);
	l->n_texts--;
	free(a->message);
	a->message = NULL;
}

bool answer_drop_oldest_text(struct ledger *l)
{
	struct answer *a = TAILQ_FIRST(&l->answers);
	if (a)
		drop_text(l, a);
	return a;
}

void answer_unref(struct ledger *l, struct answer *a)
{
	if (!a || --a->refs > 0)
		return;
	drop_text(l, a);
	ids_add(&l->unseen, a->key.id);
	HASH_DELETE(hh, l->shown, a);
	free(a);
}
