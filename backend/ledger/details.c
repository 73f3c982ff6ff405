/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/ledger/cells.h"
#include "backend/ledger/details.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/shown.h"
#include "backend/ledger/state.h"

/* Error texts in memory; of older failures the text is in the warehouse's history only. */
#define TEXTS_MAX 10000

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
	if (!hash_has(d->hh)) {
		free(d);
		return NULL;
	}
	c->detail = 1;
	return d;
}

static bool has_text(const struct detail *d)
{
	return d->message || *d->sqlstate;
}

static void drop_text(struct ledger *l, struct detail *d)
{
	if (!has_text(d))
		return;
	TAILQ_REMOVE(&l->texts, d, with_text);
	l->n_texts--;
	free(d->message);
	d->message = NULL;
	*d->sqlstate = '\0';
}

void detail_claim(struct ledger *l, struct detail *d, uint32_t attempt, const struct requester *by,
		  struct recorded_request *request)
{
	d->attempt = attempt;
	requester_set(l, &d->by, requester_ref(by));
	if (request)
		request->refs++;
	if (d->request)
		d->request->refs--;
	d->request = request;
}

void detail_drop(struct ledger *l, struct detail *d, struct cell *c)
{
	if (d) {
		detail_claim(l, d, 0, NULL, NULL);
		drop_text(l, d);
		HASH_DELETE(hh, l->details, d);
		free(d);
	}
	if (c)
		c->detail = 0;
}

void detail_drop_empty(struct ledger *l, struct detail *d, struct cell *c)
{
	if (!has_text(d) && !d->started && !d->attempt && !d->by && !d->request && !d->rows_outside &&
	    d->rows_inserted < 0 && d->rows_deleted < 0)
		detail_drop(l, d, c);
}

/* The oldest failures lose their text, and with it what costs memory; the oldest answers likewise. */
void texts_trim(struct ledger *l)
{
	struct detail *d;
	while (l->n_texts >= TEXTS_MAX && (d = TAILQ_FIRST(&l->texts))) {
		drop_text(l, d);
		detail_drop_empty(l, d, cell_find(model_state_of(l, (slot)d->key.model), d->key.batch));
	}
	while (l->n_texts >= TEXTS_MAX && answer_drop_oldest_text(l))
		;
}

void detail_message(struct ledger *l, struct detail *d, const char *sqlstate, const char *message)
{
	drop_text(l, d);
	if (!*message && !*sqlstate)
		return;
	texts_trim(l);
	snprintf(d->sqlstate, sizeof d->sqlstate, "%s", sqlstate);
	d->message = *message ? strdup(message) : NULL;
	if (!has_text(d))
		return;
	TAILQ_INSERT_TAIL(&l->texts, d, with_text);
	l->n_texts++;
}

void details_forget(struct ledger *l, slot model)
{
	struct detail *d, *next;
	HASH_ITER(hh, l->details, d, next)
	{
		if (model < 0 || d->key.model == (uint32_t)model)
			detail_drop(l, d, cell_find(model_state_of(l, (slot)d->key.model), d->key.batch));
	}
}
