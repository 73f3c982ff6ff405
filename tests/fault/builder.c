/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "tests/fault/private.h"

static void fault_worker_close(struct worker *w)
{
	if (!w)
		return;
	w->store->engine->builder->worker_close(w->inner);
	free(w);
}

static int fault_worker_open(struct store *s, struct worker **out, struct error *err)
{
	struct worker *w = calloc(1, sizeof *w);
	*out = NULL;
	if (!w)
		return error_set(err, ENOMEM, "no memory");
	w->store = s;
	int r = s->engine->builder->worker_open(s->inner, &w->inner, err);
	if (r < 0)
		free(w);
	else
		*out = w;
	return r;
}

static void enter(struct worker *w)
{
	LOCKED(&w->store->lock);
	w->busy = true;
	w->stop = false;
}

static void leave(struct worker *w)
{
	LOCKED(&w->store->lock);
	w->busy = w->stop = false;
}

static void fault_interrupt(struct worker *w)
{
	{
		LOCKED(&w->store->lock);
		w->stop = w->busy;
		pthread_cond_broadcast(&w->store->changed);
	}
	w->store->engine->builder->interrupt(w->inner);
}

static int fault_prepare(struct worker *w, slot model, struct store_target *target, struct error *err)
{
	struct store *s = w->store;
	enter(w);
	int r = fault_before(s, w, FAULT_PREPARE, err);
	if (r == 0)
		r = fault_after(s, FAULT_PREPARE, s->engine->builder->prepare(w->inner, model, target, err),
				err);
	leave(w);
	return r;
}

static int fault_adopt(struct worker *w, slot model, const struct store_sink *sink, struct error *err)
{
	struct store *s = w->store;
	enter(w);
	int r = fault_before(s, w, FAULT_ADOPT, err);
	if (r == 0)
		r = fault_after(s, FAULT_ADOPT, s->engine->builder->adopt(w->inner, model, sink, err), err);
	leave(w);
	return r;
}

struct passed_on {
	struct worker *w;
	build_report_fn *report;
	void *ctx;
};

/* The engine has begun the batch: that is where a build waits, seen as running, ended by the engine's
 * interrupt(). */
static void pass_on(void *ctx, const struct build_report *r)
{
	const struct passed_on *p = ctx;
	p->report(p->ctx, r);
	if (r->outcome == BUILD_STARTED)
		fault_wait(p->w->store, p->w, FAULT_BUILD, NULL);
}

static bool passes(const char *sqlstate)
{
	static const char classes[][3] = {"08", "40", "53", "55", "57"};
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strncmp(sqlstate, classes[i], 2) == 0)
			return true;
	return false;
}

static void unstarted(const struct build_run *run, uint32_t from, build_report_fn *report, void *ctx)
{
	for (uint32_t i = from; i < run->count; i++) {
		struct build_report r = {
			.outcome = BUILD_UNSTARTED, .batch = run->first + i, .attempt = run->attempt[i]};
		if (r.attempt)
			report(ctx, &r);
	}
}

/* True: the run goes on behind it. */
static bool fail_batch(struct worker *w, const struct build_run *run, uint32_t i, const struct error *why,
		       const struct passed_on *p)
{
	int64_t now = clock_now_us(&(struct clock){0});
	struct build_report r = {.outcome = BUILD_STARTED,
				 .batch = run->first + i,
				 .attempt = run->attempt[i],
				 .started = now,
				 .finished = now,
				 .rows_deleted = -1,
				 .rows_inserted = -1,
				 .rows_outside = -1};
	pass_on((void *)p, &r);
	r.outcome = passes(why->sqlstate) ? BUILD_PASSING : BUILD_FAILED;
	r.err = why;
	p->report(p->ctx, &r);
	return r.outcome == BUILD_FAILED;
}

static int fault_build(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
		       struct error *err)
{
	struct passed_on p = {.w = w, .report = report, .ctx = ctx};
	struct build_run rest = *run;
	uint32_t i = 0;
	int r = 0;
	enter(w);
	for (; i < run->count; i++) {
		struct error why = {0};
		if (!run->attempt[i])
			continue;
		if (fault_fail(w->store, FAULT_BUILD, &why) == 0)
			break;
		if (!why.sqlstate[0]) { /* the call as a whole */
			if (err)
				*err = why;
			unstarted(run, i, report, ctx);
			leave(w);
			return -why.err;
		}
		if (!fail_batch(w, run, i, &why, &p)) {
			unstarted(run, i + 1, report, ctx);
			i = run->count;
		}
	}
	if (i < run->count) {
		rest.first += i;
		rest.count -= i;
		memmove(rest.attempt, rest.attempt + i, rest.count * sizeof *rest.attempt);
		r = w->store->engine->builder->build(w->inner, &rest, pass_on, &p, err);
	}
	leave(w);
	return r;
}

static int fault_history(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
			 void *ctx, struct error *err)
{
	struct store *s = w->store;
	enter(w);
	int r = fault_before(s, w, FAULT_HISTORY, err);
	if (r == 0)
		r = s->engine->builder->history(w->inner, model, most, cursor, tell, ctx, err);
	leave(w);
	return r;
}

static int fault_prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err)
{
	struct store *s = w->store;
	enter(w);
	int r = fault_before(s, w, FAULT_PRUNE, err);
	if (r == 0)
		r = s->engine->builder->prune(w->inner, model, keep, before, err);
	leave(w);
	return r;
}

static int fault_statements(struct store *s, slot model, struct ordinal_range batches, struct strbuf *out,
			    struct error *err)
{
	return s->engine->builder->statements(s->inner, model, batches, out, err);
}

const struct builder_ops fault_builder = {
	.worker_open = fault_worker_open,
	.worker_close = fault_worker_close,
	.prepare = fault_prepare,
	.adopt = fault_adopt,
	.build = fault_build,
	.interrupt = fault_interrupt,
	.history = fault_history,
	.prune = fault_prune,
	.statements = fault_statements,
};
