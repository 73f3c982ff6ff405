/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/ledger/private.h"

#include <stdio.h>

/* Error texts in memory; of older failures the text is in the warehouse's history only. */
#define MESSAGES_MAX 10000

static struct batch_key key_of(slot model, ordinal batch)
{
	return (struct batch_key){.model = (uint32_t)model, .batch = batch};
}

struct detail *detail_find(const struct ledger *l, slot model, ordinal batch)
{
	struct batch_key key = key_of(model, batch);
	struct detail *d;
	HASH_FIND(hh, l->details, &key, sizeof key, d);
	return d;
}

struct detail *detail_make(struct ledger *l, slot model, ordinal batch, struct cell *c)
{
	struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	if (d)
		return d;
	d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->key = key_of(model, batch);
	d->rows_inserted = d->rows_deleted = -1;
	HASH_ADD(hh, l->details, key, sizeof d->key, d);
	if (!d->hh.tbl) {
		free(d);
		return NULL;
	}
	c->detail = 1;
	return d;
}

static void drop_message(struct ledger *l, struct detail *d)
{
	if (!d->message)
		return;
	free(d->message);
	d->message = NULL;
	l->n_messages--;
}

static void detail_free(struct ledger *l, struct detail *d)
{
	drop_message(l, d);
	HASH_DELETE(hh, l->details, d);
	free(d);
}

void detail_drop(struct ledger *l, struct detail *d, struct cell *c)
{
	if (d)
		detail_free(l, d);
	c->detail = 0;
}

/* Makes room for one more text: the oldest failures lose theirs. */
static void trim_messages(struct ledger *l)
{
	struct detail *d, *next;
	HASH_ITER(hh, l->details, d, next)
	{
		if (l->n_messages < MESSAGES_MAX)
			return;
		drop_message(l, d);
	}
}

void detail_message(struct ledger *l, struct detail *d, const char *sqlstate, const char *message)
{
	snprintf(d->sqlstate, sizeof d->sqlstate, "%s", sqlstate);
	drop_message(l, d);
	if (!*message)
		return;
	trim_messages(l);
	d->message = strdup(message);
	l->n_messages += d->message != NULL;
}

void details_forget(struct ledger *l, slot model)
{
	struct detail *d, *next;
	HASH_ITER(hh, l->details, d, next)
	{
		if (model < 0 || d->key.model == (uint32_t)model)
			detail_free(l, d);
	}
}
