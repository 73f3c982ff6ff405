/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/schedule/meant.h"
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

void outcome_add_locked(struct backend *b, const struct build_report *r, const struct build_run *run,
			enum settle_kind kind)
{
	struct store_outcome out = {.kind = kind,
				    .model = run->model,
				    .batch = r->batch,
				    .attempt = r->attempt,
				    .request = run->request,
				    .started = r->started,
				    .finished = r->finished};
	/* Whoever has asked for this end of it gets it, whatever the builder calls it. */
	if (kind != SETTLE_FAILED && cancel_meant(b, run->model, r->batch, &out.wanted))
		out.kind = SETTLE_CANCELLED;
	cancel_over(b, run->model, r->batch);
	struct outcome *o = outcome_queue(b, &out, r->err);
	if (o)
		o->of_all = r->of_all;
}

void outcome_add(struct backend *b, const struct build_report *r, const struct build_run *run,
		 enum settle_kind kind)
{
	LOCKED(&b->lock);
	outcome_add_locked(b, r, run, kind);
}
