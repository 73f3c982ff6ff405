/* SPDX-License-Identifier: Apache-2.0 */
/* The wrappers of a builder's ops. */
#include <stdlib.h>
#include <string.h>

#include "backend/base/count.h"
#include "backend/engine/private.h"
#include "backend/kinds.h"

int builder_worker_open(struct open_store *s, const char *lane, struct open_worker **out, struct error *err)
{
	*out = NULL;
	struct open_worker *w = calloc(1, sizeof *w);
	if (!w)
		return error_set(err, ENOMEM, "no memory");
	int r = s->engine->builder->worker_open(s->store, lane, &w->worker, err);
	if (r < 0) {
		free(w);
		return r;
	}
	w->store = s;
	w->lane = lane;
	w->owner = pthread_self();
	pthread_mutex_init(&w->lock, NULL);
	*out = w;
	LOCKED(&s->lock);
	s->workers++;
	return 0;
}

void builder_worker_close(struct open_worker *w)
{
	if (!w)
		return;
	struct open_store *s = w->store;
	if (!pthread_equal(w->owner, pthread_self()))
		broken_contract(s->log, NULL, "a worker is closed by a thread that is not its own");
	if (w->guest)
		s->engine->guest->ops->worker_close(w->guest);
	s->engine->builder->worker_close(w->worker);
	pthread_mutex_destroy(&w->lock);
	free(w);
	LOCKED(&s->lock);
	s->workers--;
}

/* The guest's half of the worker. */
static int guest_half(struct open_worker *w, struct guest_worker **out, struct error *err)
{
	struct open_store *s = w->store;
	struct guest_worker *guest = w->guest;
	int r = guest ? 0 : s->engine->guest->ops->worker_open(s->guest, w->lane, &guest, err);
	if (r < 0)
		return r;
	LOCKED(&w->lock);
	*out = w->guest = guest;
	return 0;
}

int builder_prepare(struct open_worker *w, slot model, bool make, struct store_target *target,
		    struct error *err)
{
	struct engine_call call;
	int r = builder_enter(w, &call, OP_PREPARE, err);
	call_about(&call, "of model %d", model);
	if (r == 0)
		r = call.engine->builder->prepare(w->worker, model, make, target, err);
	if (r == 0) {
		const struct model *m = facts_hold(w->store, model);
		facts_refuse(w->store, m, target);
		model_drop(m);
	}
	return call_leave(&call, r, err);
}

/* The table is one of another warehouse. Only who has adopt= has to know whether anybody has looked at it:
 * prepare() refuses a model that cannot be built, and its states are shown like any other's. */
static int look_elsewhere(struct open_worker *w, slot model, enum look_kind kind,
			  const struct store_sink *sink, struct error *err)
{
	const struct engine *e = w->store->engine;
	struct found_windows found = {0};
	struct guest_worker *guest;
	const struct model *m = facts_hold(w->store, model);
	struct store_target target = {0};
	bool told = false, ask = kind == LOOK_FIRST && w->store->config.adopt;
	int r = ask ? e->builder->prepare(w->worker, model, false, &target, err) : 0;
	if (r == 0 && ask && !target.met)
		r = e->guest->ops->adopt(w->store->guest, m, &found, &told, err);
	if (r == 0 && !told)
		r = guest_half(w, &guest, err);
	if (r == 0 && !told)
		r = e->guest->ops->find(guest, m, &found, err);
	if (r == 0)
		r = e->builder->record(w->worker, model, kind, &found, sink, err);
	free(found.batches);
	model_drop(m);
	return r;
}

int builder_look(struct open_worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
		 struct error *err)
{
	struct engine_call call;
	int r = builder_enter(w, &call, OP_LOOK, err);
	call_about(&call, "of model %d, %s", model,
		   kind == LOOK_FIRST	? "first"
		   : kind == LOOK_ASKED ? "asked for"
					: "by the clock");
	if (r == 0)
		r = call.engine->elsewhere ? look_elsewhere(w, model, kind, sink, err)
					   : call.engine->builder->look(w->worker, model, kind, sink, err);
	return call_leave(&call, r, err);
}

static const struct builder_traits *traits_of(struct open_store *s, slot model)
{
	const struct model *m = facts_hold(s, model);
	const struct builder_traits *traits = m ? engine_builder(s->engine, m) : &s->engine->native;
	model_drop(m);
	return traits;
}

