/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/plan.h"

/* A run is claimed with one commit and ends with one look at the queue: as much work as makes that cheap,
 * and not so much that another model, or a cancel, waits long for its turn. */
#define RUN_TARGET_US 600000

struct scope {
	const struct ledger *ledger;
	const struct models *models;
};

bool plan_serial(const struct model *m)
{
	return m->reads_itself || m->concurrent_batches == TRI_FALSE || m->n_hooks;
}

struct ordinal_range plan_reads(const struct ledger *l, const struct models *ms, slot model, ordinal batch,
				const struct model_read *read)
{
	enum batch_size size = models_batch_size(ms, model);
	if (!read->windowed)
		return ledger_recorded(l, read->model);
	return calendar_touched(models_batch_size(ms, read->model), calendar_start(size, batch),
				calendar_start(size, batch + 1));
}

/* The batches of the reader that read one of these batches of `model`. */
static struct ordinal_range read_by(const struct ledger *l, const struct models *ms, slot model,
				    const struct model_read *reader, struct ordinal_range batches)
{
	enum batch_size size = models_batch_size(ms, model);
	if (!reader->windowed)
		return ledger_recorded(l, reader->model);
	return calendar_touched(models_batch_size(ms, reader->model), calendar_start(size, batches.first),
				calendar_start(size, batches.end));
}

/* No batch from this one on may start. */
#define NEVER UINT32_MAX

/* While what this batch reads of one input has not settled: the first later one for which that may be
 * otherwise, past all that wait for the same stretch of the input. Else the batch. */
static ordinal past_input(const struct ledger *l, const struct models *ms, slot model, ordinal batch,
			  const struct model_read *read)
{
	if (!read->windowed)
		return ledger_all_settled(l, read->model) ? batch : NEVER;
	struct ordinal_range reads = plan_reads(l, ms, model, batch, read);
	ordinal unsettled = ledger_next_unsettled(l, read->model, reads);
	if (unsettled >= reads.end)
		return batch;
	ordinal settled = ledger_next_settled(l, read->model, (struct ordinal_range){unsettled, NEVER});
	if (settled == NEVER)
		return NEVER;
	ordinal next = calendar_ordinal(models_batch_size(ms, model),
					calendar_start(models_batch_size(ms, read->model), settled));
	return next > batch ? next : batch + 1;
}

/* While the table is to be made anew, nothing may start but the batch that it is made with, and that alone.
 */
static ordinal past_refresh(const struct ledger *l, slot model, ordinal batch)
{
	if (ledger_refresh(l, model)->phase != REFRESH_FIRST)
		return batch;
	ordinal first = ledger_refresh_first(l, model);
	bool waits = batch <= first && ledger_running(l, model) == 0 &&
		     ledger_refresh_made(l, model) == FIRST_OPEN;
	return waits ? first : NEVER;
}

/* The batch, if it may start; else a later one, before which none may. */
static ordinal ready_from(const struct ledger *l, const struct models *ms, slot model, ordinal batch)
{
	size_t n;
	const struct model_read *reads = models_reads(ms, model, &n);
	struct ordinal_range frozen = ledger_next_frozen(l, model, (struct ordinal_range){batch, NEVER});
	ordinal next = frozen.first == batch ? frozen.end : batch;
	/* What was asked for before the begin has moved on is for a mount whose manifest still tells of it.
	 */
	ordinal begin = calendar_ordinal(models_batch_size(ms, model), models_at(ms, model)->begin);
	next = begin > next ? begin : next;
	ordinal past = past_refresh(l, model, batch);
	next = past > next ? past : next;
	struct ordinal_range older = {ledger_recorded(l, model).first, batch};
	if (models_at(ms, model)->reads_itself && older.first < older.end &&
	    ledger_next_unsettled(l, model, older) < older.end)
		return NEVER;
	for (size_t i = 0; i < n; i++) {
		past = reads[i].model == model ? batch : past_input(l, ms, model, batch, &reads[i]);
		if (past > next)
			next = past;
	}
	return next;
}

bool plan_ready(const struct ledger *l, const struct models *ms, slot model, ordinal batch)
{
	return ready_from(l, ms, model, batch) == batch;
}

void plan_readers(const struct ledger *l, const struct models *ms, slot model, struct ordinal_range batches,
		  plan_reader_fn *fn, void *ctx)
{
	struct ordinal_range known = ledger_recorded(l, model);
	if (models_at(ms, model)->reads_itself && batches.first + 1 < known.end)
		fn(ctx, model, (struct ordinal_range){batches.first + 1, known.end}, false);
	size_t n;
	const struct model_read *readers = models_readers(ms, model, &n);
	for (size_t i = 0; i < n; i++)
		if (readers[i].model != model)
			fn(ctx, readers[i].model, read_by(l, ms, model, &readers[i], batches),
			   readers[i].windowed);
}

