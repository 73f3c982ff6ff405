/* SPDX-License-Identifier: Apache-2.0 */
/* The slow lane: what may take as long as reading a table, and what nobody but its own model waits for. */
#include <string.h>

#include "backend/schedule/private.h"

#define RETRY_US 1000000

#define LOOK_AGAIN_US 100000

/* The next model to adopt, or -1: none can be now. *waiting: one could be later. */
static slot next_model(const struct backend *b, bool *waiting)
{
	int64_t now = clock_monotonic_us();
	*waiting = false;
	for (slot i = 0; i < models_end(b->models) && !b->stopping; i++) {
		const struct model_runtime *m = &b->runtime[i];
		*waiting |= m->adopting;
		if (m->adopting && m->not_before <= now && ledger_running(b->ledger, i) == 0)
			return i;
	}
	return -1;
}

/* -1: the end. */
static slot wait_for_model(struct backend *b)
{
	LOCKED(&b->lock);
	for (;;) {
		bool waiting;
		slot model = next_model(b, &waiting);
		if (model >= 0)
			return model;
		if (b->control_done)
			return -1;
		struct timespec until = moment_in(LOOK_AGAIN_US);
		if (waiting)
			pthread_cond_timedwait(&b->slow_wake, &b->lock, &until);
		else
			pthread_cond_wait(&b->slow_wake, &b->lock);
	}
}

static void adopt(struct backend *b, struct open_worker *worker, slot model)
{
	struct store_sink sink;
	struct error err = {0};
	int r = builder_adopt(worker, model, backend_sink(b, &sink), &err);
	bool refused = r == -EACCES || r == -EOPNOTSUPP, news, again;
	{
		LOCKED(&b->lock);
		struct model_runtime *m = &b->runtime[model];
		const char *why_not = refused ? err.text : "";
		again = m->not_before != 0;
		news = strcmp(m->why_not ? m->why_not : "", why_not) != 0;
		model_refuses(m, why_not);
		/* -EAGAIN: the target has gone; the next request prepares a new one. */
		m->adopting = r < 0 && r != -EAGAIN;
		m->prepared &= r != -EAGAIN;
		m->not_before = m->adopting ? clock_monotonic_us() + RETRY_US : 0;
		touch_model(b, model);
		b->woken = true;
		control_wake(b);
	}
	if (r < 0 && r != -ECANCELED)
		log_write(b->config.log, news || !again ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG,
			  "%s cannot be adopted yet: %s", dir_of(b, model), err.text);
	/* Whether it may be built shows in the mode of its batches. */
	if (news)
		changed(b, model, backend_existing(b, model));
}

void *slow_main(void *arg)
{
	struct backend *b = arg;
	struct open_worker *worker = NULL;
	struct error err = {0};
	if (builder_worker_open(b->store, &worker, &err) < 0) {
		log_error(b->config.log, "the slow lane cannot start: %s", err.text);
		return NULL;
	}
	{
		LOCKED(&b->lock);
		b->slow_worker = worker;
	}
	for (slot model; (model = wait_for_model(b)) >= 0;)
		adopt(b, worker, model);
	builder_worker_close(worker);
	return NULL;
}
