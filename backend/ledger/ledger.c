/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/ledger/private.h"

struct ledger *ledger_new(void)
{
	return calloc(1, sizeof(struct ledger));
}

static void chunks_free(struct model_state *m)
{
	for (size_t i = 0; i < m->n_chunks; i++)
		free(m->chunks[i]);
	free(m->chunks);
	m->chunks = NULL;
	m->n_chunks = 0;
}

static void state_free(struct model_state *m)
{
	chunks_free(m);
	requests_free(m);
	free(m->origins);
	free(m->freezes);
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
	if (model < l->end)
		state_free(l->models[model]);
	m->size = facts->batch_size;
	m->begin = calendar_ordinal(m->size, facts->begin);
	memcpy(m->code, facts->code, sizeof m->code);
	m->requeued_hint = UINT32_MAX;
	m->average_us = -1;
	TAILQ_INIT(&m->requests);
	l->models[model] = m;
	l->end = model + 1;
	return 0;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	for (slot i = 0; i < l->end; i++)
		state_free(model_state_of(l, i));
	details_forget(l, -1);
	origins_free(l);
	free(l->finished);
	free(l->models);
	free(l);
}

/* Nothing is known of the batch's builds any more; what is asked for stays asked for. */
static void forget_cell(struct model_state *m, struct cell *c)
{
	bool queued = c->queued, requeued = c->requeued;
	cell_flags(m, c, false, false, false);
	*c = (struct cell){.requeued = requeued};
	cell_flags(m, c, queued, false, false);
}

void ledger_forget(struct ledger *l, slot model)
{
	struct model_state *m = model_state_of(l, model);
	details_forget(l, model);
	for (size_t i = 0; i < m->n_chunks; i++)
		for (size_t j = 0; m->chunks[i] && j < CELLS_A_CHUNK; j++)
			forget_cell(m, &m->chunks[i]->cells[j]);
}

static uint32_t clamp_rows(int64_t rows)
{
	return rows < 0 || rows >= ROWS_UNKNOWN ? ROWS_UNKNOWN : (uint32_t)rows;
}

static void set_outcome(struct ledger *l, struct model_state *m, struct cell *c, const struct store_state *s)
{
	const struct known_request *k = known_find(l, s->request);
	int64_t window_end = calendar_start(m->size, s->batch + 1);
	bool timed = s->run == ROW_IDLE && s->started > 0 && s->finished > s->started;
	int64_t duration = timed ? (s->finished - s->started) / 1000 : 0;
	c->outcome = (unsigned)s->outcome & 3;
	c->finished = s->finished > 0 ? (uint64_t)s->finished & ((UINT64_C(1) << 52) - 1) : 0;
	c->adopted = s->adopted;
	c->duration_ms = duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration;
	/* When what is adopted was built, nobody knows: it counts as done. */
	c->partial = s->outcome == OUTCOME_DONE && !s->adopted &&
		     (s->run == ROW_IDLE ? s->started : s->finished) < window_end;
	c->rows_inserted = clamp_rows(s->rows_inserted);
	c->rows_deleted = clamp_rows(s->rows_deleted);
	c->attempt = s->attempt > UINT16_MAX ? UINT16_MAX : (uint16_t)s->attempt;
	c->origin = origin_intern(l, m, k ? k->by : NULL, s->code ? s->code : "");
}

static bool needs_detail(const struct store_state *s)
{
	return s->run == ROW_RUNNING || s->rows_outside > 0 || *s->message || *s->sqlstate ||
	       s->rows_inserted >= ROWS_UNKNOWN || s->rows_deleted >= ROWS_UNKNOWN ||
	       (s->outcome != OUTCOME_DONE && s->built) || (s->run == ROW_REQUEUED && s->request);
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
	const struct known_request *k = known_find(l, s->request);
	d->started = s->run == ROW_RUNNING ? s->started : 0;
	d->attempt = s->attempt;
	d->by = k ? k->by : NULL;
	d->request = s->run == ROW_IDLE ? 0 : s->request;
	d->built = s->built;
	d->rows_inserted = s->rows_inserted >= ROWS_UNKNOWN ? s->rows_inserted : -1;
	d->rows_deleted = s->rows_deleted >= ROWS_UNKNOWN ? s->rows_deleted : -1;
	d->rows_outside = s->rows_outside > 0 ? s->rows_outside : 0;
	detail_message(l, d, s->sqlstate, s->message);
	return 0;
}

