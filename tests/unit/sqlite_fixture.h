/* SPDX-License-Identifier: Apache-2.0 */
/* A warehouse in a directory of its own and a catalog made by hand, for the tests of the SQLite engine. */
#ifndef BATCHFS_TESTS_SQLITE_FIXTURE_H
#define BATCHFS_TESTS_SQLITE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "backend/base/cleanup.h"
#include "backend/batch_state.h"
#include "backend/engine.h"

#define DAY_2024_09_01 INT64_C(1725148800000000)
#define SEEN_MAX       64
#define FREEZES_MAX    16

struct seen {
	struct store_state states[SEEN_MAX];
	char message[SEEN_MAX][256], code[SEEN_MAX][32];
	size_t n, requests, forgotten;
	bool telling;				 /* forgotten, and not all told yet */
	struct store_request_row request;	 /* the last one */
	struct store_freeze freeze[FREEZES_MAX]; /* as last reported */
	char freezer[FREEZES_MAX][16];
	size_t freezes;
	struct store_refresh refresh;
	char refresh_error[100];
	size_t refreshes;
	struct store_answer answers[8];
	char why[8][64];
	size_t n_answers, targets;
	struct store_target target; /* as last told of */
};

struct reports {
	struct build_report list[2 * SEEN_MAX];
	struct error err[2 * SEEN_MAX];
	size_t n;
	void (*on_started)(void *arg);
	void *arg;
};

struct fixture {
	char dir[64], file[96];
	struct input input;
	struct model model[2];
	size_t n_models;
	const struct model *models[2]; /* by slot */
	struct clock clock;
	struct engine_config config;
	const struct engine *engine;
	struct store *store;
	struct worker *worker;
	struct store_target target[2];
	struct error err;
	struct seen seen;
	struct reports reports;
};

static inline void put_request(void *ctx, const struct store_request_row *r)
{
	struct seen *seen = ctx;
	seen->request = *r;
	seen->requests++;
}

static inline void put_state(void *ctx, const struct store_state *s)
{
	struct seen *seen = ctx;
	assert_true(seen->n < SEEN_MAX);
	snprintf(seen->message[seen->n], sizeof seen->message[0], "%s", s->message);
	snprintf(seen->code[seen->n], sizeof seen->code[0], "%s", s->code);
	seen->states[seen->n++] = *s;
}

static inline void put_answer(void *ctx, const struct store_answer *a)
{
	struct seen *seen = ctx;
	assert_true(seen->n_answers < 8);
	snprintf(seen->why[seen->n_answers], sizeof seen->why[0], "%s", a->message);
	seen->answers[seen->n_answers++] = *a;
}

static inline void put_forget(void *ctx, slot model)
{
	struct seen *seen = ctx;
	seen->forgotten++;
	seen->telling = true;
	seen->n = 0;
}

static inline void put_told(void *ctx, slot model)
{
	struct seen *seen = ctx;
	seen->telling = false;
}

static inline void put_freezes(void *ctx, slot model, const struct store_freeze *list, size_t n)
{
	struct seen *seen = ctx;
	assert_true(n <= FREEZES_MAX);
	seen->freezes = n;
	for (size_t i = 0; i < n; i++) {
		seen->freeze[i] = list[i];
		snprintf(seen->freezer[i], sizeof seen->freezer[0], "%s", list[i].command);
		seen->freeze[i].command = seen->freezer[i];
	}
}

static inline void put_refresh(void *ctx, const struct store_refresh *r)
{
	struct seen *seen = ctx;
	seen->refresh = *r;
	snprintf(seen->refresh_error, sizeof seen->refresh_error, "%s", r->error);
	seen->refresh.error = seen->refresh_error;
	seen->refreshes++;
}

static inline void put_target(void *ctx, slot model, const struct store_target *target)
{
	struct seen *seen = ctx;
	seen->target = *target;
	seen->targets++;
}

static inline struct store_sink sink_of(struct fixture *f)
{
	assert_false(f->seen.telling);
	memset(&f->seen, 0, sizeof f->seen);
	return (struct store_sink){.ctx = &f->seen,
				   .request = put_request,
				   .state = put_state,
				   .answer = put_answer,
				   .forget = put_forget,
				   .told = put_told,
				   .target = put_target,
				   .freezes = put_freezes,
				   .refresh = put_refresh};
}

static inline void put_report(void *ctx, const struct build_report *r)
{
	struct reports *reports = ctx;
	assert_true(reports->n < 2 * SEEN_MAX);
	reports->list[reports->n] = *r;
	if (r->err)
		reports->err[reports->n] = *r->err;
	reports->n++;
	if (r->outcome == BUILD_STARTED && reports->on_started)
		reports->on_started(reports->arg);
}

/* Runs SQL as a user's own shell would, in a connection of its own; the first column of the last row. */
static inline int64_t shell(struct fixture *f, const char *sql)
{
	sqlite3 *db = NULL;
	int64_t value = -1;
	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	for (const char *next = sql; next && *next;) {
		sqlite3_stmt *stmt = NULL;
		if (sqlite3_prepare_v2(db, next, -1, &stmt, &next) != SQLITE_OK)
			fail_msg("%s: %s", sql, sqlite3_errmsg(db));
		while (stmt && sqlite3_step(stmt) == SQLITE_ROW)
			value = sqlite3_column_int64(stmt, 0);
		if (sqlite3_finalize(stmt) != SQLITE_OK)
			fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	}
	sqlite3_close(db);
	return value;
}

