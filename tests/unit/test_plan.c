/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan and ledger under a simulated scheduler over generated graphs. What the simulation knows of windows
 * and of the queue it knows by itself. A failing round prints its seed: BATCHFS_SEED=N runs it alone.
 */
#include "tests/unit/plan_sim.h"

#define ROUNDS 3000

static void skip_readers(struct sim *s, int m, ordinal batch);

static void skip_range(void *ctx, int m, struct ordinal_range batches, bool windowed)
{
	struct sim *s = ctx;
	(void)windowed;
	for (ordinal b = batches.first; b < batches.end; b++) {
		struct store_outcome o = {
			.kind = SETTLE_SKIPPED, .model = m, .batch = b, .message = "it reads"};
		if (!ledger_waits(s->ledger, m, b, &o.request, &o.wanted))
			continue;
		o.finished = ++s->now;
		CHECK(s, ledger_skipped(s->ledger, &o) == 0);
		struct sim_batch *x = batch_of(s, m, b);
		x->requeued = false;
		x->served = o.wanted > x->served ? o.wanted : x->served;
		CHECK(s, !waits(x));
		CHECK(s, ledger_state(s->ledger, m, b) == BATCH_SKIPPED);
		skip_readers(s, m, b);
	}
}

static void skip_readers(struct sim *s, int m, ordinal batch)
{
	plan_readers(s->ledger, s->known, m, (struct ordinal_range){batch, batch + 1}, skip_range, s);
}

/* What reads a failed batch and waited is skipped, by the simulation's own windows. */
static void check_skipped(struct sim *s, int m, ordinal batch)
{
	for (int r = 0; r < (int)s->catalog.n_models; r++)
		for (size_t i = 0; i < s->models[r].n_upstreams; i++)
			for (uint32_t k = 0; k < count_of(s, r); k++) {
				const struct sim_batch *b = &s->batches[r][k];
				if (s->models[r].upstreams[i].place == m && waits(b) && !b->claimed)
					CHECK(s, !reads(s, r, first_of(s, r) + k, &s->models[r].upstreams[i],
							batch));
			}
}

/* Those of the run from w->at on go back: never begun, or ended in passing. */
static void put_back(struct sim *s, struct sim_worker *w)
{
	for (; w->at < w->run.count; w->at++) {
		struct sim_batch *b = batch_of(s, w->model, w->run.first + w->at);
		b->claimed = b->begun = false;
		b->requeued = true;
		ledger_requeued(s->ledger, w->model, w->run.first + w->at);
	}
	w->busy = false;
}

static void put_outcome(struct sim *s, struct sim_worker *w, enum row_outcome outcome)
{
	ordinal batch = w->run.first + w->at;
	struct sim_batch *b = batch_of(s, w->model, batch);
	static const int64_t durations[] = {1, 2000, 60000, 3000000};
	struct store_state st = {.model = w->model,
				 .batch = batch,
				 .outcome = outcome,
				 .attempt = b->attempt,
				 .started = s->now,
				 .built = outcome == OUTCOME_DONE ? s->now : 0,
				 .code = "",
				 .sqlstate = "",
				 .message = outcome == OUTCOME_DONE ? "" : "no"};
	s->now += durations[below(s, 4)];
	st.finished = s->now;
	b->claimed = b->begun = false;
	CHECK(s, ledger_settled(s->ledger, &st) == 0);
}

static void cancel_attempt(struct sim *s, struct sim_worker *w)
{
	struct store_outcome o = {.kind = SETTLE_CANCELLED, .model = w->model, .batch = w->run.first + w->at};
	struct sim_batch *b = batch_of(s, w->model, o.batch);
	o.attempt = b->attempt;
	o.wanted = ledger_newest_wanting(s->ledger, w->model, o.batch);
	ledger_cancelled(s->ledger, &o);
	b->claimed = b->begun = false;
	b->served = o.wanted > b->served ? o.wanted : b->served;
}

