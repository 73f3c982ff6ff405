/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's thread: takes the job that the control thread has put down, does it, becomes idle. */
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/cancel.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/history.h"
#include "backend/schedule/job.h"
#include "backend/schedule/meant.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/take_back.h"
#include "backend/schedule/worker.h"

static void show_done(struct backend *b, const struct job_worker *w, const struct build_report *r)
{
	const struct build_run *run = &w->run;
	struct store_state s = {.model = run->model,
				.batch = r->batch,
				.run = ROW_IDLE,
				.outcome = OUTCOME_DONE,
				.attempt = r->attempt,
				.started = r->started,
				.finished = r->finished,
				.built = r->finished,
				.rows_deleted = r->rows_deleted,
				.rows_inserted = r->rows_inserted,
				.rows_outside = r->rows_outside,
				.code = w->facts->code,
				.sqlstate = "",
				.message = ""};
	int64_t answered;
	LOCKED(&b->lock);
	b->runtime[run->model].passing = 0;
	ledger_equal_failures(b->ledger, run->request, NULL, 0);
	ledger_settled(b->ledger, &s);
	attempt_ended(b, &(struct store_outcome){.kind = SETTLE_DONE,
						 .model = run->model,
						 .batch = r->batch,
						 .count = 1,
						 .started = r->started,
						 .finished = r->finished,
						 .rows_deleted = r->rows_deleted,
						 .rows_inserted = r->rows_inserted});
	if (cancel_meant(b, run->model, r->batch, &answered))
		cancel_too_late(b, run->model, r->batch, r->finished, answered);
	cancel_over(b, run->model, r->batch);
	touch_model(b, run->model);
}

static void show_started(struct backend *b, struct job_worker *w, const struct build_report *r)
{
	const struct build_run *run = &w->run;
	LOCKED(&b->lock);
	run_mark(&w->under_way, r->batch - run->first);
	w->since = clock_monotonic_us();
	/* Cancelled after the claim and before it began, or between two batches of the run. */
	if (run_marked(&w->cancelled, r->batch - run->first) || w->unfenced) {
		w->interrupt = true;
		pthread_cond_signal(&b->cancel_wake);
	}
	ledger_started(b->ledger, run->model, r->batch, r->started);
	touch_model(b, run->model);
}

static void show_stale(struct backend *b, const struct build_run *run, const struct build_report *r)
{
	LOCKED(&b->lock);
	ledger_released(b->ledger, run->model, r->batch);
	cancel_over(b, run->model, r->batch);
	touch_model(b, run->model);
}

/* Backs off, or gives up. */
static enum settle_kind passing(struct backend *b, slot model)
{
	LOCKED(&b->lock);
	struct model_runtime *m = &b->runtime[model];
	return back_off(m, &m->passing) ? SETTLE_REQUEUED : SETTLE_FAILED;
}

static void report(void *ctx, const struct build_report *r)
{
	struct job_worker *w = ctx;
	struct backend *b = w->b;
	const struct build_run *run = &w->run;
	slot model = run->model;
	{
		LOCKED(&b->lock);
		if (!keep_from_taking(w, r->batch))
			return;
	}
	switch (r->outcome) {
	case BUILD_STARTED:
		show_started(b, w, r);
		break;
	case BUILD_DONE:
		if (engine_builder(b->config.engine, w->facts)->settles_done) {
			outcome_done(b, r, run, w->facts->code);
			return;
		}
		show_done(b, w, r);
		break;
	case BUILD_STALE:
		show_stale(b, run, r);
		break;
	case BUILD_FAILED:
		outcome_add(b, r, run, SETTLE_FAILED);
		return;
	case BUILD_PASSING:
		outcome_add(b, r, run, passing(b, model));
		return;
	case BUILD_RETRACTED:
		outcome_add(b, r, run, SETTLE_RETRACTED);
		return;
	case BUILD_INTERRUPTED:
		outcome_add(b, r, run, SETTLE_INTERRUPTED);
		return;
	case BUILD_UNSTARTED:
		outcome_add(b, r, run, SETTLE_UNSTARTED);
		return;
	}
	changed(b, model, (struct ordinal_range){r->batch, r->batch + 1});
	if (r->outcome == BUILD_DONE)
		changed_readers(b, model, (struct ordinal_range){r->batch, r->batch + 1});
}

/* A run of a model that cannot be prepared ends as one whose first batch fails with the reason. of_all: no
 * other batch of the model would fare better. */
static void fail_run(struct job_worker *w, const struct error *why, bool of_all)
{
	struct backend *b = w->b;
	const struct build_run *run = &w->run;
	int64_t now = clock_now_us(b->config.clock);
	enum settle_kind kind = SETTLE_FAILED;
	LOCKED(&b->lock);
	for (uint32_t i = 0; i < run->count; i++) {
		struct build_report r = {.batch = run->first + i,
					 .attempt = run->attempt[i],
					 .started = now,
					 .finished = now,
					 .err = why,
					 .of_all = of_all};
		if (!r.attempt || !keep_from_taking(w, r.batch))
			continue;
		outcome_add_locked(b, &r, run, kind);
		kind = SETTLE_UNSTARTED;
	}
}

static void build(struct job_worker *w)
{
	struct backend *b = w->b;
	struct error err = {0};
	auto_free struct error *why = refusal_take(b, w->run.model);
	if (why) {
		fail_run(w, why, true);
		return;
	}
	int r = builder_build(w->worker, &w->run, report, w, &err);
	refusal_after_build(b, w->run.model, r, &err);
}

/* Becomes idle. The catalog goes when nobody can look at the run's model any more. */
static void end_job(struct job_worker *w)
{
	struct backend *b = w->b;
	struct held_catalog *held = w->held;
	{
		LOCKED(&b->lock);
		w->held = NULL;
		w->facts = NULL;
		w->kind = JOB_NONE;
		w->interrupt = w->unfenced = false;
		b->woken = true;
		control_wake(b);
		pthread_cond_broadcast(&b->idle);
	}
	catalog_drop(held);
}

static bool wait_for_job(struct job_worker *w)
{
	LOCKED(&w->b->lock);
	while (w->kind == JOB_NONE && !w->b->control_done)
		pthread_cond_wait(&w->wake, &w->b->lock);
	return w->kind != JOB_NONE;
}

void *worker_main(void *arg)
{
	struct job_worker *w = arg;
	struct backend *b = w->b;
	struct open_worker *worker = NULL;
	struct error err = {0};
	int opened = builder_worker_open(b->store, "worker", &worker, &err);
	if (opened < 0)
		log_error(b->config.log, "a worker cannot start: %s", err.text);
	{
		LOCKED(&b->lock);
		w->worker = worker;
	}
	while (wait_for_job(w)) {
		if (!worker && w->kind == JOB_BUILD)
			fail_run(w, &err, false);
		else if (worker && w->kind == JOB_BUILD)
			build(w);
		else
			model_prepare(w, &err);
		end_job(w);
	}
	{
		LOCKED(&b->lock);
		while (w->interrupting)
			pthread_cond_wait(&w->wake, &b->lock);
		w->worker = NULL;
	}
	builder_worker_close(worker);
	return NULL;
}
