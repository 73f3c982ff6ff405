/* SPDX-License-Identifier: Apache-2.0 */
/* A backend's life: open, start, stop, close. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/count.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/refusals.h"
#include "backend/schedule/asks.h"
#include "backend/schedule/cancel.h"
#include "backend/schedule/catalog.h"
#include "backend/schedule/control.h"
#include "backend/schedule/history.h"
#include "backend/schedule/history_job.h"
#include "backend/schedule/job.h"
#include "backend/schedule/lanes.h"
#include "backend/schedule/known_sql.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/prune.h"
#include "backend/schedule/refresh_clear.h"
#include "backend/schedule/reload.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/refresh_wait.h"
#include "backend/schedule/validation_wait.h"
#include "backend/schedule/sink.h"
#include "backend/schedule/slow.h"
#include "backend/schedule/snapshot.h"
#include "backend/schedule/take_back.h"
#include "backend/schedule/worker.h"

/* After the drain: how long an interrupted batch may take to roll back and be recorded. */
#define SETTLE_US 3000000

static void locks_init(struct backend *b)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&b->lock, NULL);
	refusals_init(&b->refusals);
	pthread_cond_init(&b->idle, &monotonic);
	pthread_cond_init(&b->paused, &monotonic);
	pthread_cond_init(&b->recalled, NULL);
	pthread_cond_init(&b->cancel_wake, &monotonic);
	lanes_init(b, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static struct backend *backend_new(const struct backend_config *config)
{
	struct backend *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	b->config = *config;
	b->engine_config = (struct engine_config){.log = config->log,
						  .clock = config->clock,
						  .service = config->service,
						  .role = config->role,
						  .database = config->database,
						  .project = config->project,
						  .profiles = config->profiles,
						  .target = config->target,
						  .dbt = config->dbt,
						  .adopt = config->adopt,
						  .timeout_s = config->timeout_s,
						  .read_only = config->read_only};
	b->since = clock_now_us(config->clock);
	b->reload_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	STAILQ_INIT(&b->asks);
	STAILQ_INIT(&b->frozen);
	STAILQ_INIT(&b->outcomes);
	STAILQ_INIT(&b->recodes);
	STAILQ_INIT(&b->history_asks);
	STAILQ_INIT(&b->look_waits);
	STAILQ_INIT(&b->refresh_waits);
	STAILQ_INIT(&b->validation_notes);
	STAILQ_INIT(&b->validation_waits);
	STAILQ_INIT(&b->held);
	checks_init(b);
	LIST_INIT(&b->histories);
	locks_init(b);
	b->models = models_new(engine_supports(config->engine));
	b->workers = calloc((size_t)config->jobs, sizeof *b->workers);
	b->ledger = ledger_new();
	snapshot_init(b);
	for (int i = 0; b->workers && i < config->jobs; i++) {
		b->workers[i].b = b;
		pthread_cond_init(&b->workers[i].wake, NULL);
	}
	return b;
}

/*
 * The manifest was read before there was a store. Where it comes without the SQL of a model that the store
 * remembers it is read again; one that came through a pipe is gone. Returns what takes its place, or itself.
 */
static struct catalog *recall(struct backend *b, struct catalog *first)
{
	struct known_sql known = {0};
	struct error err = {0};
	struct catalog *c = first;
	if (b->config.read_only || !S_ISREG(first->stamp.mode) || !known_sql_lacking(first))
		return first;
	int r = known_sql_ask(b, first, &known, &err);
	if (r == 0 && known.n)
		r = reload_with(b, NULL, &known, first->path, &c, &err);
	if (r == 0 && known.n && strcmp(c->adapter_type, first->adapter_type) != 0)
		r = error_set(&err, EINVAL, "%s: it is of another adapter now", first->path);
	if (r < 0) {
		log_warning(b->config.log, "the manifest stays without the SQL that is remembered: %s",
			    err.text);
		if (c != first)
			catalog_free(c);
		c = first;
	} else if (known.n)
		catalog_free(first);
	known_sql_fini(&known);
	return c;
}

int backend_open(const struct backend_config *config, struct catalog *catalog, struct backend **out,
		 struct error *err)
{
	struct backend *b = backend_new(config);
	if (!b || !b->models || !b->workers || !b->ledger || b->reload_fd < 0) {
		catalog_free(catalog);
		backend_close(b);
		return error_set(err, ENOMEM, "no memory to open a warehouse");
	}
	int r = store_open(config->engine, &b->engine_config, &b->store, err);
	b->snapshot.store = b->store;
	if (r == 0)
		catalog = recall(b, catalog);
	if (r == 0)
		r = catalog_take_over(b, catalog, err);
	else
		catalog_free(catalog);
	if (r < 0) {
		backend_close(b);
		return r;
	}
	ledger_forget_closed(b->ledger);
	/* What opening has needed for a moment goes back: a mount lives for months. */
	malloc_trim(0);
	*out = b;
	return 0;
}

/* The end: every thread finds out. */
static void wake_all(struct backend *b)
{
	LOCKED(&b->lock);
	b->control_done = true;
	control_wake(b);
	lanes_wake(b);
	pthread_cond_broadcast(&b->cancel_wake);
	pthread_cond_broadcast(&b->recalled);
	reloader_wake(b);
	for (int i = 0; i < b->config.jobs; i++)
		pthread_cond_broadcast(&b->workers[i].wake);
}

static void set_threads(struct backend *b, bool threads)
{
	LOCKED(&b->lock);
	b->threads = threads;
}

/* The threads that every mount has: all of them, or a positive errno and none. */
static int start_service(struct backend *b)
{
	const struct {
		void *(*main)(void *);
		void *arg;
		pthread_t *thread;
	} all[] = {{control_main, b, &b->control},
		   {lane_main, &b->lanes[LANE_LOOK], &b->lanes[LANE_LOOK].thread},
		   {cancel_main, b, &b->canceller},
		   {reloader_main, b, &b->reloader},
		   {lane_main, &b->lanes[LANE_HISTORY], &b->lanes[LANE_HISTORY].thread},
		   {lane_main, &b->lanes[LANE_CLEAR], &b->lanes[LANE_CLEAR].thread},
		   {lane_main, &b->lanes[LANE_BESIDE], &b->lanes[LANE_BESIDE].thread},
		   {lane_main, &b->lanes[LANE_VALIDATION], &b->lanes[LANE_VALIDATION].thread}};
	size_t n = 0;
	int r = 0;
	set_threads(b, true);
	for (; n < sizeof all / sizeof *all && r == 0; n++)
		r = pthread_create(all[n].thread, NULL, all[n].main, all[n].arg);
	if (r == 0)
		return 0;
	set_threads(b, false);
	wake_all(b);
	for (n--; n > 0; n--)
		pthread_join(*all[n - 1].thread, NULL);
	return r;
}

int backend_start(struct backend *b, const struct backend_listener *listener, struct error *err)
{
	b->listener = *listener;
	/* What an earlier mount left in the queue brings no news of its own. */
	b->woken = true;
	int r = start_service(b);
	if (r)
		return error_set(err, r, "cannot start a thread: %s", strerror(r));
	for (int i = 0; !b->config.read_only && i < b->config.jobs && r == 0; i++) {
		r = pthread_create(&b->workers[i].thread, NULL, worker_main, &b->workers[i]);
		b->workers[i].started = r == 0;
	}
	if (r) {
		backend_stop(b);
		return error_set(err, r, "cannot start a thread: %s", strerror(r));
	}
	return 0;
}

/* With the lock. */
static bool all_idle(const struct backend *b)
{
	for (int i = 0; i < b->config.jobs; i++)
		if (b->workers[i].kind != JOB_NONE)
			return false;
	return true;
}

/* Outcomes leave without a signal: they are looked at again this often. */
#define LOOK_AGAIN_US 20000

/* Whether nothing was under way any more before the time was over (or, in the drain, somebody hurried). */
static bool wait_idle(struct backend *b, int64_t us, bool drain)
{
	int64_t end = clock_monotonic_us() + us;
	LOCKED(&b->lock);
	while (!all_idle(b) || !STAILQ_EMPTY(&b->outcomes) || b->settling) {
		int64_t left = end - clock_monotonic_us();
		if (left <= 0 || (drain && b->hurry))
			return false;
		struct timespec until = clock_moment_in(left < LOOK_AGAIN_US ? left : LOOK_AGAIN_US);
		pthread_cond_timedwait(&b->idle, &b->lock, &until);
	}
	return true;
}

void backend_hurry(struct backend *b)
{
	LOCKED(&b->lock);
	b->hurry = true;
	pthread_cond_broadcast(&b->idle);
}

static void interrupt_all(struct backend *b)
{
	lanes_interrupt(b);
	for (int i = 0; i < b->config.jobs; i++) {
		struct open_worker *w;
		{
			LOCKED(&b->lock);
			w = b->workers[i].kind != JOB_NONE ? b->workers[i].worker : NULL;
		}
		if (w)
			builder_interrupt(w);
	}
}

static void end_threads(struct backend *b)
{
	wake_all(b);
	pthread_join(b->control, NULL);
	lanes_join(b);
	pthread_join(b->canceller, NULL);
	pthread_join(b->reloader, NULL);
	for (int i = 0; i < b->config.jobs; i++)
		if (b->workers[i].started)
			pthread_join(b->workers[i].thread, NULL);
	/* A claim that came back when its worker had ended already: the store puts its batches back when it
	 * closes. */
	for (int i = 0; i < b->config.jobs; i++) {
		catalog_drop(b->workers[i].held);
		b->workers[i].held = NULL;
	}
}

/* What is left is found by the next mount: what runs as interrupted, the rest as it was before. */
static void warn_unsettled(struct backend *b)
{
	struct outcome *o;
	size_t left = 0;
	LOCKED(&b->lock);
	STAILQ_FOREACH(o, &b->outcomes, link)
	{
		left++;
	}
	left += b->settling;
	if (all_idle(b))
		log_warning(b->config.log, "%zu outcome%s could not be recorded in time%s%s", left,
			    left == 1 ? "" : "s", b->warehouse.err ? ": " : "",
			    b->warehouse.err ? b->warehouse.text : "");
	else
		log_warning(b->config.log, "a batch does not end: it will be found interrupted");
}

void backend_stop(struct backend *b)
{
	if (!b->threads)
		return;
	{
		LOCKED(&b->lock);
		b->stopping = true;
		b->woken = true;
		for (int i = 0; i < b->config.jobs; i++)
			take_back_range(&b->workers[i], (struct ordinal_range){0, UINT32_MAX});
		control_wake(b);
		lane_wake(&b->lanes[LANE_LOOK]);
	}
	if (!wait_idle(b, (int64_t)b->config.drain_s * 1000000, true)) {
		log_info(b->config.log, "the drain is over: what still runs goes back to the queue");
		interrupt_all(b);
	}
	if (!wait_idle(b, SETTLE_US, false))
		warn_unsettled(b);
	store_abandon(b->store);
	end_threads(b);
	set_threads(b, false);
	check_give_up(b);
	asks_fail(b, -ECANCELED);
	held_fail(b, -ECANCELED);
	look_answer(b, -ECANCELED);
	refresh_answer(b, -ECANCELED);
	validations_answer(b, -ECANCELED);
}

void backend_close(struct backend *b)
{
	if (!b)
		return;
	store_close(b->store);
	ledger_free(b->ledger);
	struct outcome *o;
	while ((o = STAILQ_FIRST(&b->outcomes))) {
		STAILQ_REMOVE_HEAD(&b->outcomes, link);
		free(o);
	}
	for (int i = 0; b->workers && i < b->config.jobs; i++)
		pthread_cond_destroy(&b->workers[i].wake);
	lanes_fini(b);
	pthread_cond_destroy(&b->cancel_wake);
	pthread_cond_destroy(&b->recalled);
	pthread_cond_destroy(&b->paused);
	pthread_cond_destroy(&b->idle);
	refusals_fini(&b->refusals);
	pthread_mutex_destroy(&b->lock);
	for (slot i = 0; i < b->runtime_end; i++) {
		free(b->runtime[i].why_not);
		free(b->runtime[i].notes);
		free(b->runtime[i].look_failed);
		free(b->runtime[i].refresh.why_broken);
		free(b->runtime[i].refresh.failure);
		free(b->runtime[i].prepare_error);
		report_kept_fini(&b->runtime[i].kept);
		validation_list_fini(&b->runtime[i].validations);
	}
	free(b->workers);
	free(b->runtime);
	models_free(b->models);
	catalog_free(b->coming);
	orphans_fini(b);
	if (b->reload_fd >= 0)
		close(b->reload_fd);
	free(b);
}
