/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/postgres_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"

ordinal day(int n)
{
	return calendar_ordinal(BATCH_DAY, BEGIN + n * DAY);
}

static void see_request(void *ctx, const struct store_request_row *r)
{
	struct world *w = ctx;
	w->last_request = *r;
	snprintf(w->reason, sizeof w->reason, "%s", r->reason ? r->reason : "");
	w->n_requests++;
}

struct seen_state *state_of(struct world *w, slot model, int n)
{
	return &w->states[model][n];
}

static void see_state(void *ctx, const struct store_state *s)
{
	struct world *w = ctx;
	assert_in_range(s->batch, day(0), day(BATCHES - 1));
	struct seen_state *seen = &w->states[s->model][s->batch - day(0)];
	seen->known = true;
	seen->cancelled |= s->cancelled;
	seen->s = *s;
	snprintf(seen->sqlstate, sizeof seen->sqlstate, "%s", s->sqlstate);
	snprintf(seen->message, sizeof seen->message, "%s", s->message);
}

static void see_freezes(void *ctx, slot model, const struct store_freeze *list, size_t n)
{
	struct world *w = ctx;
	(void)model;
	assert_true(n <= FREEZES);
	w->n_freezes = n;
	for (size_t i = 0; i < n; i++) {
		w->freezes[i] = list[i];
		snprintf(w->freezers[i], sizeof w->freezers[0], "%s", list[i].command);
		w->freezes[i].command = w->freezers[i];
	}
}

static void see_forget(void *ctx, slot model)
{
	struct world *w = ctx;
	memset(w->states[model], 0, sizeof w->states[model]);
	w->forgotten++;
	w->telling[model] = true;
}

static void see_told(void *ctx, slot model)
{
	struct world *w = ctx;
	w->telling[model] = false;
}

static void see_restart(void *ctx)
{
	struct world *w = ctx;
	memset(w->states, 0, sizeof w->states);
	w->n_requests = 0;
	w->anew = true;
}

static void see_restarted(void *ctx)
{
	struct world *w = ctx;
	w->restarts++;
	w->anew = false;
}

static bool see_runs(void *ctx, slot model, ordinal batch, uint32_t attempt)
{
	struct world *w = ctx;
	return w->running;
}

static void see_target(void *ctx, slot model, const struct store_target *target)
{
	struct world *w = ctx;
	w->targets[model] = *target;
}

void world_model(struct world *w, int i, const char *table, const char *compiled, const char *source,
		 const char *event_time)
{
	static const struct relation sources[] = {
		{.schema = (char *)"src",
		 .identifier = (char *)"events",
		 .rendered = (char *)"\"src\".\"events\""},
		{.schema = (char *)"src",
		 .identifier = (char *)"days",
		 .rendered = (char *)"\"src\".\"days\""},
		{.schema = (char *)"src",
		 .identifier = (char *)"local",
		 .rendered = (char *)"\"src\".\"local\""},
	};
	static const char *const none[] = {NULL};
	for (size_t k = 0; k < 3; k++)
		if (strcmp(sources[k].identifier, source) == 0)
			w->inputs[i].relation = sources[k];
	w->inputs[i].unique_id = w->inputs[i].relation.identifier;
	w->inputs[i].event_time = event_time;
	w->inputs[i].filtered = true;
	w->inputs[i].place = -1;
	w->models[i] = (struct model){.dir = table,
				      .name = table,
				      .package = "p",
				      .unique_id = table,
				      .relation = {.schema = (char *)"out", .identifier = (char *)table},
				      .event_time = event_time,
				      .batch_size = BATCH_DAY,
				      .begin = BEGIN,
				      .compiled = compiled,
				      .unique_key = (const char **)none,
				      .code = "c0de",
				      .inputs = &w->inputs[i],
				      .n_inputs = 1};
	w->facts[i] = &w->models[i];
	if (w->n_models < (size_t)i + 1)
		w->n_models = (size_t)i + 1;
}

static void see_answered(void *ctx, slot model, ordinal batch, uint32_t attempt, int64_t served)
{
	struct world *w = ctx;
	(void)model;
	(void)batch;
	w->answered = served;
}

static void see_known(void *ctx, slot model, struct store_known known)
{
	struct world *w = ctx;
	if (model == 0 && known.seq > w->known.seq)
		w->known = known;
}

static void see_answer(void *ctx, const struct store_answer *a)
{
	struct world *w = ctx;
	w->last_answer = *a;
	snprintf(w->why, sizeof w->why, "%s", a->message);
	w->n_answers++;
}

static void see_refresh(void *ctx, const struct store_refresh *r)
{
	struct world *w = ctx;
	w->refresh = *r;
	snprintf(w->refresh_error, sizeof w->refresh_error, "%s", r->error);
	w->refresh.error = w->refresh_error;
	w->n_refreshes++;
}

void world_init(struct world *w)
{
	*w = (struct world){.clock = clock_starting_at(BEGIN + 5 * DAY + DAY / 2),
			    .log = {.level = LOG_LEVEL_ERROR}};
	w->config = (struct engine_config){.log = &w->log, .clock = &w->clock, .timeout_s = 10};
	w->sink = (struct store_sink){.ctx = w,
				      .request = see_request,
				      .known = see_known,
				      .state = see_state,
				      .answer = see_answer,
				      .answered = see_answered,
				      .forget = see_forget,
				      .told = see_told,
				      .freezes = see_freezes,
				      .refresh = see_refresh,
				      .restart = see_restart,
				      .restarted = see_restarted,
				      .runs = see_runs,
				      .target = see_target};
	world_model(w, 0, "fct", "select ts, k, v from \"src\".\"events\"", "events", "ts");
}

