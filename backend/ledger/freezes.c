/* SPDX-License-Identifier: Apache-2.0 */
/* What is frozen of a model: few intervals, sorted, none overlapping another. */
#include <stdlib.h>
#include <string.h>

#include "backend/ledger/freezes.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/state.h"

/* The first freeze that ends behind the batch; n_freezes: none does. */
static size_t at_or_after(const struct model_state *m, ordinal batch)
{
	size_t low = 0, high = m->n_freezes;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (m->freezes[mid].batches.end > batch)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static bool make_room(struct model_state *m, size_t more)
{
	if (m->n_freezes + more <= m->freezes_size)
		return true;
	size_t size = 2 * (m->n_freezes + more);
	struct freeze *list = realloc(m->freezes, size * sizeof *list);
	if (!list)
		return false;
	m->freezes = list;
	m->freezes_size = size;
	return true;
}

/* Where there is room. Who did it is named once more. */
static void insert(struct model_state *m, size_t at, struct ordinal_range batches, struct freezer who)
{
	requester_ref(who.by);
	memmove(m->freezes + at + 1, m->freezes + at, (m->n_freezes - at) * sizeof *m->freezes);
	m->freezes[at] = (struct freeze){.batches = batches, .who = who};
	m->n_freezes++;
}

/* Who did it stays named, for the caller to let go. */
static struct freeze take_out(struct model_state *m, size_t at)
{
	struct freeze f = m->freezes[at];
	m->n_freezes--;
	memmove(m->freezes + at, m->freezes + at + 1, (m->n_freezes - at) * sizeof *m->freezes);
	return f;
}

static int freeze(struct model_state *m, struct ordinal_range batches, struct freezer who)
{
	/* It may fill every gap between those that are there. */
	if (!make_room(m, m->n_freezes + 1))
		return -ENOMEM;
	ordinal from = batches.first;
	for (size_t i = at_or_after(m, from); from < batches.end; i++) {
		bool last = i == m->n_freezes || m->freezes[i].batches.first >= batches.end;
		ordinal to = last ? batches.end : m->freezes[i].batches.first;
		if (from < to)
			insert(m, i++, (struct ordinal_range){from, to}, who);
		from = last ? to : m->freezes[i].batches.end;
	}
	return 0;
}

int ledger_freeze(struct ledger *l, slot model, const struct store_freeze *f)
{
	struct model_state *m = model_state_of(l, model);
	struct freezer who = {.by = requester_intern(l, f->uid, f->command ? f->command : "", NULL),
			      .at = f->at};
	int r = who.by ? 0 : -ENOMEM;
	if (r == 0 && f->batches.first < f->batches.end)
		r = freeze(m, f->batches, who);
	else if (r == 0 && !m->protected.by)
		m->protected = (struct freezer){.by = requester_ref(who.by), .at = who.at};
	requester_unref(l, who.by);
	return r;
}

int ledger_thaw(struct ledger *l, slot model, struct ordinal_range batches)
{
	struct model_state *m = model_state_of(l, model);
	if (!make_room(m, 1))
		return -ENOMEM;
	size_t i = at_or_after(m, batches.first);
	while (i < m->n_freezes && m->freezes[i].batches.first < batches.end) {
		struct freeze f = take_out(m, i);
		if (f.batches.first < batches.first)
			insert(m, i++, (struct ordinal_range){f.batches.first, batches.first}, f.who);
		if (f.batches.end > batches.end)
			insert(m, i++, (struct ordinal_range){batches.end, f.batches.end}, f.who);
		requester_unref(l, f.who.by);
	}
	return 0;
}

void ledger_unprotect(struct ledger *l, slot model)
{
	struct freezer *who = &model_state_of(l, model)->protected;
	requester_set(l, &who->by, NULL);
	*who = (struct freezer){0};
}

void freezes_free(struct ledger *l, struct model_state *m)
{
	while (m->n_freezes)
		requester_unref(l, take_out(m, m->n_freezes - 1).who.by);
	free(m->freezes);
	m->freezes = NULL;
	m->freezes_size = 0;
	requester_set(l, &m->protected.by, NULL);
	m->protected = (struct freezer){0};
}

int ledger_put_freezes(struct ledger *l, slot model, const struct store_freeze *list, size_t n)
{
	struct model_state *m = model_state_of(l, model);
	struct model_state before = {
		.freezes = m->freezes, .n_freezes = m->n_freezes, .protected = m->protected};
	size_t size = m->freezes_size;
	int r = 0;
	m->freezes = NULL;
	m->n_freezes = m->freezes_size = 0;
	m->protected = (struct freezer){0};
	for (size_t i = 0; i < n && r == 0; i++)
		r = ledger_freeze(l, model, &list[i]);
	if (r == 0) {
		freezes_free(l, &before);
		return 0;
	}
	freezes_free(l, m);
	m->freezes = before.freezes;
	m->n_freezes = before.n_freezes;
	m->freezes_size = size;
	m->protected = before.protected;
	return r;
}

const struct requester *ledger_frozen(const struct ledger *l, slot model, ordinal batch, int64_t *at)
{
	const struct model_state *m = model_state_of(l, model);
	size_t i = at_or_after(m, batch);
	if (i == m->n_freezes || m->freezes[i].batches.first > batch)
		return NULL;
	if (at)
		*at = m->freezes[i].who.at;
	return m->freezes[i].who.by;
}

const struct requester *ledger_protected(const struct ledger *l, slot model, int64_t *at)
{
	const struct freezer *who = &model_state_of(l, model)->protected;
	if (at)
		*at = who->at;
	return who->by;
}

struct ordinal_range ledger_next_frozen(const struct ledger *l, slot model, struct ordinal_range range)
{
	const struct model_state *m = model_state_of(l, model);
	size_t i = at_or_after(m, range.first);
	if (i == m->n_freezes || m->freezes[i].batches.first >= range.end)
		return (struct ordinal_range){range.end, range.end};
	struct ordinal_range found = m->freezes[i].batches;
	if (found.first < range.first)
		found.first = range.first;
	/* Neighbours that were frozen one after the other are one stretch. */
	while (++i < m->n_freezes && m->freezes[i].batches.first == found.end)
		found.end = m->freezes[i].batches.end;
	if (found.end > range.end)
		found.end = range.end;
	return found;
}
