/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What workers report. A done batch is durable before it is reported, so it goes into the
 * ledger at once; any other outcome is shown only when the control thread has recorded it.
 */
#include "backend/schedule/private.h"

#define OUTCOMES_AT_ONCE 256

void outcome_add(struct backend *b, const struct build_report *r, int model, enum settle_kind kind)
{
	struct outcome *o = calloc(1, sizeof *o);
	if (!o) {
		/* The row stays as running: whoever looks next finds it interrupted. */
		log_error(b->config.log, "no memory for an outcome of %s", b->catalog->models[model].dir);
		return;
	}
	if (r->err)
		o->err = *r->err;
	o->out = (struct store_outcome){.kind = kind,
					.model = model,
					.batch = r->batch,
					.attempt = r->attempt,
					.started = r->started,
					.finished = r->finished,
					.sqlstate = o->err.sqlstate,
					.message = o->err.text};
	LOCKED(&b->lock);
	STAILQ_INSERT_TAIL(&b->outcomes, o, link);
	b->woken = true;
	control_wake(b);
}

static size_t take(struct backend *b, struct outcome **taken)
{
	LOCKED(&b->lock);
	size_t n = 0;
	while (n < OUTCOMES_AT_ONCE && !STAILQ_EMPTY(&b->outcomes)) {
		taken[n++] = STAILQ_FIRST(&b->outcomes);
		STAILQ_REMOVE_HEAD(&b->outcomes, link);
	}
	return n;
}

static void put_back(struct backend *b, struct outcome **taken, size_t n)
{
	LOCKED(&b->lock);
	while (n > 0) {
		struct outcome *last = taken[--n];
		STAILQ_INSERT_HEAD(&b->outcomes, last, link);
	}
}

static void show_failed(struct backend *b, const struct store_outcome *o)
{
	struct batch_info was;
	ledger_info(b->ledger, o->model, o->batch, &was);
	struct store_state s = {.model = o->model,
				.batch = o->batch,
				.run = ROW_IDLE,
				.outcome = OUTCOME_FAILED,
				.attempt = o->attempt,
				.started = o->started,
				.finished = o->finished,
				.built = was.built,
				.rows_deleted = -1,
				.rows_inserted = -1,
				.rows_outside = -1,
				.code = b->catalog->models[o->model].code,
				.sqlstate = o->sqlstate,
				.message = o->message};
	ledger_settled(b->ledger, &s);
}

static void show(struct backend *b, const struct store_outcome *o)
{
	{
		LOCKED(&b->lock);
		if (o->result < 0)
			ledger_released(b->ledger, o->model, o->batch);
		else if (o->kind == SETTLE_FAILED)
			show_failed(b, o);
		else
			ledger_requeued(b->ledger, o->model, o->batch);
		touch_model(b, o->model);
	}
	changed(b, o->model, (struct ordinal_range){o->batch, o->batch + 1});
}

int outcomes_settle(struct backend *b, struct error *err)
{
	struct outcome *taken[OUTCOMES_AT_ONCE];
	struct store_outcome outs[OUTCOMES_AT_ONCE];
	size_t n;
	while ((n = take(b, taken)) > 0) {
		for (size_t i = 0; i < n; i++)
			outs[i] = taken[i]->out;
		int r = b->config.engine->store->settle(b->store, outs, n, err);
		if (r < 0) {
			put_back(b, taken, n);
			return r;
		}
		for (size_t i = 0; i < n; i++) {
			show(b, &outs[i]);
			free(taken[i]);
		}
	}
	return 0;
}