bool plan_stale(const struct ledger *l, const struct models *ms, slot model, ordinal batch, plan_cause_fn *fn,
		void *ctx)
{
	size_t n;
	const struct model_read *inputs = models_reads(ms, model, &n);
	int64_t began, ended;
	bool stale = false;
	if (n == 0)
		return false;
	bool adopted = ledger_adopted(l, model, batch);
	ledger_build_times(l, model, batch, &began, &ended);
	for (size_t i = 0; i < n && began; i++) {
		const struct model_read *u = &inputs[i];
		if (!u->windowed || u->model == model)
			continue;
		struct ordinal_range reads = plan_reads(l, ms, model, batch, u);
		for (; (reads.first = ledger_next_built(l, u->model, reads, began)) < reads.end &&
		       !(stale && !fn);
		     reads.first++) {
			/* Of two that were adopted nobody knows which was built first. */
			if (adopted && ledger_adopted(l, u->model, reads.first))
				continue;
			stale = true;
			if (fn)
				fn(ctx, u->model, reads.first);
		}
	}
	return stale;
}

bool plan_in_set(const struct ledger *l, slot model, ordinal batch, enum batch_state state, unsigned set)
{
	return !set || (set >> state & 1) != 0 ||
	       ((set & SET_CHANGED) != 0 && ledger_changed(l, model, batch));
}

bool plan_is_in_set(const struct ledger *l, const struct models *ms, slot model, ordinal batch, unsigned set)
{
	return plan_in_set(l, model, batch, plan_state(l, ms, model, batch), set);
}

enum batch_state plan_state(const struct ledger *l, const struct models *ms, slot model, ordinal batch)
{
	enum batch_state state = ledger_state(l, model, batch);
	return state == BATCH_DONE && plan_stale(l, ms, model, batch, NULL, NULL) ? BATCH_STALE : state;
}

/* Of batches whose time is not known yet, where a run may be long. */
#define UNMEASURED 10
/* Where a run is short anyway, a longer one makes no claim cheaper, and what it holds others wait for. */
#define SHORT_RUN_MOST 32

static uint32_t run_length(const struct ledger *l, slot model, const struct plan_gate *gate, unsigned jobs)
{
	int64_t average = ledger_average_us(l, model), n = gate->run_most;
	if (average < 0 && !n)
		n = gate->run_us ? UNMEASURED : 1;
	else if (!n)
		n = (gate->run_us ? gate->run_us : RUN_TARGET_US) / (average > 0 ? average : 1);
	int64_t share = ((int64_t)ledger_queued(l, model) + jobs - 1) / jobs;
	if (n > share)
		n = share;
	int64_t most = gate->run_us || gate->run_most ? CLAIM_MAX : SHORT_RUN_MOST;
	if (n > most)
		n = most;
	return n < 1 ? 1 : (uint32_t)n;
}

/* With nothing of it queued nobody will make it: the reader's own error says so best. */
static bool waits_for_target(const struct ledger *l, const struct models *ms, slot model,
			     const struct plan_gate *gates)
{
	size_t n;
	const struct model_read *reads = models_reads(ms, model, &n);
	for (size_t i = 0; i < n; i++) {
		slot u = reads[i].model;
		if (u != model && gates[u].missing && ledger_queued(l, u) + ledger_running(l, u) > 0)
			return true;
	}
	return false;
}

static ordinal ready(const void *ctx, slot model, ordinal batch)
{
	const struct scope *s = ctx;
	return ready_from(s->ledger, s->models, model, batch);
}

struct plan_next plan_next(struct ledger *l, const struct models *ms, const struct plan_gate *gates,
			   unsigned jobs, size_t *turn)
{
	const struct scope scope = {.ledger = l, .models = ms};
	struct plan_next next = {.model = -1};
	size_t n = (size_t)models_end(ms);
	for (size_t i = 0; i < n; i++) {
		slot model = (slot)((*turn + i) % n);
		const struct model *m = models_at(ms, model);
		bool held = (gates[model].unprepared && gates[model].busy) ||
			    (plan_serial(m) && ledger_running(l, model) > 0);
		if (!gates[model].open || ledger_queued(l, model) == 0 || held ||
		    waits_for_target(l, ms, model, gates))
			continue;
		/* The claimed batches of a run that reads itself come one after the other: one is ready at a
		 * time. */
		uint32_t most = gates[model].unprepared ? 1 : run_length(l, model, &gates[model], jobs);
		next.run = ledger_next_run(l, model, most, ready, &scope);
		if (next.run.count == 0)
			continue;
		next.prepare = gates[model].unprepared;
		next.model = model;
		*turn = (size_t)model + 1;
		return next;
	}
	return next;
}

struct ordinal_range plan_existing(const struct model *m, int64_t now)
{
	if (m->begin > now)
		return (struct ordinal_range){0, 0};
	return (struct ordinal_range){calendar_ordinal(m->batch_size, m->begin),
				      calendar_ordinal(m->batch_size, now) + 1};
}

const char *plan_run_reason(const struct model *m, enum batch_state state, ordinal batch, ordinal newest)
{
	switch (state) {
	case BATCH_PENDING:
	case BATCH_FAILED:
	case BATCH_SKIPPED:
	case BATCH_PARTIAL:
	case BATCH_STALE:
		return batch_state_name(state);
	case BATCH_DONE:
		return newest - batch <= (ordinal)m->lookback ? "lookback" : NULL;
	case BATCH_RUNNING:
	case BATCH_QUEUED:
	case BATCH_UNKNOWN:
	case BATCH_STATES:
		break;
	}
	return NULL;
}
