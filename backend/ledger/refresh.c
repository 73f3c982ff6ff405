/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full refreshes: what was reported of them, and how far the build phase of one has come. Its batches are
 * those of an ordinary request; a batch belongs to it until it was built, or has failed, since the phase
 * began.
 */
#include "backend/ledger/refresh.h"

#include <stdlib.h>
#include <string.h>

#include "backend/ledger/cells.h"
#include "backend/ledger/details.h"
#include "backend/ledger/flags.h"
#include "backend/ledger/put.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/requests.h"
#include "backend/ledger/state.h"

void refresh_forget(struct ledger *l, struct model_state *m)
{
	free(m->refresh_error);
	m->refresh_error = NULL;
	requester_unref(l, m->refresh.by);
	m->refresh = (struct ledger_refresh){.error = ""};
}

int ledger_put_refresh(struct ledger *l, const struct store_refresh *r)
{
	struct model_state *m = model_state_of(l, r->model);
	char *error = strdup(r->error ? r->error : "");
	const struct requester *by = requester_intern(l, r->uid, r->command, r->reason);
	if (!error || !by) {
		free(error);
		requester_unref(l, by);
		return -ENOMEM;
	}
	refresh_forget(l, m);
	m->refresh_error = error;
	m->refresh = (struct ledger_refresh){.id = r->id,
					     .phase = r->phase,
					     .batches = r->batches,
					     .since = r->since,
					     .build_at = r->build_at,
					     .by = by,
					     .rows_outside = r->rows_outside,
					     .rows_without_event_time = r->rows_without_event_time,
					     .done = r->done,
					     .failed = r->failed,
					     .beside = r->beside,
					     .result = r->result,
					     .finished_at = r->finished_at,
					     .error = error};
	m->refresh_unsure = false;
	return 0;
}

const struct ledger_refresh *ledger_refresh(const struct ledger *l, slot model)
{
	return &model_state_of(l, model)->refresh;
}

void ledger_refresh_cleared(struct ledger *l, slot model, int64_t rows_outside,
			    int64_t rows_without_event_time)
{
	struct ledger_refresh *f = &model_state_of(l, model)->refresh;
	f->rows_outside = rows_outside;
	f->rows_without_event_time = rows_without_event_time;
}

/* What exists of it: the model's begin may have moved since. */
static struct ordinal_range known_part(const struct model_state *m)
{
	struct ordinal_range r = m->refresh.batches;
	r.first = r.first < m->begin ? m->begin : r.first;
	r.end = r.end < r.first ? r.first : r.end;
	return r;
}

ordinal ledger_refresh_first(const struct ledger *l, slot model)
{
	return known_part(model_state_of(l, model)).first;
}

enum refresh_first ledger_refresh_made(const struct ledger *l, slot model)
{
	const struct model_state *m = model_state_of(l, model);
	const struct recorded_request *k = recorded_find(l, m->refresh.id);
	ordinal first = ledger_refresh_first(l, model);
	const struct cell *c = cell_find(m, first);
	if ((k && k->open && request_has(k->open, first)) || marked(m, MARK_ACTIVE, first) ||
	    marked(m, MARK_REQUEUED, first))
		return FIRST_OPEN;
	if (!c || c->outcome == OUTCOME_NONE || cell_finished(c) < m->refresh.build_at)
		return FIRST_LEFT;
	if (c->outcome != OUTCOME_DONE)
		return FIRST_WRONG;
	/* One that began before somebody asked was no part of it. */
	int64_t began = cell_finished(c) - (int64_t)c->duration_ms * 1000;
	return began >= m->refresh.build_at ? FIRST_BUILT : FIRST_LEFT;
}

void ledger_refresh_anew(struct ledger *l, slot model)
{
	ordinal first = ledger_refresh_first(l, model);
	forget_but(l, model, (struct ordinal_range){first, first + 1});
}

void ledger_refresh_close(struct ledger *l, slot model)
{
	struct recorded_request *k = recorded_find(l, model_state_of(l, model)->refresh.id);
	if (k)
		request_void(l, k);
}

void ledger_refresh_beside(struct ledger *l, slot model, int64_t done)
{
	model_state_of(l, model)->refresh.done = done;
}

void refresh_set_reason(struct ledger *l, int64_t request, const char *reason)
{
	for (slot i = 0; i < l->end; i++) {
		struct ledger_refresh *f = &model_state_of(l, i)->refresh;
		if (f->id != request || !f->by)
			continue;
		const struct requester *by = requester_intern(l, f->by->uid, f->by->command, reason);
		if (by)
			requester_set(l, &f->by, by);
	}
}

/* Since the phase began. */
static bool has_ended(const struct model_state *m, ordinal batch)
{
	const struct cell *c = cell_find(m, batch);
	return c && c->outcome != OUTCOME_NONE && cell_finished(c) >= m->refresh.build_at;
}

/* Its request waits for the batch, or the first attempt of the phase has not ended. */
static bool is_outstanding(const struct model_state *m, const struct open_request *r, ordinal batch)
{
	if (r && request_has(r, batch))
		return true;
	return (marked(m, MARK_ACTIVE, batch) || marked(m, MARK_REQUEUED, batch)) && !has_ended(m, batch);
}

ordinal ledger_refresh_next(const struct ledger *l, slot model, ordinal from)
{
	const struct model_state *m = model_state_of(l, model);
	const struct recorded_request *k = recorded_find(l, m->refresh.id);
	struct ordinal_range rest = known_part(m);
	ordinal b = from > rest.first ? from : rest.first;
	/* What is neither queued nor running is not outstanding. */
	for (b = mark_next(l, m, MARK_UNSETTLED, b, rest.end); b < rest.end;
	     b = mark_next(l, m, MARK_UNSETTLED, b + 1, rest.end))
		if (is_outstanding(m, k ? k->open : NULL, b))
			return b;
	return rest.end;
}

struct refresh_count ledger_refresh_count(const struct ledger *l, slot model)
{
	const struct model_state *m = model_state_of(l, model);
	struct ordinal_range all = known_part(m);
	struct refresh_count n = {
		.batches = all.end - all.first, .first_failed = all.end, .first_left = all.end};
	/* The states are those of the table, which nothing has happened to yet. */
	if (refresh_is_beside(m->refresh.phase)) {
		n.done = (size_t)m->refresh.done;
		return n;
	}
	n.failed = (size_t)m->refresh.failed;
	for (ordinal b = all.first; b < all.end && m->refresh.build_at; b++) {
		const struct cell *c = cell_find(m, b);
		bool ended = has_ended(m, b);
		bool failed = ended && c->outcome != OUTCOME_DONE;
		bool done = !failed && c && cell_built(c) >= m->refresh.build_at;
		n.failed += failed;
		n.done += done;
		if (failed && n.first_failed == all.end)
			n.first_failed = b;
		if (!failed && !done && n.first_left == all.end)
			n.first_left = b;
	}
	return n;
}

bool ledger_refresh_alone(const struct ledger *l, slot model, ordinal batch)
{
	const struct model_state *m = model_state_of(l, model);
	const struct cell *cell = cell_find(m, batch);
	const struct detail *d = cell && cell->detail ? detail_find(l, model, batch) : NULL;
	struct cover c = cover_of(l, model, batch);
	struct open_request *r;
	bool mine = d && d->request && d->request->id == m->refresh.id && !has_ended(m, batch);
	while ((r = cover_next(&c))) {
		if (!request_has(r, batch))
			continue;
		if (r->recorded->id != m->refresh.id)
			return false;
		mine = true;
	}
	return mine;
}
