/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/lane.h"

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/error.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/schedule/runtime.h"

void lane_init(struct lane *l, const pthread_condattr_t *monotonic)
{
	l->step.model = SLOT_NONE;
	pthread_cond_init(&l->step.interrupted, monotonic);
	pthread_cond_init(&l->wake, monotonic);
}

void lane_fini(struct lane *l)
{
	pthread_cond_destroy(&l->wake);
	pthread_cond_destroy(&l->step.interrupted);
}

void lane_wake(struct lane *l)
{
	pthread_cond_signal(&l->wake);
}

/* With the lock. */
static bool find_job(struct lane *l, struct lane_job *job, int64_t *next_us)
{
	*next_us = INT64_MAX;
	for (lane_source_fn **source = l->sources; *source; source++)
		if ((*source)(l->b, clock_monotonic_us(), job, next_us))
			return true;
	return false;
}

/* With the lock, which is given up meanwhile. */
static void wait_until(struct lane *l, int64_t until_us)
{
	int64_t left = until_us - clock_monotonic_us();

	if (until_us == INT64_MAX) {
		pthread_cond_wait(&l->wake, &l->b->lock);
	} else if (left > 0) {
		struct timespec until = clock_moment_in(left);
		pthread_cond_timedwait(&l->wake, &l->b->lock, &until);
	}
}

#define PAUSE_US 1000000
/* A connection costs the server a process: not one for each file of a listing. */
#define LINGER_US 2000000

/* The next job, or a worker that has been of no use for a while; false: the end. */
static bool next_turn(struct lane *l, struct lane_job *job, struct open_worker **useless)
{
	int64_t next_us, idle_until = clock_monotonic_us() + LINGER_US;

	*job = (struct lane_job){.model = SLOT_NONE};
	*useless = NULL;
	LOCKED(&l->b->lock);
	while (!l->b->control_done && clock_monotonic_us() < l->pause_until)
		wait_until(l, l->pause_until);
	while (!l->b->control_done && !find_job(l, job, &next_us)) {
		/* Not while somebody may interrupt it. */
		bool idle = next_us == INT64_MAX && l->worker && !l->b->stopping;
		if (idle && clock_monotonic_us() >= idle_until) {
			*useless = l->worker;
			l->worker = NULL;
			return true;
		}
		wait_until(l, idle ? idle_until : next_us);
	}
	return job->run != NULL;
}

void *lane_main(void *arg)
{
	struct lane *l = arg;
	struct open_worker *useless;
	struct lane_job job;

	while (next_turn(l, &job, &useless)) {
		if (job.run)
			job.run(l, &job);
		builder_worker_close(useless);
	}
	builder_worker_close(l->worker);
	if (l->end)
		l->end(l->b);
	return NULL;
}

int lane_worker(struct lane *l, struct open_worker **out, struct error *err)
{
	struct error why = {0};
	struct open_worker *worker = l->worker;
	int r = worker ? 0 : builder_worker_open(l->b->store, l->name, &worker, &why);

	if (r < 0) {
		log_error(l->b->config.log, "the lane for %s has no worker: %s", l->name, why.text);
		l->pause_until = clock_monotonic_us() + PAUSE_US;
	}
	if (r < 0 && err)
		*err = why;
	if (r == 0 && !l->worker) {
		LOCKED(&l->b->lock);
		l->worker = worker;
	}
	*out = worker;
	return r;
}

void lane_interrupt(struct lane *l)
{
	struct open_worker *worker;

	{
		LOCKED(&l->b->lock);
		worker = l->worker;
	}
	if (worker)
		builder_interrupt(worker);
}
