/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/ledger/cells.h"
#include "backend/ledger/details.h"
#include "backend/ledger/flags.h"
#include "backend/ledger/origins.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/shown.h"
#include "backend/ledger/state.h"

static enum batch_state show(const struct model_state *m, const struct cell *c, ordinal batch)
{
	if (marked(m, MARK_RUNNING, batch))
		return BATCH_RUNNING;
	if (marked(m, MARK_UNSETTLED, batch))
		return BATCH_QUEUED;
	switch (c ? (enum row_outcome)c->outcome : OUTCOME_NONE) {
	case OUTCOME_FAILED:
		return BATCH_FAILED;
	case OUTCOME_SKIPPED:
		return BATCH_SKIPPED;
	case OUTCOME_DONE:
		return m->unlooked ? BATCH_UNKNOWN : c->partial ? BATCH_PARTIAL : BATCH_DONE;
	case OUTCOME_NONE:
		break;
	}
	return m->unlooked ? BATCH_UNKNOWN : BATCH_PENDING;
}

/* What naming a freeze adds to a document, but for the command. */
#define FROZEN_TEXT 48

enum batch_state ledger_state(const struct ledger *l, slot model, ordinal batch)
{
	const struct model_state *m = model_state_of(l, model);
	return show(m, cell_find(m, batch), batch);
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

/* How the last attempt ended. */
static void show_outcome(struct batch_info *out, const struct cell *c, const struct detail *d,
			 const struct answer *answer)
{
	bool done = c->outcome == OUTCOME_DONE;
	out->finished = cell_finished(c);
	out->started = out->finished ? out->finished - (int64_t)c->duration_ms * 1000 : 0;
	out->rows_inserted = !done || c->rows_inserted == ROWS_UNKNOWN ? -1 : (int64_t)c->rows_inserted;
	out->rows_deleted = !done || c->rows_deleted == ROWS_UNKNOWN ? -1 : (int64_t)c->rows_deleted;
	if (done)
		out->rows_outside = c->adopted ? -1 : 0;
	if (answer)
		out->message = answer->message ? answer->message : "";
	if (!d)
		return;
	if (d->rows_inserted >= 0)
		out->rows_inserted = d->rows_inserted;
	if (d->rows_deleted >= 0)
		out->rows_deleted = d->rows_deleted;
	if (d->rows_outside)
		out->rows_outside = d->rows_outside;
	if (d->message || *d->sqlstate) {
		out->sqlstate = d->sqlstate;
		out->message = d->message ? d->message : "";
	}
}

void ledger_info(const struct ledger *l, slot model, ordinal batch, struct batch_info *out)
{
	const struct model_state *m = model_state_of(l, model);
	const struct cell *c = cell_find(m, batch);
	*out = (struct batch_info){.state = show(m, c, batch), .code = "", .sqlstate = "", .message = ""};
	out->rows_deleted = out->rows_inserted = out->rows_outside = -1;
	out->frozen = ledger_frozen(l, model, batch, &out->frozen_at);
	if (!c)
		return;
	const struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	const struct origin_key *origin = origin_of(l, c);
	out->attempt = c->attempt;
	out->built = cell_built(c);
	out->adopted = c->adopted;
	out->by = origin->by;
	out->code = origin->code->code;
	if (out->state == BATCH_RUNNING) {
		out->requested_again = ledger_newest_wanting(l, model, batch) != 0;
		show_running(out, d);
	} else {
		show_outcome(out, c, d, origin->answer);
	}
}

enum batch_state ledger_glance(const struct ledger *l, slot model, ordinal batch, uint32_t *attempt,
			       int64_t *built, size_t *text)
{
	const struct model_state *m = model_state_of(l, model);
	const struct cell *c = cell_find(m, batch);
	const struct requester *frozen = ledger_frozen(l, model, batch, NULL);
	enum batch_state state = show(m, c, batch);
	*attempt = 0;
	*built = 0;
	*text = frozen ? FROZEN_TEXT + strlen(frozen->command) : 0;
	if (!c)
		return state;
	const struct detail *d = c->detail ? detail_find(l, model, batch) : NULL;
	const struct origin_key *origin = origin_of(l, c);
	bool runs = state == BATCH_RUNNING && d;
	*attempt = runs ? d->attempt : c->attempt;
	*built = cell_built(c);
	const struct requester *by = runs ? d->by : origin->by;
	if (by && by->reason)
		*text += strlen(by->reason);
	if (d && d->message)
		*text += strlen(d->message);
	if (origin->answer && origin->answer->message)
		*text += strlen(origin->answer->message);
	return state;
}

ordinal ledger_next_unsettled(const struct ledger *l, slot model, struct ordinal_range range)
{
	const struct model_state *m = model_state_of(l, model);
	if (m->queued == 0 && m->running == 0)
		return range.end;
	return mark_next(l, m, MARK_UNSETTLED, range.first, range.end);
}

ordinal ledger_next_settled(const struct ledger *l, slot model, struct ordinal_range range)
{
	return mark_gap(l, model_state_of(l, model), MARK_UNSETTLED, range.first, range.end);
}

ordinal ledger_next_wrong(const struct ledger *l, slot model, struct ordinal_range range)
{
	return mark_next(l, model_state_of(l, model), MARK_WRONG, range.first, range.end);
}

bool ledger_all_settled(const struct ledger *l, slot model)
{
	const struct model_state *m = model_state_of(l, model);
	return m->queued == 0 && m->running == 0;
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

int64_t ledger_average_rows(const struct ledger *l, slot model)
{
	return model_state_of(l, model)->average_rows;
}

void ledger_build_times(const struct ledger *l, slot model, ordinal batch, int64_t *started,
			int64_t *finished)
{
	const struct cell *c = cell_find(model_state_of(l, model), batch);
	*started = *finished = 0;
	if (!c)
		return;
	/* What failed or was skipped afterwards has left the rows of its last build. */
	*finished = cell_built(c);
	if (c->outcome == OUTCOME_DONE)
		*started = *finished - (int64_t)c->duration_ms * 1000;
}

ordinal ledger_next_built(const struct ledger *l, slot model, struct ordinal_range range, int64_t after)
{
	const struct model_state *m = model_state_of(l, model);
	struct chunk_range chunks = chunks_of(m, range);
	if (m->latest_build <= after)
		return range.end;
	for (size_t i = chunks.first; i < chunks.end; i++) {
		uint32_t mask = m->built[i] > after && m->chunks[i] ? chunk_mask(m, i, range) : 0;
		for (; mask; mask &= mask - 1) {
			int bit = __builtin_ctz(mask);
			if (cell_built(&m->chunks[i]->cells[bit]) > after)
				return m->begin + (ordinal)(i * CELLS_A_CHUNK) + (ordinal)bit;
		}
	}
	return range.end;
}

bool ledger_changed(const struct ledger *l, slot model, ordinal batch)
{
	const struct model_state *m = model_state_of(l, model);
	const struct cell *c = cell_find(m, batch);
	if (!c || !cell_built(c) || c->adopted)
		return false;
	const struct code_entry *code = origin_of(l, c)->code;
	return code && *code->code && strcmp(code->code, m->code) != 0;
}

bool ledger_adopted(const struct ledger *l, slot model, ordinal batch)
{
	const struct cell *c = cell_find(model_state_of(l, model), batch);
	return c && c->adopted;
}

struct ordinal_range ledger_recorded(const struct ledger *l, slot model)
{
	const struct model_state *m = model_state_of(l, model);
	return (struct ordinal_range){m->begin, m->begin + (ordinal)(m->n_chunks * CELLS_A_CHUNK)};
}
