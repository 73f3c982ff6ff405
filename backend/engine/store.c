/* SPDX-License-Identifier: Apache-2.0 */
/* The wrappers of a store's ops. */
#include <stdlib.h>

#include "backend/base/count.h"
#include "backend/engine/private.h"
#include "backend/kinds.h"

/* What of a call is the engine's to fill. */
static int open_inner(struct open_store *s, const struct engine_config *config, struct error *err)
{
	struct engine_call call = {
		.op = OP_OPEN, .engine = s->engine, .log = s->log, .begun = clock_monotonic_us()};
	int r = call_before(&call, err);
	if (r == 0) {
		/* Before anything is made: it says whether the mount was given what is there. */
		if (s->engine->guest)
			r = s->engine->guest->ops->open(config, &s->guest, err);
		if (r == 0)
			r = s->engine->store->open(config, &s->store, err);
		if (r == 0 && !s->store)
			r = broken_contract(s->log, err, "open answered 0 without a store");
	}
	return call_leave(&call, r, err);
}

int store_open(const struct engine *engine, const struct engine_config *config, struct open_store **out,
	       struct error *err)
{
	*out = NULL;
	struct open_store *s = calloc(1, sizeof *s);
	if (!s)
		return error_set(err, ENOMEM, "no memory");
	s->engine = engine;
	s->config = *config;
	s->config.guest = engine->guest;
	s->config.elsewhere = engine->elsewhere;
	s->log = config->log;
	s->read_only = config->read_only;
	s->control = pthread_self();
	pthread_mutex_init(&s->lock, NULL);
	int r = open_inner(s, &s->config, err);
	if (r < 0)
		store_close(s);
	else
		*out = s;
	return r;
}