void world_source(void)
{
	sql("create schema src; create table src.events (ts timestamptz, k int, v text);"
	    "insert into src.events select timestamptz '2024-09-01 00:00+00' + d * interval '1 day' + k * "
	    "interval '2 hours',"
	    " k, 'v' from generate_series(0, 4) d, generate_series(0, 9) k; create index on src.events (ts)");
}

void world_open(struct world *w)
{
	struct error err = {0};
	int r = engine_postgres.store->open(&w->config, &w->store, &err);
	if (!r)
		r = engine_postgres.store->enlist(w->store, w->facts, w->targets, w->n_models, &err);
	if (!r)
		r = engine_postgres.store->load(w->store, &w->sink, &err);
	if (!r)
		r = engine_postgres.builder->worker_open(w->store, "worker", &w->worker, &err);
	if (r)
		fail_msg("%d: %s", r, err.text);
}

void world_close(struct world *w)
{
	for (size_t i = 0; i < MODELS; i++)
		assert_false(w->telling[i]);
	engine_postgres.builder->worker_close(w->worker);
	engine_postgres.store->close(w->store);
	w->store = NULL;
	w->worker = NULL;
}

void world_prepare(struct world *w, slot model)
{
	struct error err = {0};
	if (engine_postgres.builder->prepare(w->worker, model, true, &w->targets[model], &err))
		fail_msg("%s", err.text);
	if (w->targets[model].why_not.err)
		fail_msg("%s", w->targets[model].why_not.text);
}

int request_days(struct world *w, slot model, int first, int end, int expected, uint32_t attempt,
		 int64_t *seq)
{
	struct store_request q = {.model = model,
				  .batches = {day(first), day(end)},
				  .expected = expected,
				  .expected_attempt = attempt,
				  .uid = 7,
				  .command = "touch",
				  .at = clock_now_us(&w->clock)};
	assert_int_equal(getrandom(q.uuid, sizeof q.uuid, 0), sizeof q.uuid);
	struct error err = {0};
	if (engine_postgres.store->request(w->store, &q, 1, NULL, &err))
		fail_msg("%s", err.text);
	if (seq)
		*seq = q.seq;
	return q.result;
}

uint32_t claim_days(struct world *w, slot model, int first, int count, struct store_claim *c)
{
	struct error err = {0};
	*c = (struct store_claim){.model = model,
				  .first = day(first),
				  .count = (uint32_t)count,
				  .request = 1,
				  .wanted = INT64_MAX,
				  .started = clock_now_us(&w->clock)};
	if (engine_postgres.store->claim(w->store, c, 1, &err))
		fail_msg("%s", err.text);
	uint32_t granted = 0;
	for (int i = 0; i < count; i++)
		granted += c->attempt[i] != 0;
	return granted;
}

static void see_report(void *ctx, const struct build_report *r)
{
	struct world *w = ctx;
	int i = (int)(r->batch - day(0));
	if (r->outcome == BUILD_STARTED) {
		w->started++;
		return;
	}
	w->outcomes[i] = r->outcome;
	w->reports[i] = *r;
	w->errors[i] = r->err ? *r->err : (struct error){0};
}

int world_build(struct world *w, const struct build_run *run, struct error *err)
{
	w->started = 0;
	return engine_postgres.builder->build(w->worker, run, see_report, w, err);
}

int build_claim(struct world *w, const struct store_claim *c)
{
	struct error err = {0};
	struct build_run run = {
		.model = c->model, .first = c->first, .count = c->count, .request = c->request};
	memcpy(run.attempt, c->attempt, sizeof run.attempt);
	return world_build(w, &run, &err);
}

int settle_day(struct world *w, slot model, int n, uint32_t attempt, enum settle_kind kind)
{
	struct error err = {0};
	int64_t now = clock_now_us(&w->clock);
	struct store_outcome o = {.kind = kind,
				  .model = model,
				  .batch = day(n),
				  .attempt = attempt,
				  .started = now - 1000000,
				  .finished = now,
				  .sqlstate = w->errors[n].sqlstate,
				  .message = w->errors[n].text};
	if (engine_postgres.store->settle(w->store, &o, 1, &err))
		fail_msg("%s", err.text);
	return o.result;
}

uint32_t build_days(struct world *w, slot model, int first, int count, struct store_claim *c)
{
	uint32_t granted = claim_days(w, model, first, count, c);
	assert_int_equal(build_claim(w, c), 0);
	return granted;
}

int world_fresh(void **state)
{
	server_database();
	world_source();
	struct world *w = calloc(1, sizeof *w);
	world_init(w);
	*state = w;
	return 0;
}

int world_fresh_open(void **state)
{
	world_fresh(state);
	world_open(*state);
	return 0;
}

struct world *world_another(void)
{
	struct world *other = calloc(1, sizeof *other);
	world_init(other);
	world_open(other);
	return other;
}

void world_another_gone(struct world *other)
{
	world_close(other);
	free(other);
}

void world_follow_both(struct world *w, struct world *other)
{
	struct error err = {0};
	assert_int_equal(engine_postgres.store->follow(w->store, 0, &w->sink, &err), 0);
	assert_int_equal(engine_postgres.store->follow(other->store, 1000, &other->sink, &err), 0);
}

int world_gone(void **state)
{
	struct world *w = *state;
	if (w->store)
		world_close(w);
	free(w);
	return 0;
}
