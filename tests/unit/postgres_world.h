/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made models, a mount's store and worker, and what they report. */
#ifndef BATCHFS_TESTS_POSTGRES_WORLD_H
#define BATCHFS_TESTS_POSTGRES_WORLD_H

#include "backend/engine.h"
#include "backend/manifest.h"

#define MODELS	4
#define BATCHES 16
#define FREEZES 16
#define DAY	INT64_C(86400000000)
/* 2024-09-01, the begin of every model; the clock says 2024-09-06 12:00. */
#define BEGIN INT64_C(1725148800000000)

struct seen_state {
	bool known;
	bool cancelled; /* ever */
	struct store_state s;
	char sqlstate[6], message[400];
};

/* One mount. */
struct world {
	struct model models[MODELS];
	struct input inputs[MODELS];
	const struct model *facts[MODELS]; /* by slot */
	size_t n_models;
	struct clock clock;
	struct log log;
	struct engine_config config;
	struct store_target targets[MODELS];
	struct store *store;
	struct worker *worker;
	struct store_sink sink;
	struct seen_state states[MODELS][BATCHES]; /* by day since BEGIN */
	struct store_known known;
	struct store_request_row last_request;
	char reason[100];
	int n_requests, forgotten;
	bool telling[MODELS]; /* forgotten, and not all told yet */
	int restarts;
	bool anew;			      /* between restart and restarted */
	bool running;			      /* what the store is told of whether its rows run here */
	int64_t answered;		      /* the last seq that was reported as answered */
	struct store_freeze freezes[FREEZES]; /* as last reported, of whichever model */
	char freezers[FREEZES][16];
	size_t n_freezes;
	struct store_refresh refresh; /* as last reported */
	char refresh_error[100];
	int n_refreshes;
	struct store_answer last_answer;
	char why[100];
	int n_answers;
	enum build_outcome outcomes[BATCHES];
	struct build_report reports[BATCHES];
	struct error errors[BATCHES];
	int started;
};

/* One model `fct` in schema `out` that copies src.events; more may be set up before world_open(). */
void world_init(struct world *w);
void world_model(struct world *w, int i, const char *table, const char *compiled, const char *source,
		 const char *event_time);
/* src.events: ten rows a day from 2024-09-01 to 2024-09-05, k from 0 to 9. */
void world_source(void);
void world_open(struct world *w); /* open, enlist, load, worker; each must succeed */
void world_close(struct world *w);
void world_prepare(struct world *w, slot model);

/* cmocka's set-ups and the tear-down of a test on one mount, *state: a new database with src.events, the
 * mount not open yet, or open. */
int world_fresh(void **state);
int world_fresh_open(void **state);
int world_gone(void **state);
#define WORLD_TEST(test)      cmocka_unit_test_setup_teardown(test, world_fresh, world_gone)
#define OPEN_WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_fresh_open, world_gone)

/* A second mount of the same warehouse. */
struct world *world_another(void);
void world_another_gone(struct world *other);
/* Both follow what has been committed. */
void world_follow_both(struct world *w, struct world *other);

ordinal day(int n); /* days since BEGIN */
int request_days(struct world *w, slot model, int first, int end, int expected, uint32_t attempt,
		 int64_t *seq);
uint32_t claim_days(struct world *w, slot model, int first, int count, struct store_claim *c);
int build_claim(struct world *w, const struct store_claim *c);
int world_build(struct world *w, const struct build_run *run,
		struct error *err); /* what is reported goes into the world */
/* Claims and builds days; how many were granted. */
uint32_t build_days(struct world *w, slot model, int first, int count, struct store_claim *c);
int settle_day(struct world *w, slot model, int n, uint32_t attempt, enum settle_kind kind);
struct seen_state *state_of(struct world *w, slot model, int n);

#endif
