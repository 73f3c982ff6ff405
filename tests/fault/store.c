/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "tests/fault/private.h"

/* Written by fault_wrap() before there are threads. */
static struct {
	const struct engine *inner;
	struct store_ops store;
} wrapped[FAULT_ENGINES];

static void fault_close(struct store *s)
{
	if (!s)
		return;
	s->engine->store->close(s->inner);
	fault_rules_fini(&s->rules);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int open_wrapped(const struct engine *inner, const struct engine_config *config, struct store **out,
			struct error *err)
{
	*out = NULL;
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return error_set(err, ENOMEM, "no memory");
	pthread_condattr_t monotonic;
	s->engine = inner;
	s->log = config->log;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int r = fault_before(s, NULL, FAULT_OPEN, err);
	if (r == 0)
		r = inner->store->open(config, &s->inner, err);
	r = fault_after(s, FAULT_OPEN, r, err);
	if (r < 0)
		fault_close(s);
	else
		*out = s;
	return r;
}

/* The ops table has no context: an engine an index. */
#define OPEN(i)                                                                                              \
	static int open_##i(const struct engine_config *config, struct store **out, struct error *err)       \
	{                                                                                                    \
		return open_wrapped(wrapped[i].inner, config, out, err);                                     \
	}
OPEN(0)
OPEN(1)
OPEN(2)
OPEN(3)

static int fault_enlist(struct store *s, struct store_target *targets, size_t n, struct error *err)
{
	int r = fault_before(s, NULL, FAULT_ENLIST, err);
	return r < 0 ? r
		     : fault_after(s, FAULT_ENLIST, s->engine->store->enlist(s->inner, targets, n, err), err);
}

static int fault_load(struct store *s, const struct store_sink *sink, struct error *err)
{
	int r = fault_before(s, NULL, FAULT_LOAD, err);
	return r < 0 ? r : fault_after(s, FAULT_LOAD, s->engine->store->load(s->inner, sink, err), err);
}

static int fault_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err)
{
	int r = fault_before(s, NULL, FAULT_FOLLOW, err);
	return r < 0 ? r
		     : fault_after(s, FAULT_FOLLOW, s->engine->store->follow(s->inner, timeout_ms, sink, err),
				   err);
}

static void fault_wake(struct store *s)
{
	s->engine->store->wake(s->inner);
}

static void fault_abandon(struct store *s)
{
	{
		LOCKED(&s->lock);
		s->abandoned = true;
		pthread_cond_broadcast(&s->changed);
	}
	s->engine->store->abandon(s->inner);
}

static int fault_request(struct store *s, struct store_request *requests, size_t n, struct error *err)
{
	int r = fault_before(s, NULL, FAULT_REQUEST, err);
	return r < 0 ? r
		     : fault_after(s, FAULT_REQUEST, s->engine->store->request(s->inner, requests, n, err),
				   err);
}

static int fault_claim(struct store *s, struct store_claim *claims, size_t n, struct error *err)
{
	int r = fault_before(s, NULL, FAULT_CLAIM, err);
	return r < 0 ? r
		     : fault_after(s, FAULT_CLAIM, s->engine->store->claim(s->inner, claims, n, err), err);
}

static int fault_settle(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err)
{
	int r = fault_before(s, NULL, FAULT_SETTLE, err);
	return r < 0 ? r
		     : fault_after(s, FAULT_SETTLE, s->engine->store->settle(s->inner, outcomes, n, err),
				   err);
}

static int fault_retire(struct store *s, const int64_t *ids, size_t n, struct error *err)
{
	int r = fault_before(s, NULL, FAULT_RETIRE, err);
	return r < 0 ? r : fault_after(s, FAULT_RETIRE, s->engine->store->retire(s->inner, ids, n, err), err);
}

static const struct store_ops fault_store = {
	.close = fault_close,
	.enlist = fault_enlist,
	.load = fault_load,
	.follow = fault_follow,
	.wake = fault_wake,
	.abandon = fault_abandon,
	.request = fault_request,
	.claim = fault_claim,
	.settle = fault_settle,
	.retire = fault_retire,
};

int fault_wrap(const struct engine *inner, struct engine *out)
{
	static int (*const opens[])(const struct engine_config *, struct store **,
				    struct error *) = {open_0, open_1, open_2, open_3};
	for (size_t i = 0; i < FAULT_ENGINES; i++) {
		if (wrapped[i].inner && wrapped[i].inner != inner)
			continue;
		wrapped[i].inner = inner;
		wrapped[i].store = fault_store;
		wrapped[i].store.open = opens[i];
		*out = *inner;
		out->store = &wrapped[i].store;
		out->builder = &fault_builder;
		return 0;
	}
	return -ENOSPC;
}