void store_close(struct open_store *s)
{
	if (!s)
		return;
	if (s->busy || s->workers)
		broken_contract(s->log, NULL, "close while %s",
				s->busy ? "a call is under way" : "workers are open");
	if (s->engine->guest)
		s->engine->guest->ops->close(s->guest);
	s->engine->store->close(s->store);
	facts_drop(s);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void store_take_control(struct open_store *s)
{
	LOCKED(&s->lock);
	if (s->busy)
		broken_contract(s->log, NULL, "control is taken over while a call is under way");
	s->control = pthread_self();
}

/* With a result of 0: the store is that far. */
static void reached(struct open_store *s, enum store_phase phase, int r)
{
	LOCKED(&s->lock);
	if (r == 0 && s->phase < phase)
		s->phase = phase;
}

int store_enlist(struct open_store *s, const struct model *const *models, struct store_target *targets,
		 size_t n, struct error *err)
{
	struct engine_call call;
	int r = store_enter(s, &call, OP_ENLIST, PHASE_OPEN, err);
	call_about(&call, "%s", count_of(n, "model", "models").text);
	if (r == 0)
		r = s->engine->store->enlist(s->store, models, targets, n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		facts_refuse(s, models[i], &targets[i]);
	if (r == 0)
		r = facts_take(s, models, n, err);
	r = call_leave(&call, r, err);
	reached(s, PHASE_ENLISTED, r);
	return r;
}

int store_load(struct open_store *s, const struct store_sink *sink, struct error *err)
{
	struct engine_call call;
	int r = store_enter(s, &call, OP_LOAD, PHASE_ENLISTED, err);
	if (r == 0)
		r = s->engine->store->load(s->store, sink, err);
	r = call_leave(&call, r, err);
	reached(s, PHASE_LOADED, r);
	return r;
}

int store_follow(struct open_store *s, int timeout_ms, const struct store_sink *sink, struct error *err)
{
	struct engine_call call;
	int r = store_enter(s, &call, OP_FOLLOW, PHASE_LOADED, err);
	if (r == 0)
		r = s->engine->store->follow(s->store, timeout_ms, sink, err);
	return call_leave(&call, r, err);
}

int store_check(struct open_store *s, const struct store_sink *sink, struct error *err)
{
	struct engine_call call;
	int r = store_enter(s, &call, OP_CHECK, PHASE_LOADED, err);
	if (r == 0)
		r = s->engine->store->check(s->store, sink, err);
	return call_leave(&call, r, err);
}

void store_wake(struct open_store *s)
{
	s->engine->store->wake(s->store);
}

void store_abandon(struct open_store *s)
{
	{
		LOCKED(&s->lock);
		s->abandoned = true;
	}
	s->engine->store->abandon(s->store);
	if (s->engine->guest)
		s->engine->guest->ops->abandon(s->guest);
}

static int requests_good(const struct open_store *s, const struct store_request *requests, size_t n,
			 struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct store_request *r = &requests[i];
		const struct request_traits *traits = request_traits(r->kind);
		if (traits->scope != SCOPE_REQUEST &&
		    (r->batches.first < r->batches.end) != (traits->scope == SCOPE_RANGE))
			return broken_contract(
				s->log, err, "a request to %s model %d that names %s", traits->word, r->model,
				count_of(r->batches.end - r->batches.first, "batch", "batches").text);
	}
	return 0;
}

int store_request(struct open_store *s, struct store_request *requests, size_t n, struct store_claim *claim,
		  struct error *err)
{
	struct engine_call call;
	int r = requests_good(s, requests, n, err);
	if (r < 0)
		return r;
	r = store_enter(s, &call, OP_REQUEST, PHASE_LOADED, err);
	call_about(&call, "%zu, the first to %s model %d", n, n ? request_traits(requests[0].kind)->word : "",
		   n ? requests[0].model : -1);
	if (r == 0)
		/* Under a layer a claim comes alone, so that it can be held up alone. */
		r = s->engine->store->request(s->store, requests, n, s->engine->layer ? NULL : claim, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (requests[i].result > 0)
			r = broken_contract(s->log, err, "request %zu was answered %d", i,
					    requests[i].result);
	return call_leave(&call, r, err);
}

static int claims_good(const struct open_store *s, const struct store_claim *claims, size_t n,
		       struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (claims[i].count == 0 || claims[i].count > CLAIM_MAX)
			return broken_contract(s->log, err, "a claim of %s",
					       count_of(claims[i].count, "batch", "batches").text);
	return 0;
}

int store_claim(struct open_store *s, struct store_claim *claims, size_t n, struct error *err)
{
	struct engine_call call;
	int r = claims_good(s, claims, n, err);
	if (r < 0)
		return r;
	r = store_enter(s, &call, OP_CLAIM, PHASE_LOADED, err);
	call_about(&call, "%zu, the first of model %d from %lld on, %s", n, n ? claims[0].model : -1,
		   n ? (long long)claims[0].first : 0,
		   count_of(n ? claims[0].count : 0, "batch", "batches").text);
	if (r == 0)
		r = s->engine->store->claim(s->store, claims, n, err);
	return call_leave(&call, r, err);
}

int store_settle(struct open_store *s, struct store_outcome *outcomes, size_t n, struct error *err)
{
	struct engine_call call;
	int r = store_enter(s, &call, OP_SETTLE, PHASE_LOADED, err);
	call_about(&call, "%s, the first of model %d", count_of(n, "outcome", "outcomes").text,
		   n ? outcomes[0].model : -1);
	if (r == 0)
		r = s->engine->store->settle(s->store, outcomes, n, err);
	return call_leave(&call, r, err);
}

int store_retire(struct open_store *s, const int64_t *ids, size_t n, struct error *err)
{
	struct engine_call call;
	int r = store_enter(s, &call, OP_RETIRE, PHASE_LOADED, err);
	call_about(&call, "%s", count_of(n, "request", "requests").text);
	if (r == 0)
		r = s->engine->store->retire(s->store, ids, n, err);
	return call_leave(&call, r, err);
}

int store_forget_answers(struct open_store *s, const int64_t *ids, size_t n, struct error *err)
{
	struct engine_call call;
	int r = store_enter(s, &call, OP_FORGET_ANSWERS, PHASE_LOADED, err);
	call_about(&call, "%zu answers", n);
	if (r == 0)
		r = s->engine->store->forget_answers(s->store, ids, n, err);
	return call_leave(&call, r, err);
}

int store_refresh(struct open_store *s, struct refresh_step *step, const struct store_sink *sink,
		  struct error *err)
{
	struct engine_call call;
	if (s->read_only || step->from == step->to || step->from == REFRESH_OVER)
		return broken_contract(s->log, err, "a step of a full refresh from phase %d to %d%s",
				       step->from, step->to,
				       s->read_only ? ", of a store that is read only" : "");
	int r = store_enter(s, &call, OP_REFRESH, PHASE_LOADED, err);
	call_about(&call, "of model %d from phase %d to %d", step->model, step->from, step->to);
	if (r == 0)
		r = s->engine->store->refresh(s->store, step, sink, err);
	return call_leave(&call, r, err);
}

int store_recode(struct open_store *s, slot model, const char *was, const struct store_sink *sink,
		 struct error *err)
{
	struct engine_call call;
	if (s->read_only)
		return broken_contract(s->log, err, "recode of a store that is read only");
	int r = store_enter(s, &call, OP_RECODE, PHASE_LOADED, err);
	call_about(&call, "model %d, which had %s", model, was);
	if (r == 0)
		r = s->engine->store->recode(s->store, model, was, sink, err);
	return call_leave(&call, r, err);
}

int store_orphans(struct open_store *s, struct store_orphan *list, size_t n, struct error *err)
{
	struct engine_call call;
	if (s->read_only)
		return broken_contract(s->log, err, "orphans of a store that is read only");
	int r = store_enter(s, &call, OP_ORPHANS, PHASE_LOADED, err);
	call_about(&call, "%s", count_of(n, "request", "requests").text);
	if (r == 0)
		r = s->engine->store->orphans(s->store, list, n, err);
	return call_leave(&call, r, err);
}

int store_recall(struct open_store *s, const struct compiled_sql *asked, size_t n, compiled_sql_fn *tell,
		 void *ctx, struct error *err)
{
	struct engine_call call;
	if (s->read_only)
		return broken_contract(s->log, err, "recall from a store that is read only");
	int r = store_enter(s, &call, OP_RECALL, PHASE_OPEN, err);
	call_about(&call, "%s", count_of(n, "model", "models").text);
	if (r == 0)
		r = s->engine->store->recall(s->store, asked, n, tell, ctx, err);
	return call_leave(&call, r, err);
}

int store_remember(struct open_store *s, const struct compiled_sql *list, size_t n, struct error *err)
{
	struct engine_call call;
	if (s->read_only)
		return broken_contract(s->log, err, "remember in a store that is read only");
	int r = store_enter(s, &call, OP_REMEMBER, PHASE_LOADED, err);
	call_about(&call, "%s", count_of(n, "model", "models").text);
	if (r == 0)
		r = s->engine->store->remember(s->store, list, n, err);
	return call_leave(&call, r, err);
}
