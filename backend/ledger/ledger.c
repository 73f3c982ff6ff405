/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/ledger/cells.h"
#include "backend/ledger/details.h"
#include "backend/ledger/flags.h"
#include "backend/ledger/freezes.h"
#include "backend/ledger/origins.h"
#include "backend/ledger/put.h"
#include "backend/ledger/recorded.h"
#include "backend/ledger/refresh.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/requests.h"
#include "backend/ledger/state.h"

struct ledger *ledger_new(void)
{
	struct ledger *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	TAILQ_INIT(&l->texts);
	TAILQ_INIT(&l->answers);
	return l;
}

static void drop_origins(struct ledger *l, struct model_state *m)
{
	for (size_t i = 0; i < m->n_chunks; i++)
		for (size_t j = 0; m->chunks[i] && j < CELLS_A_CHUNK; j++)
			cell_drop_origin(l, &m->chunks[i]->cells[j]);
}

static void state_free(struct ledger *l, struct model_state *m)
{
	drop_origins(l, m);
	for (size_t i = 0; i < m->n_chunks; i++)
		free(m->chunks[i]);
	free(m->chunks);
	free(m->flags);
	free(m->built);
	requests_free(l, m);
	freezes_free(l, m);
	refresh_forget(l, m);
	free(m);
}

int ledger_enlist(struct ledger *l, slot model, const struct model *facts)
{
	struct model_state **models = realloc(l->models, ((size_t)model + 1) * sizeof *models);
	if (!models)
		return -ENOMEM;
	l->models = models;
	struct model_state *m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	if (model < l->end) {
		details_forget(l, model);
		state_free(l, l->models[model]);
	}
	m->size = facts->batch_size;
	m->begin = calendar_ordinal(m->size, facts->begin);
	memcpy(m->code, facts->code, sizeof m->code);
	m->average_us = m->average_rows = -1;
	m->refresh.error = "";
	TAILQ_INIT(&m->requests);
	l->models[model] = m;
	l->end = model + 1;
	return 0;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	details_forget(l, -1);
	for (slot i = 0; i < l->end; i++)
		state_free(l, model_state_of(l, i));
	recorded_free(l);
	origins_free(l);
	free(l->finished.ids);
	free(l->unseen.ids);
	free(l->models);
	free(l);
}

/* What the batch's last outcome was is void; an attempt that is under way goes on. */
static void forget_outcome(struct ledger *l, slot model, ordinal batch, struct cell *c, bool active)
{
	struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	if (d && !active)
		detail_drop(l, d, c);
	if (d && active) {
		detail_message(l, d, "", "");
		d->rows_inserted = d->rows_deleted = -1;
		d->rows_outside = 0;
	}
	cell_drop_origin(l, c);
	*c = active ? (struct cell){.attempt = c->attempt, .detail = c->detail} : (struct cell){0};
}

void forget_but(struct ledger *l, slot model, struct ordinal_range stays)
{
	struct model_state *m = model_state_of(l, model);
	struct chunk_range of = chunks_of(m, stays);
	for (size_t i = 0; i < m->n_chunks; i++) {
		struct flags f = m->flags[i];
		uint32_t active = f.claimed | f.running;
		uint32_t kept = i >= of.first && i < of.end ? chunk_mask(m, i, stays) : 0;
		for (size_t j = 0; m->chunks[i] && j < CELLS_A_CHUNK; j++)
			if (!(kept >> j & 1))
				forget_outcome(l, model, m->begin + (ordinal)(i * CELLS_A_CHUNK + j),
					       &m->chunks[i]->cells[j], active >> j & 1);
		f.wrong &= active | kept;
		f.unsure &= active | kept;
		flags_put(m, i, f);
	}
}

void ledger_forget(struct ledger *l, slot model)
{
	forget_but(l, model, (struct ordinal_range){0, 0});
}

void ledger_forget_built(struct ledger *l, slot model)
{
	struct model_state *m = model_state_of(l, model);
	for (size_t i = 0; i < m->n_chunks; i++) {
		uint32_t active = m->flags[i].claimed | m->flags[i].running;
		for (size_t j = 0; m->chunks[i] && j < CELLS_A_CHUNK; j++) {
			ordinal batch = m->begin + (ordinal)(i * CELLS_A_CHUNK + j);
			struct cell *c = &m->chunks[i]->cells[j];
			if (c->outcome == OUTCOME_DONE)
				forget_outcome(l, model, batch, c, active >> j & 1);
			else if (c->outcome != OUTCOME_NONE)
				cell_set_built(m, c, batch, 0);
		}
	}
}

void ledger_set_looked(struct ledger *l, slot model, bool looked)
{
	model_state_of(l, model)->unlooked = !looked;
}