/* A day model `out` that copies `events`(id, ts). */
static inline int fixture_new(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	snprintf(f->dir, sizeof f->dir, "/tmp/batchfs-sqlite-XXXXXX");
	if (!f || !mkdtemp(f->dir))
		return -1;
	snprintf(f->file, sizeof f->file, "%s/w.db", f->dir);
	/* An empty file is an empty warehouse. */
	FILE *empty = fopen(f->file, "w");
	if (!empty || fclose(empty))
		return -1;
	f->engine = &engine_sqlite;
	f->input = (struct input){
		.unique_id = "model.p.events",
		.relation = {.identifier = (char *)"events", .rendered = (char *)"\"w\".\"main\".\"events\""},
		.event_time = "ts",
		.filtered = true,
		.place = -1,
	};
	f->model[0] = (struct model){
		.dir = "out",
		.name = "out",
		.package = "p",
		.unique_id = "model.p.out",
		.relation = {.identifier = (char *)"out", .rendered = (char *)"\"w\".\"main\".\"out\""},
		.event_time = "ts",
		.batch_size = BATCH_DAY,
		.begin = DAY_2024_09_01,
		.compiled = "select id, ts from \"w\".\"main\".\"events\"",
		.code = "0123456789abcdef",
		.inputs = &f->input,
		.n_inputs = 1,
	};
	f->model[1] = f->model[0];
	f->n_models = 1;
	f->models[0] = &f->model[0];
	f->models[1] = &f->model[1];
	f->config = (struct engine_config){.clock = &f->clock, .database = f->file, .timeout_s = 1};
	*state = f;
	return 0;
}

static inline void disconnect(struct fixture *f)
{
	if (f->worker)
		f->engine->builder->worker_close(f->worker);
	if (f->store)
		f->engine->store->close(f->store);
	f->worker = NULL;
	f->store = NULL;
}

static inline int fixture_free(void **state)
{
	struct fixture *f = *state;
	char command[128];
	disconnect(f);
	snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
	int r = system(command);
	free(f);
	return r;
}

#define GOOD(call)                                                                                           \
	do {                                                                                                 \
		int good_ = (call);                                                                          \
		if (good_ < 0)                                                                               \
			fail_msg("%s: %d %s", #call, good_, f->err.text);                                    \
	} while (0)

/* open, enlist, load into f->seen, and a worker */
static inline void connect_all(struct fixture *f)
{
	disconnect(f);
	GOOD(f->engine->store->open(&f->config, &f->store, &f->err));
	GOOD(f->engine->store->enlist(f->store, f->models, f->target, f->n_models, &f->err));
	struct store_sink sink = sink_of(f);
	GOOD(f->engine->store->load(f->store, &sink, &f->err));
	GOOD(f->engine->builder->worker_open(f->store, "worker", &f->worker, &f->err));
}

static inline void events(struct fixture *f)
{
	shell(f, "CREATE TABLE events(id INTEGER, ts TEXT);"
		 "INSERT INTO events VALUES (1, '2024-09-01'), (2, '2024-09-01 23:59:59.5'), (3, '2024-09-02 "
		 "00:00:00'),"
		 " (4, '2024-09-03 12:00:00');");
}

static inline ordinal day(const struct fixture *f, int n)
{
	return calendar_ordinal(BATCH_DAY, DAY_2024_09_01) + (ordinal)n;
}

static inline struct store_request ask(struct fixture *f, unsigned char uuid, ordinal first, ordinal end)
{
	struct store_request r = {.kind = REQUEST_BUILD,
				  .batches = {first, end},
				  .expected = -1,
				  .uid = 7,
				  .command = "touch",
				  .reason = "because",
				  .at = DAY_2024_09_01};
	r.uuid[0] = uuid;
	GOOD(f->engine->store->request(f->store, &r, 1, NULL, &f->err));
	return r;
}

static inline struct build_run claim(struct fixture *f, const struct store_request *r)
{
	struct store_claim c = {.first = r->batches.first,
				.count = r->batches.end - r->batches.first,
				.request = r->id,
				.wanted = r->seq,
				.started = DAY_2024_09_01};
	GOOD(f->engine->store->claim(f->store, &c, 1, &f->err));
	struct build_run run = {.first = c.first, .count = c.count, .request = c.request};
	memcpy(run.attempt, c.attempt, sizeof run.attempt);
	return run;
}

static inline int build(struct fixture *f, const struct build_run *run)
{
	f->reports.n = 0;
	return f->engine->builder->build(f->worker, run, put_report, &f->reports, &f->err);
}

/* The last outcome that was reported. */
static inline const struct build_report *last(const struct fixture *f)
{
	assert_true(f->reports.n > 0);
	return &f->reports.list[f->reports.n - 1];
}

static inline int settle(struct fixture *f, enum settle_kind kind, ordinal batch, uint32_t attempt,
			 const char *message)
{
	struct store_outcome o = {.kind = kind,
				  .batch = batch,
				  .attempt = attempt,
				  .started = 1000,
				  .finished = 2000,
				  .sqlstate = "",
				  .message = message};
	GOOD(f->engine->store->settle(f->store, &o, 1, &f->err));
	return o.result;
}

static inline const struct store_state *state_of(const struct fixture *f, ordinal batch)
{
	for (size_t i = 0; i < f->seen.n; i++)
		if (f->seen.states[i].batch == batch)
			return &f->seen.states[i];
	return NULL;
}

/* open, prepare, request, claim and build days [0, n) */
static inline void build_days(struct fixture *f, int n)
{
	connect_all(f);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
	struct store_request r = ask(f, 1, day(f, 0), day(f, n));
	struct build_run run = claim(f, &r);
	GOOD(build(f, &run));
}

#endif
