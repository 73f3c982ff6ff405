/* SPDX-License-Identifier: Apache-2.0 */
/* The slow lane: what may take as long as reading a table, and what nobody but its own model waits for. */
#include <string.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/sink.h"
#include "backend/schedule/slow.h"

/* After a look that failed; what may read all of a table for nothing is tried less and less often. */
#define RETRY_US      1000000
#define LONGEST_SHIFT 5
#define LOST_MAX      5

#define LOOK_AGAIN_US 100000

/* The next model to adopt, or to look at again; -1: none can be now. *waiting: one could be later. */
static slot next_model(const struct backend *b, bool *waiting)
{
	int64_t now = clock_monotonic_us();
	*waiting = false;
	for (slot i = 0; i < models_end(b->models) && !b->stopping; i++) {
		const struct model_runtime *m = &b->runtime[i];
		*waiting |= m->adopting || refusal_stands(b, i);
		if (m->adopting && m->look_at <= now && ledger_running(b->ledger, i) == 0)
			return i;
		if (refusal_look_due(b, i, now))
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
		struct timespec until = clock_moment_in(LOOK_AGAIN_US);
		if (waiting)
			pthread_cond_timedwait(&b->slow_wake, &b->lock, &until);
		else
			pthread_cond_wait(&b->slow_wake, &b->lock);
	}
}

/* With the lock: what an adoption that failed means; "": it may be tried again, and requests wait. */
static const char *refusal(struct model_runtime *m, int r, const struct error *err)
{
	bool waits = r == -EAGAIN || r == -EBUSY || warehouse_away(r);
	m->lost = r == -ETIMEDOUT ? m->lost + 1 : 0;
	/* A pass that takes the connection with it each time. */
	return r < 0 && (!waits || m->lost > LOST_MAX) ? err->text : "";
}

static int64_t next_look(struct model_runtime *m, int r)
{
	bool cheap = r == -EACCES || r == -EOPNOTSUPP || r == -EBUSY;
	unsigned shift = cheap ? 0 : m->looks < LONGEST_SHIFT ? m->looks++ : LONGEST_SHIFT;
	return clock_monotonic_us() + ((int64_t)RETRY_US << shift);
}

static void adopt(struct backend *b, struct open_worker *worker, slot model)
{
	struct store_sink sink;
	struct error err = {0};
	int r = builder_look(worker, model, LOOK_FIRST, backend_sink(b, &sink), &err);
	bool news, again;
	{
		LOCKED(&b->lock);
		struct model_runtime *m = &b->runtime[model];
		const char *why_not = refusal(m, r, &err);
		again = m->look_at != 0;
		news = strcmp(m->why_not ? m->why_not : "", why_not) != 0;
		model_refuses(m, why_not);
		/* -EAGAIN: the target has gone; the next request prepares a new one. */
		m->adopting = r < 0 && r != -EAGAIN;
		m->prepared &= r != -EAGAIN;
		m->look_at = m->adopting ? next_look(m, r) : 0;
		m->looks = m->adopting ? m->looks : 0;
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

static bool is_adopting(struct backend *b, slot model)
{
	LOCKED(&b->lock);
	return b->runtime[model].adopting;
}

void *slow_main(void *arg)
{
	struct backend *b = arg;
	struct open_worker *worker = NULL;
	struct error err = {0};
	if (builder_worker_open(b->store, "looks", &worker, &err) < 0) {
		log_error(b->config.log, "the slow lane cannot start: %s", err.text);
		return NULL;
	}
	{
		LOCKED(&b->lock);
		b->slow_worker = worker;
	}
	for (slot model; (model = wait_for_model(b)) >= 0;) {
		if (is_adopting(b, model))
			adopt(b, worker, model);
		else
			refusal_look(b, worker, model);
	}
	builder_worker_close(worker);
	return NULL;
}