static void end_one(struct sim *s, struct sim_worker *w)
{
	ordinal batch = w->run.first + w->at;
	uint32_t luck = below(s, 100);
	if (w->prepares) {
		s->gates[w->model] = (struct plan_gate){.open = true};
		w->busy = false;
	} else if (w->cancelled >> w->at & 1) {
		cancel_attempt(s, w);
		w->at++;
		put_back(s, w);
	} else if (luck < s->fails) {
		put_outcome(s, w, OUTCOME_FAILED);
		w->at++;
		put_back(s, w);
		skip_readers(s, w->model, batch);
		check_skipped(s, w->model, batch);
	} else if (luck >= 98) {
		put_back(s, w);
	} else {
		put_outcome(s, w, OUTCOME_DONE);
		w->busy = ++w->at < w->run.count;
		if (w->busy)
			begin_batch(s, w);
	}
}

static void random_cancel(struct sim *s)
{
	int m = (int)below(s, (uint32_t)s->catalog.n_models);
	struct store_outcome o = {.kind = SETTLE_CANCELLED, .model = m};
	o.batch = first_of(s, m) + below(s, count_of(s, m));
	struct sim_batch *b = batch_of(s, m, o.batch);
	for (unsigned i = 0; i < s->jobs; i++) {
		struct sim_worker *w = &s->workers[i];
		if (w->busy && !w->prepares && w->model == m && o.batch - w->run.first < w->run.count)
			w->cancelled |= UINT32_C(1) << (o.batch - w->run.first);
	}
	if (!ledger_waits(s->ledger, m, o.batch, &o.request, &o.wanted))
		return;
	ledger_cancelled(s->ledger, &o);
	b->requeued = false;
	b->served = o.wanted > b->served ? o.wanted : b->served;
}

static void sim_init(struct sim *s, uint64_t seed, size_t n_models)
{
	*s = (struct sim){.seed = seed, .random = seed, .jobs = 1, .now = BEGIN + INT64_C(31536000000000)};
	s->catalog = (struct catalog){.models = s->models, .n_models = n_models};
	for (size_t i = 0; i < n_models; i++) {
		s->gates[i].open = true;
		snprintf(s->dirs[i], sizeof s->dirs[i], "m%zu", i);
		s->models[i] = (struct model){.dir = s->dirs[i],
					      .batch_size = BATCH_DAY,
					      .begin = BEGIN,
					      .concurrent_batches = TRI_UNSET,
					      .upstreams = s->upstreams[i]};
	}
}

static void sim_generate(struct sim *s, uint64_t seed)
{
	sim_init(s, seed, 1);
	s->catalog.n_models = 1 + below(s, MODELS);
	sim_init(s, seed, s->catalog.n_models);
	s->random ^= UINT64_C(0x5bd1e995);
	s->jobs = 1 + below(s, JOBS);
	s->fails = below(s, 3) * 8;
	for (size_t i = 0; i < s->catalog.n_models; i++) {
		struct model *m = &s->models[i];
		static const enum batch_size sizes[] = {BATCH_HOUR, BATCH_DAY, BATCH_DAY, BATCH_MONTH,
							BATCH_YEAR};
		m->batch_size = sizes[below(s, 5)];
		m->reads_itself = below(s, 5) == 0;
		m->concurrent_batches = below(s, 4) == 0 ? TRI_FALSE : TRI_UNSET;
		s->gates[i].unprepared = below(s, 2);
		s->gates[i].missing = s->gates[i].unprepared && below(s, 2);
		for (size_t j = 0; j < i; j++)
			if (below(s, 3) == 0)
				s->upstreams[i][m->n_upstreams++] =
					(struct upstream){.place = (int)j, .windowed = below(s, 5) > 0};
	}
}

/* The models are what they will be. */
static void sim_start(struct sim *s)
{
	s->known = models_of(&s->catalog);
	s->ledger = ledger_new();
	assert_non_null(s->ledger);
	for (slot m = 0; m < models_end(s->known); m++)
		assert_int_equal(ledger_enlist(s->ledger, m, &s->models[m]), 0);
}

static void sim_free(struct sim *s)
{
	ledger_free(s->ledger);
	models_free(s->known);
	free(s);
}

