/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated scheduler: its own view of windows and of the queue, and what must hold when a batch is handed
 * out. */
#ifndef BATCHFS_TESTS_PLAN_SIM_H
#define BATCHFS_TESTS_PLAN_SIM_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/plan.h"
#include "tests/unit/models_fixture.h"

#define MODELS	6
#define BATCHES 1056 /* of a model, since its begin: 44 days of hours */
#define JOBS	4
#define BEGIN	INT64_C(1704067200000000) /* 2024-01-01 */

struct sim_batch {
	bool requeued, claimed, begun;
	int64_t wanted, served; /* seq */
	int64_t asked_at;	/* step of the last request */
	uint32_t attempt;
};

struct sim_worker {
	bool busy, prepares;
	struct ledger_run run;
	slot model;
	uint32_t at; /* the batch of the run that is being built */
	int64_t claimed_at;
	uint32_t cancelled;
};

struct sim {
	uint64_t seed, random;
	struct model models[MODELS];
	struct upstream upstreams[MODELS][MODELS];
	char dirs[MODELS][24];
	struct catalog catalog;
	struct models *known;
	struct ledger *ledger;
	struct plan_gate gates[MODELS];
	struct sim_batch batches[MODELS][BATCHES];
	int64_t seq[MODELS];
	struct sim_worker workers[JOBS];
	unsigned jobs, fails; /* one in a hundred */
	size_t turn;
	int64_t step, now, last_request;
};

/* splitmix64 */
static uint32_t below(struct sim *s, uint32_t n)
{
	uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) % n);
}