bool ledger_looked(const struct ledger *l, slot model)
{
	return !model_state_of(l, model)->unlooked;
}

bool ledger_remembers(const struct ledger *l, slot model)
{
	const struct model_state *m = model_state_of(l, model);
	for (size_t i = 0; i < m->n_chunks; i++)
		if (m->chunks[i])
			return true;
	return false;
}

static uint32_t clamp_rows(int64_t rows)
{
	return rows < 0 || rows >= ROWS_UNKNOWN ? ROWS_UNKNOWN : (uint32_t)rows;
}

static void set_outcome(struct ledger *l, struct model_state *m, struct cell *c, const struct store_state *s)
{
	const struct recorded_request *k = recorded_find(l, s->request);
	int64_t window_end = calendar_start(m->size, s->batch + 1);
	bool timed = s->run == ROW_IDLE && s->started > 0 && s->finished > s->started;
	int64_t duration = timed ? (s->finished - s->started) / 1000 : 0;
	cell_set_outcome(m, c, s->batch, s->outcome);
	cell_set_finished(c, s->finished);
	c->adopted = s->adopted;
	c->duration_ms = duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration;
	/* When what is adopted was built, nobody knows: it is whole if its window had closed when it was
	 * seen.
	 */
	c->partial = s->outcome == OUTCOME_DONE &&
		     (s->run == ROW_IDLE && !s->adopted ? s->started : s->finished) < window_end;
	if (c->outcome == OUTCOME_DONE) {
		c->rows_inserted = clamp_rows(s->rows_inserted);
		c->rows_deleted = clamp_rows(s->rows_deleted);
		chunk_built(m, s->batch, s->finished > s->built ? s->finished : s->built);
	} else {
		cell_set_built(m, c, s->batch, s->built);
	}
	c->attempt = s->attempt;
	cell_set_origin(l, c, k ? k->by : NULL, s->code ? s->code : "", NULL);
}

static bool needs_detail(const struct store_state *s)
{
	return s->run == ROW_RUNNING || s->rows_outside > 0 || *s->message || *s->sqlstate ||
	       s->rows_inserted >= ROWS_UNKNOWN || s->rows_deleted >= ROWS_UNKNOWN ||
	       (s->run == ROW_REQUEUED && s->request);
}

static int set_detail(struct ledger *l, struct cell *c, const struct store_state *s)
{
	if (!needs_detail(s)) {
		if (c->detail)
			detail_drop(l, detail_find(l, s->model, s->batch), c);
		return 0;
	}
	struct detail *d = detail_make(l, s->model, s->batch, c);
	if (!d)
		return -ENOMEM;
	struct recorded_request *k = recorded_find(l, s->request);
	bool runs = s->run == ROW_RUNNING;
	d->started = runs ? s->started : 0;
	detail_claim(l, d, runs ? s->attempt : 0, runs && k ? k->by : NULL, s->run == ROW_IDLE ? NULL : k);
	d->rows_inserted = s->rows_inserted >= ROWS_UNKNOWN ? s->rows_inserted : -1;
	d->rows_deleted = s->rows_deleted >= ROWS_UNKNOWN ? s->rows_deleted : -1;
	d->rows_outside = s->rows_outside > 0 ? s->rows_outside : 0;
	detail_message(l, d, s->sqlstate, s->message);
	return 0;
}

static void move(int64_t *average, int64_t value)
{
	*average = *average < 0 ? value : (7 * *average + value) / 8;
}

static void average(struct model_state *m, const struct store_state *s)
{
	if (s->run != ROW_IDLE || s->outcome != OUTCOME_DONE || s->adopted || s->finished < s->started)
		return;
	move(&m->average_us, s->finished - s->started);
	if (s->rows_inserted >= 0)
		move(&m->average_rows, s->rows_inserted);
}

/* What is wanted of the batch apart from an attempt that is under way. */
static bool is_queued(const struct ledger *l, slot model, ordinal batch)
{
	return marked(model_state_of(l, model), MARK_REQUEUED, batch) || request_newest(l, model, batch);
}

/* A row that is older than the answer that skipped the batch: what it tells of the last build is news. */
static bool before_skip(struct ledger *l, struct model_state *m, struct cell *c, const struct store_state *s)
{
	const struct origin_key *o = origin_of(l, c);
	if (!cell_shows_answer(l, c) || s->run != ROW_IDLE || s->served >= o->answer->key.served)
		return false;
	c->attempt = s->attempt;
	cell_set_built(m, c, s->batch, s->built);
	cell_set_origin(l, c, o->by, s->code ? s->code : "", o->answer);
	return true;
}

/*
 * A row that was read while the attempt ran. Its end, which a worker of this mount tells from a thread of its
 * own, was told before the row: nothing else would ever end what the row says.
 */