static void round_of(uint64_t seed)
{
	struct sim *s = malloc(sizeof *s);
	assert_non_null(s);
	sim_generate(s, seed);
	sim_start(s);
	unsigned requests = 1 + below(s, 6);
	bool busy = true;
	for (; busy || requests; s->step++) {
		CHECK(s, s->step < 20000);
		if (requests && below(s, 12) == 0) {
			random_request(s);
			requests--;
		}
		if (below(s, 30) == 0)
			random_cancel(s);
		busy = hand_out(s);
		if (s->step % 16 == 0)
			check_states(s);
		struct sim_worker *w = &s->workers[below(s, s->jobs)];
		if (w->busy)
			end_one(s, w);
	}
	check_states(s);
	for (int m = 0; m < (int)s->catalog.n_models; m++)
		CHECK(s, ledger_queued(s->ledger, m) == 0 && ledger_running(s->ledger, m) == 0);
	sim_free(s);
}

static void any_graph(void **state)
{
	const char *seed = getenv("BATCHFS_SEED");
	(void)state;
	for (uint64_t i = 1; i <= (seed ? 1 : ROUNDS); i++)
		round_of(seed ? strtoull(seed, NULL, 10) : i);
}

/* How many runs one worker is given until it gets this batch. */
static int turns_until(struct sim *s, slot model, ordinal batch)
{
	for (int turns = 1; turns < 100; turns++) {
		struct sim_worker *w = &s->workers[0];
		struct plan_next next = plan_next(s->ledger, s->known, s->gates, s->jobs, &s->turn);
		assert_true(next.model >= 0);
		take_run(s, w, &next);
		if (next.model == model && batch >= next.run.first && batch < next.run.first + next.run.count)
			return turns;
		while (w->busy) {
			put_outcome(s, w, OUTCOME_DONE);
			w->busy = ++w->at < w->run.count;
			if (w->busy)
				begin_batch(s, w);
		}
	}
	return 100;
}

static struct sim *two_models(void)
{
	struct sim *s = malloc(sizeof *s);
	assert_non_null(s);
	sim_init(s, 1, 2);
	s->models[0].batch_size = BATCH_HOUR;
	return s;
}

static void one_batch_is_not_behind_many(void **state)
{
	struct sim *s = two_models();
	(void)state;
	sim_start(s);
	ordinal hour = first_of(s, 0);
	sim_request(s, 0, hour, 1000);
	assert_int_equal(turns_until(s, 0, hour), 1);
	sim_request(s, 0, hour + 1040, 1);
	assert_in_range(turns_until(s, 0, hour + 1040), 1, 2);
	sim_free(s);
}

static void one_model_is_not_behind_another(void **state)
{
	struct sim *s = two_models();
	(void)state;
	sim_start(s);
	sim_request(s, 0, first_of(s, 0), 1000);
	assert_int_equal(turns_until(s, 0, first_of(s, 0)), 1);
	sim_request(s, 1, first_of(s, 1) + 50, 1);
	assert_in_range(turns_until(s, 1, first_of(s, 1) + 50), 1, 2);
	sim_free(s);
}

/* As dbt's order would have it: the day that was asked for last waits for its own hours only. */
static void a_day_waits_for_its_own_hours(void **state)
{
	struct sim *s = two_models();
	(void)state;
	s->upstreams[1][0] = (struct upstream){.place = 0, .windowed = true};
	s->models[1].n_upstreams = 1;
	sim_start(s);
	ordinal day = first_of(s, 1), hour = first_of(s, 0);
	sim_request(s, 0, hour + 24, 24);
	sim_request(s, 1, day, 3);
	assert_true(plan_ready(s->ledger, s->known, 1, day));
	assert_false(plan_ready(s->ledger, s->known, 1, day + 1));
	assert_true(plan_ready(s->ledger, s->known, 1, day + 2));
	s->upstreams[1][0].windowed = false;
	models_free(s->known);
	s->known = models_of(&s->catalog);
	assert_false(plan_ready(s->ledger, s->known, 1, day + 2));
	sim_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_graph),
		cmocka_unit_test(one_batch_is_not_behind_many),
		cmocka_unit_test(one_model_is_not_behind_another),
		cmocka_unit_test(a_day_waits_for_its_own_hours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