#define CHECK(s, what)                                                                                       \
	do {                                                                                                 \
		if (!(what))                                                                                 \
			fail_msg("BATCHFS_SEED=%" PRIu64 ": step %" PRId64 ": %s", (s)->seed, (s)->step,     \
				 #what);                                                                     \
	} while (0)

static ordinal first_of(const struct sim *s, slot model)
{
	return calendar_ordinal(s->models[model].batch_size, BEGIN);
}

static uint32_t count_of(const struct sim *s, slot model)
{
	static const uint32_t counts[] = {
		[BATCH_HOUR] = BATCHES, [BATCH_DAY] = 60, [BATCH_MONTH] = 4, [BATCH_YEAR] = 1};
	return counts[s->models[model].batch_size];
}

static struct sim_batch *batch_of(struct sim *s, slot model, ordinal batch)
{
	return &s->batches[model][batch - first_of(s, model)];
}

static bool waits(const struct sim_batch *b)
{
	return b->requeued || b->wanted > b->served;
}

/* Whether batch b of model m reads batch o of model u, by the windows alone. */
static bool reads(const struct sim *s, int m, ordinal b, const struct upstream *u, ordinal o)
{
	enum batch_size mine = s->models[m].batch_size, other = s->models[u->place].batch_size;
	return !u->windowed || (calendar_start(other, o) < calendar_start(mine, b + 1) &&
				calendar_start(mine, b) < calendar_start(other, o + 1));
}

/* Nothing that it reads may wait or run, but for what was asked for after `since`. */
static void check_order(struct sim *s, int m, ordinal b, int64_t since)
{
	const struct model *model = &s->models[m];
	for (size_t i = 0; i < model->n_upstreams; i++) {
		const struct upstream *u = &model->upstreams[i];
		for (uint32_t k = 0; k < count_of(s, u->place); k++) {
			const struct sim_batch *other = &s->batches[u->place][k];
			if ((waits(other) || other->claimed) && reads(s, m, b, u, first_of(s, u->place) + k))
				CHECK(s, other->asked_at > since);
		}
	}
	for (ordinal o = first_of(s, m); model->reads_itself && o < b; o++) {
		const struct sim_batch *older = batch_of(s, m, o);
		CHECK(s, !older->claimed && (!waits(older) || older->asked_at > since));
	}
}

static void check_states(struct sim *s)
{
	for (int m = 0; m < (int)s->catalog.n_models; m++) {
		size_t queued = 0, running = 0;
		for (uint32_t k = 0; k < count_of(s, m); k++) {
			const struct sim_batch *b = &s->batches[m][k];
			enum batch_state state = ledger_state(s->ledger, m, first_of(s, m) + k);
			CHECK(s, (state == BATCH_RUNNING) == b->begun);
			CHECK(s, (state == BATCH_QUEUED) == (!b->begun && (b->claimed || waits(b))));
			queued += waits(b) && (!b->claimed || b->begun);
			running += b->claimed;
		}
		CHECK(s, ledger_queued(s->ledger, m) == queued);
		CHECK(s, ledger_running(s->ledger, m) == running);
	}
}

static void sim_request(struct sim *s, int m, ordinal first, uint32_t n)
{
	int64_t id = ++s->last_request;
	struct store_request_row r = {.id = id,
				      .seq = ++s->seq[m],
				      .model = m,
				      .batches = {first, first + n},
				      .command = "touch",
				      .code = "",
				      .open = true};
	CHECK(s, ledger_put_request(s->ledger, &r) == 0);
	for (ordinal b = first; b < first + n; b++) {
		batch_of(s, m, b)->wanted = r.seq;
		batch_of(s, m, b)->asked_at = s->step;
	}
}

static void random_request(struct sim *s)
{
	int m = (int)below(s, (uint32_t)s->catalog.n_models);
	uint32_t all = count_of(s, m), n = below(s, 3) ? 1 + below(s, all < 40 ? all : 40) : 1;
	sim_request(s, m, first_of(s, m) + below(s, all - n + 1), n);
}

static void begin_batch(struct sim *s, struct sim_worker *w)
{
	ordinal b = w->run.first + w->at;
	check_order(s, w->model, b, w->claimed_at);
	batch_of(s, w->model, b)->begun = true;
	ledger_started(s->ledger, w->model, b, ++s->now);
}

/* What reads a table that is not there starts only where nobody is about to make it. */
static void check_missing(struct sim *s, int u)
{
	for (uint32_t k = 0; s->gates[u].missing && k < count_of(s, u); k++)
		CHECK(s, !waits(&s->batches[u][k]) && !s->batches[u][k].claimed);
}

static void take_run(struct sim *s, struct sim_worker *w, const struct plan_next *next)
{
	const struct model *model = &s->models[next->model];
	bool serial = model->reads_itself || model->concurrent_batches == TRI_FALSE;
	*w = (struct sim_worker){
		.busy = true, .prepares = next->prepare, .run = next->run, .model = next->model};
	w->claimed_at = s->step;
	for (size_t i = 0; i < model->n_upstreams; i++)
		check_missing(s, model->upstreams[i].place);
	CHECK(s, !(serial || next->prepare) || ledger_running(s->ledger, next->model) == 0);
	if (next->prepare) {
		s->gates[next->model].open = false;
		return;
	}
	CHECK(s, next->run.count >= 1 && next->run.count <= CLAIM_MAX);
	for (uint32_t i = 0; i < next->run.count; i++) {
		struct sim_batch *b = batch_of(s, next->model, next->run.first + i);
		CHECK(s, waits(b) && !b->claimed);
		CHECK(s, b->requeued || b->wanted == next->run.wanted);
		check_order(s, next->model, next->run.first + i, s->step);
	}
	for (uint32_t i = 0; i < next->run.count; i++) {
		struct sim_batch *b = batch_of(s, next->model, next->run.first + i);
		b->claimed = true;
		b->requeued = false;
		b->served = s->seq[next->model];
		ledger_claimed(s->ledger, next->model, next->run.first + i, ++b->attempt, b->served,
			       next->run.request);
	}
	begin_batch(s, w);
}

static bool hand_out(struct sim *s)
{
	for (unsigned i = 0; i < s->jobs; i++) {
		if (s->workers[i].busy)
			continue;
		struct plan_next next = plan_next(s->ledger, s->known, s->gates, s->jobs, &s->turn);
		if (next.model < 0)
			break;
		take_run(s, &s->workers[i], &next);
	}
	for (unsigned i = 0; i < s->jobs; i++)
		if (s->workers[i].busy)
			return true;
	return false;
}

#endif