static bool before_end(const struct model_state *m, const struct cell *c, const struct store_state *s)
{
	return s->run == ROW_RUNNING && c->outcome != OUTCOME_NONE && c->attempt == s->attempt &&
	       cell_finished(c) >= s->started && !marked(m, MARK_ACTIVE, s->batch);
}

int ledger_put_state(struct ledger *l, const struct store_state *s)
{
	struct model_state *m = model_state_of(l, s->model);
	struct cell *c = cell_find(m, s->batch);
	bool sure = c && !unsure(m, s->batch);
	return sure && (before_end(m, c, s) || before_skip(l, m, c, s)) ? 0 : state_put(l, s);
}

int state_put(struct ledger *l, const struct store_state *s)
{
	struct model_state *m = model_state_of(l, s->model);
	if (s->batch < m->begin)
		return 0;
	struct cell *c = cell_make(m, s->batch);
	if (!c)
		return -ENOMEM;
	int r = set_detail(l, c, s);
	if (r < 0)
		return r;
	make_sure(m, s->batch);
	set_outcome(l, m, c, s);
	average(m, s);
	if (s->served)
		request_serve(l, s->model, s->batch, s->served);
	flags_requeue(m, s->batch, s->run == ROW_REQUEUED);
	flags_set(m, s->batch, is_queued(l, s->model, s->batch), false, s->run == ROW_RUNNING);
	return 0;
}

void ledger_answered(struct ledger *l, slot model, ordinal batch, uint32_t attempt, int64_t served)
{
	struct model_state *m = model_state_of(l, model);
	const struct cell *c = cell_find(m, batch);
	const struct detail *d = c && c->detail ? detail_find(l, model, batch) : NULL;
	uint32_t ended = c ? c->attempt : 0, known = d && d->attempt > ended ? d->attempt : ended;
	if (known < attempt || !marked(m, MARK_UNSETTLED, batch))
		return;
	request_serve(l, model, batch, served);
	flags_set(m, batch, is_queued(l, model, batch), marked(m, MARK_CLAIMED, batch),
		  marked(m, MARK_RUNNING, batch));
}

int ledger_settled(struct ledger *l, const struct store_state *s)
{
	struct model_state *m = model_state_of(l, s->model);
	const struct cell *before = cell_find(m, s->batch);
	const struct detail *d = before && before->detail ? detail_find(l, s->model, s->batch) : NULL;
	const struct requester *by = requester_ref(d ? d->by : NULL);
	int r = state_put(l, s);
	struct cell *c = r == 0 ? cell_find(m, s->batch) : NULL;
	if (c && by)
		cell_set_origin(l, c, by, s->code, NULL);
	requester_unref(l, by);
	return r;
}

void ledger_claimed(struct ledger *l, slot model, ordinal batch, uint32_t attempt, int64_t served,
		    int64_t request)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_make(m, batch);
	if (!c)
		return;
	const struct requester *by = origin_of(l, c)->by;
	struct recorded_request *k = recorded_find(l, request);
	struct detail *d = detail_make(l, model, batch, c);
	make_sure(m, batch);
	request_serve(l, model, batch, served);
	flags_requeue(m, batch, false);
	if (d) {
		d->started = 0;
		detail_claim(l, d, attempt, k ? k->by : by, k ? k : d->request);
	}
	flags_set(m, batch, is_queued(l, model, batch), true, false);
}

void ledger_started(struct ledger *l, slot model, ordinal batch, int64_t started)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_find(m, batch);
	if (!c || !marked(m, MARK_CLAIMED, batch))
		return;
	struct detail *d = detail_make(l, model, batch, c);
	if (d)
		d->started = started;
	flags_set(m, batch, is_queued(l, model, batch), false, true);
}

/* What a claimed or running attempt has put into the detail goes, what belongs to the outcome stays. */
static void end_attempt(struct ledger *l, slot model, ordinal batch, struct cell *c,
			struct recorded_request *keep)
{
	struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	if (!d)
		return;
	d->started = 0;
	detail_claim(l, d, 0, NULL, keep);
	detail_drop_empty(l, d, c);
}

void ledger_requeued(struct ledger *l, slot model, ordinal batch)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_find(m, batch);
	if (!c)
		return;
	const struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	end_attempt(l, model, batch, c, d ? d->request : NULL);
	flags_requeue(m, batch, true);
	flags_set(m, batch, true, false, false);
}

void ledger_released(struct ledger *l, slot model, ordinal batch)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_find(m, batch);
	if (!c)
		return;
	end_attempt(l, model, batch, c, NULL);
	/* The store may have told meanwhile that it was put back. */
	flags_set(m, batch, is_queued(l, model, batch), false, false);
}