static void average(struct model_state *m, const struct store_state *s)
{
	if (s->run != ROW_IDLE || s->outcome != OUTCOME_DONE || s->adopted || s->finished < s->started)
		return;
	int64_t took = s->finished - s->started;
	m->average_us = m->average_us < 0 ? took : (7 * m->average_us + took) / 8;
}

int ledger_put_state(struct ledger *l, const struct store_state *s)
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
	set_outcome(l, m, c, s);
	average(m, s);
	if (s->served)
		request_serve(l, m, s->batch, s->served);
	cell_requeue(m, c, s->batch, s->run == ROW_REQUEUED);
	bool queued = c->requeued || request_wants(m, s->batch, NULL, NULL);
	cell_flags(m, c, queued, false, s->run == ROW_RUNNING);
	if (s->built > m->latest_build)
		m->latest_build = s->built;
	return 0;
}

void ledger_answered(struct ledger *l, slot model, ordinal batch, uint32_t attempt, int64_t served)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_find(m, batch);
	if (!c)
		return;
	const struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	uint32_t known = d && d->attempt > c->attempt ? d->attempt : c->attempt;
	if (known < attempt && known < UINT16_MAX)
		return;
	request_serve(l, m, batch, served);
	cell_flags(m, c, c->requeued || request_wants(m, batch, NULL, NULL), c->claimed, c->running);
}

int ledger_settled(struct ledger *l, const struct store_state *s)
{
	struct model_state *m = model_state_of(l, s->model);
	const struct cell *before = cell_find(m, s->batch);
	const struct detail *d = before && before->detail ? detail_find(l, s->model, s->batch) : NULL;
	const struct requester *by = d ? d->by : NULL;
	int r = ledger_put_state(l, s);
	struct cell *c = r == 0 ? cell_find(m, s->batch) : NULL;
	if (c && by)
		c->origin = origin_intern(l, m, by, s->code);
	return r;
}

void ledger_claimed(struct ledger *l, slot model, ordinal batch, uint32_t attempt, int64_t served,
		    int64_t request)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_find(m, batch);
	if (!c)
		return;
	const struct requester *by = m->n_origins ? m->origins[c->origin].by : NULL;
	const struct known_request *k = known_find(l, request);
	request_serve(l, m, batch, served);
	cell_requeue(m, c, batch, false);
	struct detail *d = detail_make(l, model, batch, c);
	if (d) {
		d->started = 0;
		d->attempt = attempt;
		d->by = k ? k->by : by;
		d->request = request ? request : d->request;
		if (!d->built && c->outcome == OUTCOME_DONE)
			d->built = (int64_t)c->finished;
	}
	cell_flags(m, c, request_wants(m, batch, NULL, NULL), true, false);
}

void ledger_started(struct ledger *l, slot model, ordinal batch, int64_t started)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_find(m, batch);
	if (!c || !c->claimed)
		return;
	struct detail *d = detail_make(l, model, batch, c);
	if (d)
		d->started = started;
	cell_flags(m, c, c->queued, false, true);
}

/* What a claimed or running attempt has put into the detail goes, what belongs to the outcome stays. */
static void end_attempt(struct ledger *l, slot model, ordinal batch, struct cell *c)
{
	struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	if (!d)
		return;
	d->started = 0;
	d->attempt = c->attempt;
	d->by = NULL;
	d->request = 0;
	if (!d->message && !*d->sqlstate && !d->rows_outside && d->rows_inserted < 0 && d->rows_deleted < 0 &&
	    (c->outcome == OUTCOME_DONE || !d->built))
		detail_drop(l, d, c);
}

void ledger_requeued(struct ledger *l, slot model, ordinal batch)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_find(m, batch);
	if (!c)
		return;
	struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	int64_t request = d ? d->request : 0;
	end_attempt(l, model, batch, c);
	d = request ? detail_make(l, model, batch, c) : NULL;
	if (d)
		d->request = request;
	cell_requeue(m, c, batch, true);
	cell_flags(m, c, true, false, false);
}

void ledger_released(struct ledger *l, slot model, ordinal batch)
{
	struct model_state *m = model_state_of(l, model);
	struct cell *c = cell_find(m, batch);
	if (!c)
		return;
	end_attempt(l, model, batch, c);
	/* The store may have told meanwhile that it was put back. */
	cell_flags(m, c, c->requeued || request_wants(m, batch, NULL, NULL), false, false);
}