int builder_clear(struct open_worker *w, struct clear_step *step, struct error *err)
{
	struct engine_call call;
	if (w->store->read_only)
		return broken_contract(w->store->log, err, "clear of a store that is read only");
	if (traits_of(w->store, step->model)->refresh_anew)
		return broken_contract(w->store->log, err, "clear where the table is made anew");
	int r = builder_enter(w, &call, OP_CLEAR, err);
	call_about(&call, "of model %d, refresh %lld", step->model, (long long)step->id);
	if (r == 0)
		r = call.engine->builder->clear(w->worker, step, err);
	return call_leave(&call, r, err);
}

int builder_beside(struct open_worker *w, struct beside_step *step, struct error *err)
{
	struct engine_call call;
	if (w->store->read_only)
		return broken_contract(w->store->log, err, "beside of a store that is read only");
	int r = builder_enter(w, &call, OP_BESIDE, err);
	call_about(&call, "of model %d, refresh %lld", step->model, (long long)step->id);
	if (r == 0)
		r = call.engine->builder->beside(w->worker, step, err);
	return call_leave(&call, r, err);
}

/* What has been reported of a run. */
struct watched_run {
	const struct build_run *run;
	const struct log *log;
	const struct clock *clock;
	build_report_fn *report;
	void *ctx;
	struct run_marks started, ended, done;
};

/* NULL: the report keeps the contract. */
static const char *wrong_with(const struct watched_run *x, const struct build_report *r)
{
	if (r->batch < x->run->first || r->batch - x->run->first >= x->run->count)
		return "is of no batch of the run";
	uint32_t i = (uint32_t)(r->batch - x->run->first);
	if (r->attempt == 0 || r->attempt != x->run->attempt[i])
		return "is of another attempt";
	if (r->outcome == BUILD_RETRACTED)
		return run_marked(&x->done, i) ? NULL : "takes back what was not done";
	if (run_marked(&x->ended, i))
		return "comes after the batch's outcome";
	if (r->outcome == BUILD_STARTED && run_marked(&x->started, i))
		return "says again that the batch has begun";
	return NULL;
}

static void watch(void *ctx, const struct build_report *r)
{
	struct watched_run *x = ctx;
	const char *wrong = wrong_with(x, r);
	if (wrong) {
		broken_contract(x->log, NULL, "build: a report %s: %s, batch %lld, attempt %u", wrong,
				build_traits(r->outcome)->word, (long long)r->batch, r->attempt);
		return;
	}
	run_mark(build_traits(r->outcome)->final ? &x->ended : &x->started, r->batch - x->run->first);
	if (r->outcome == BUILD_DONE)
		run_mark(&x->done, r->batch - x->run->first);
	static const struct error no_reason = {.err = EIO, .text = "an internal fault: no reason was given"};
	struct build_report whole = *r;
	if (build_traits(r->outcome)->reason && !r->err)
		whole.err = &no_reason;
	/* The history shows an end of what was never begun, too. */
	if (r->outcome == BUILD_UNSTARTED && !r->finished)
		whole.started = whole.finished = clock_now_us(x->clock);
	x->report(x->ctx, &whole);
}

/* A batch without an outcome would be shown as running for ever. */
static void report_forgotten(struct watched_run *x)
{
	for (uint32_t i = 0; i < x->run->count; i++) {
		uint32_t attempt = x->run->attempt[i];
		if (attempt == 0 || run_marked(&x->ended, i))
			continue;
		broken_contract(x->log, NULL, "build ended without an outcome of batch %lld, attempt %u",
				(long long)(x->run->first + i), attempt);
		build_leave_out(x->run, i, NULL, watch, x);
	}
}

/* A run that has nobody who could build it. */
static void leave_out(const struct build_run *run, build_report_fn *report, void *ctx)
{
	for (uint32_t i = 0; i < run->count; i++)
		build_leave_out(run, i, NULL, report, ctx);
}

int engine_call_build(const struct engine_call *call, const struct build_run *run, build_report_fn *report,
		      void *ctx, struct error *err)
{
	struct open_worker *w = call->worker;
	struct guest_worker *guest;
	const struct model *m = facts_hold(w->store, run->model);
	int r = 0;
	if (run->facts && !(m && facts_same_builder(w->store, run->facts, m))) {
		leave_out(run, report, ctx);
	} else if (!facts_guest(w->store, m)) {
		r = call->engine->builder->build(w->worker, run, report, ctx, err);
	} else {
		r = guest_half(w, &guest, err);
		if (r == 0)
			r = call->engine->guest->ops->build(guest, m, run, report, ctx, err);
		else
			leave_out(run, report, ctx);
	}
	model_drop(m);
	return r;
}

