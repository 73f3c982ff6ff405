/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/ledger/private.h"

static enum batch_state state_of(const struct cell *c)
{
	if (!c)
		return BATCH_PENDING;
	if (c->running)
		return BATCH_RUNNING;
	if (c->queued || c->claimed)
		return BATCH_QUEUED;
	switch ((enum row_outcome)c->outcome) {
	case OUTCOME_FAILED:
		return BATCH_FAILED;
	case OUTCOME_SKIPPED:
		return BATCH_SKIPPED;
	case OUTCOME_DONE:
		return c->partial ? BATCH_PARTIAL : BATCH_DONE;
	case OUTCOME_NONE:
		break;
	}
	return BATCH_PENDING;
}

/* What naming a freeze adds to a document, but for the command. */
#define FROZEN_TEXT 48

static int64_t built_of(const struct cell *c, const struct detail *d)
{
	if (c->outcome == OUTCOME_DONE)
		return (int64_t)c->finished;
	return d ? d->built : 0;
}

enum batch_state ledger_state(const struct ledger *l, slot model, ordinal batch)
{
	return state_of(cell_find(model_state_of(l, model), batch));
}

/* What a running attempt shows: its own start, nothing yet of its end. */
static void show_running(struct batch_info *out, const struct detail *d)
{
	out->finished = 0;
	out->rows_deleted = out->rows_inserted = out->rows_outside = -1;
	out->sqlstate = out->message = "";
	if (d) {
		out->attempt = d->attempt;
		out->started = d->started;
		out->by = d->by;
	}
}

void ledger_info(const struct ledger *l, slot model, ordinal batch, struct batch_info *out)
{
	const struct model_state *m = model_state_of(l, model);
	const struct cell *c = cell_find(m, batch);
	*out = (struct batch_info){.state = state_of(c), .code = "", .sqlstate = "", .message = ""};
	out->rows_deleted = out->rows_inserted = out->rows_outside = -1;
	out->frozen = ledger_frozen(l, model, batch, &out->frozen_at);
	if (!c)
		return;
	const struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	out->attempt = c->attempt;
	out->built = built_of(c, d);
	out->adopted = c->adopted;
	out->requested_again = c->running && c->queued;
	if (m->n_origins) {
		out->by = m->origins[c->origin].by;
		out->code = m->origins[c->origin].code;
	}
	if (c->running) {
		show_running(out, d);
		return;
	}
	out->finished = (int64_t)c->finished;
	out->started = out->finished ? out->finished - (int64_t)c->duration_ms * 1000 : 0;
	/* A cell that only has a neighbour in its chunk is all zeros. */
	bool none = c->outcome == OUTCOME_NONE;
	out->rows_inserted = none || c->rows_inserted == ROWS_UNKNOWN ? -1 : (int64_t)c->rows_inserted;
	out->rows_deleted = none || c->rows_deleted == ROWS_UNKNOWN ? -1 : (int64_t)c->rows_deleted;
	if (c->outcome == OUTCOME_DONE)
		out->rows_outside = c->adopted ? -1 : 0;
	if (d) {
		if (d->rows_inserted >= 0)
			out->rows_inserted = d->rows_inserted;
		if (d->rows_deleted >= 0)
			out->rows_deleted = d->rows_deleted;
		if (d->rows_outside)
			out->rows_outside = d->rows_outside;
		out->sqlstate = d->sqlstate;
		out->message = d->message ? d->message : "";
	}
}

enum batch_state ledger_glance(const struct ledger *l, slot model, ordinal batch, uint32_t *attempt,
			       int64_t *built, size_t *text)
{
	const struct model_state *m = model_state_of(l, model);
	const struct cell *c = cell_find(m, batch);
	const struct requester *frozen = ledger_frozen(l, model, batch, NULL);
	*attempt = 0;
	*built = 0;
	*text = frozen ? FROZEN_TEXT + strlen(frozen->command) : 0;
	if (!c)
		return BATCH_PENDING;
	const struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	*attempt = c->running && d ? d->attempt : c->attempt;
	*built = built_of(c, d);
	const struct requester *by = c->running && d ? d->by : m->n_origins ? m->origins[c->origin].by : NULL;
	if (by && by->reason)
		*text += strlen(by->reason);
	if (d && d->message)
		*text += strlen(d->message);
	return state_of(c);
}

ordinal ledger_next_unsettled(const struct ledger *l, slot model, struct ordinal_range range)
{
	const struct model_state *m = model_state_of(l, model);
	if (m->queued == 0 && m->running == 0)
		return range.end;
	for (ordinal b = range.first; b < range.end; b++) {
		const struct cell *c = cell_find(m, b);
		if (c && (c->queued || c->claimed || c->running))
			return b;
	}
	return range.end;
}

size_t ledger_queued(const struct ledger *l, slot model)
{
	return model_state_of(l, model)->queued;
}

size_t ledger_running(const struct ledger *l, slot model)
{
	return model_state_of(l, model)->running;
}

int64_t ledger_average_us(const struct ledger *l, slot model)
{
	return model_state_of(l, model)->average_us;
}

void ledger_build_times(const struct ledger *l, slot model, ordinal batch, int64_t *started,
			int64_t *finished)
{
	const struct cell *c = cell_find(model_state_of(l, model), batch);
	*started = *finished = 0;
	if (!c)
		return;
	/* What failed or was skipped afterwards has left the rows of its last build. */
	*finished = built_of(c, c->detail ? detail_find(l, model, batch) : NULL);
	if (c->outcome == OUTCOME_DONE)
		*started = *finished - (int64_t)c->duration_ms * 1000;
}

bool ledger_adopted(const struct ledger *l, slot model, ordinal batch)
{
	const struct cell *c = cell_find(model_state_of(l, model), batch);
	return c && c->adopted;
}

int64_t ledger_latest_build(const struct ledger *l, slot model)
{
	return model_state_of(l, model)->latest_build;
}

struct ordinal_range ledger_known(const struct ledger *l, slot model)
{
	const struct model_state *m = model_state_of(l, model);
	return (struct ordinal_range){m->begin, m->begin + (ordinal)(m->n_chunks * CELLS_A_CHUNK)};
}
