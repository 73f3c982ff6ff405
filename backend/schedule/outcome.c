/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/schedule/meant.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/runtime.h"

struct outcome *outcome_new(const struct backend *b, const struct store_outcome *out, const struct error *err)
{
	struct outcome *o = calloc(1, sizeof *o);
	if (!o) {
		/* The row stays as it is: whoever looks next finds it interrupted, or queued. */
		log_error(b->config.log, "no memory for an outcome of %s", dir_of(b, out->model));
		return NULL;
	}
	if (err)
		o->err = *err;
	o->out = *out;
	o->out.known = b->runtime[out->model].known.seq;
	o->out.count = out->count ? out->count : 1;
	o->out.sqlstate = o->err.sqlstate;
	o->out.message = o->err.text;
	return o;
}

struct outcome *outcome_queue(struct backend *b, const struct store_outcome *out, const struct error *err)
{
	struct outcome *o = outcome_new(b, out, err);
	if (!o)
		return NULL;
	STAILQ_INSERT_TAIL(&b->outcomes, o, link);
	b->woken = true;
	control_wake(b);
	return o;
}

bool outcome_join(struct outcome *last, const struct requester *by, const struct ledger_waiting *w)
{
	struct store_outcome *o = last ? &last->out : NULL;
	if (!o || last->put_back || w->put_back || !o->wanted || by != w->by || o->last != w->attempt ||
	    o->batch + o->count != w->batches.first)
		return false;
	o->count += w->batches.end - w->batches.first;
	if (w->wanted < o->lowest)
		o->lowest = w->wanted;
	if (w->wanted > o->wanted)
		o->wanted = w->wanted;
	return true;
}

static struct outcome *add(struct backend *b, const struct build_report *r, const struct build_run *run,
			   enum settle_kind kind)
{
	struct store_outcome out = {.kind = kind,
				    .model = run->model,
				    .batch = r->batch,
				    .attempt = r->attempt,
				    .request = run->request,
				    .started = r->started,
				    .finished = r->finished,
				    .rows_deleted = r->rows_deleted,
				    .rows_inserted = r->rows_inserted,
				    .rows_outside = r->rows_outside};
	int64_t answered = 0;
	bool meant = kind != SETTLE_FAILED && cancel_meant(b, run->model, r->batch, &answered);
	/* Whoever has asked for this end of it gets it, whatever the builder calls it. What is built is
	 * built.
	 */
	if (meant && kind != SETTLE_DONE) {
		out.kind = SETTLE_CANCELLED;
		out.wanted = answered;
	}
	cancel_over(b, run->model, r->batch);
	struct outcome *o = outcome_queue(b, &out, r->err);
	if (!o)
		return NULL;
	o->spared = kind;
	o->of_all = r->of_all;
	o->weight = r->weight;
	o->too_late = meant && kind == SETTLE_DONE;
	o->answered = answered;
	return o;
}

void outcome_add_locked(struct backend *b, const struct build_report *r, const struct build_run *run,
			enum settle_kind kind)
{
	add(b, r, run, kind);
}

void outcome_add(struct backend *b, const struct build_report *r, const struct build_run *run,
		 enum settle_kind kind)
{
	LOCKED(&b->lock);
	add(b, r, run, kind);
}

void outcome_done(struct backend *b, const struct build_report *r, const struct build_run *run,
		  const char *code)
{
	LOCKED(&b->lock);
	struct outcome *o = add(b, r, run, SETTLE_DONE);
	if (!o)
		return;
	snprintf(o->code, sizeof o->code, "%s", code);
	o->out.code = o->code;
}