int builder_build(struct open_worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
		  struct error *err)
{
	struct engine_call call;
	struct watched_run x = {.run = run,
				.log = w->store->log,
				.clock = w->store->config.clock,
				.report = report,
				.ctx = ctx};
	const struct engine_layer *layer = w->store->engine->layer;
	if (run->count == 0 || run->count > CLAIM_MAX || (run->anew && run->count > 1))
		return broken_contract(w->store->log, err, "a run of %s",
				       count_of(run->count, "batch", "batches").text);
	int r = builder_enter(w, &call, OP_BUILD, err);
	call_about(&call, "of model %d from %lld on, %s", run->model, (long long)run->first,
		   count_of(run->count, "batch", "batches").text);
	if (r == 0)
		r = layer ? layer->build(layer, &call, run, watch, &x, err)
			  : engine_call_build(&call, run, watch, &x, err);
	report_forgotten(&x);
	return call_leave(&call, r, err);
}

/* Only one of the halves works at a time; an interrupt changes nothing for the other. */
void builder_interrupt(struct open_worker *w)
{
	struct guest_worker *guest;
	{
		LOCKED(&w->lock);
		w->interrupted = w->busy;
		guest = w->guest;
	}
	if (guest)
		w->store->engine->guest->ops->interrupt(guest);
	if (w->store->engine->builder->interrupt)
		w->store->engine->builder->interrupt(w->worker);
}

int builder_history(struct open_worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
		    void *ctx, struct error *err)
{
	struct engine_call call;
	int r = builder_enter(w, &call, OP_HISTORY, err);
	call_about(&call, "of model %d, since %s", model, *cursor ? *cursor : "the beginning");
	if (r == 0)
		r = call.engine->builder->history(w->worker, model, most, cursor, tell, ctx, err);
	return call_leave(&call, r, err);
}

int builder_prune(struct open_worker *w, slot model, size_t keep, int64_t before, struct error *err)
{
	struct engine_call call;
	if (w->store->read_only)
		return broken_contract(w->store->log, err, "prune of a store that is read only");
	int r = builder_enter(w, &call, OP_PRUNE, err);
	call_about(&call, "of model %d", model);
	if (r == 0)
		r = call.engine->builder->prune(w->worker, model, keep, before, err);
	return call_leave(&call, r, err);
}

int builder_validate(struct open_worker *w, slot model, struct ordinal_range batches, struct tally *out,
		     struct error *err)
{
	struct engine_call call;
	if (engine_looks(w->store->engine)->no_validation)
		return broken_contract(w->store->log, err, "validate of an engine that does not");
	int r = builder_enter(w, &call, OP_VALIDATE, err);
	call_about(&call, "of model %d from %lld on", model, (long long)batches.first);
	if (r == 0)
		r = call.engine->builder->validate(w->worker, model, batches, out, err);
	return call_leave(&call, r, err);
}

int builder_keep_validations(struct open_worker *w, struct store_validation *list, size_t n,
			     struct error *err)
{
	struct engine_call call;
	if (w->store->read_only || engine_looks(w->store->engine)->no_validation)
		return broken_contract(w->store->log, err,
				       "keep_validations of a store that is read only, or keeps none");
	int r = builder_enter(w, &call, OP_KEEP_VALIDATIONS, err);
	call_about(&call, "%zu of them", n);
	if (r == 0)
		r = call.engine->builder->keep_validations(w->worker, list, n, err);
	return call_leave(&call, r, err);
}

int builder_statements(struct open_store *s, slot model, struct ordinal_range batches, struct strbuf *out,
		       struct error *err)
{
	{
		LOCKED(&s->lock);
		if (s->phase < PHASE_ENLISTED)
			return broken_contract(s->log, err, "statements before enlist");
	}
	const struct model *m = facts_hold(s, model);
	int r = facts_guest(s, m) ? s->engine->guest->ops->statements(s->guest, m, batches, out, err)
				  : s->engine->builder->statements(s->store, model, batches, out, err);
	model_drop(m);
	return r;
}
