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

/* What wakes the slow lane. */
struct turn {
	bool end, held, look;
	slot model; /* of a look, or one whose refusal may have gone */
	enum look_kind kind;
};

/* With the lock. *next_at: when to look again, if nobody wakes us; monotonic. */
static bool find(struct backend *b, struct turn *t, int64_t *next_at)
{
	int64_t now = clock_monotonic_us();
	*t = (struct turn){.end = b->control_done, .held = b->held_due, .model = SLOT_NONE};
	*next_at = INT64_MAX;
	b->held_due = false;
	if (t->end || t->held)
		return true;
	for (slot i = 0; i < models_end(b->models) && !b->stopping && t->model == SLOT_NONE; i++) {
		int64_t at = refusal_look_at(b, i);
		*next_at = at < *next_at ? at : *next_at;
		if (at <= now)
			t->model = i;
	}
	if (t->model != SLOT_NONE || b->stopping)
		return t->model != SLOT_NONE;
	int64_t look_at;
	t->model = look_next(b, now, &t->kind, &look_at);
	t->look = t->model != SLOT_NONE;
	*next_at = look_at < *next_at ? look_at : *next_at;
	return t->look;
}

static struct turn wait_for_turn(struct backend *b)
{
	struct turn t;
	int64_t next_at;
	LOCKED(&b->lock);
	while (!find(b, &t, &next_at)) {
		int64_t left = next_at - clock_monotonic_us();
		struct timespec until = clock_moment_in(left > 0 ? left : 0);
		if (next_at == INT64_MAX)
			pthread_cond_wait(&b->slow_wake, &b->lock);
		else
			pthread_cond_timedwait(&b->slow_wake, &b->lock, &until);
	}
	return t;
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
	for (struct turn t; t = wait_for_turn(b), !t.end;) {
		if (t.held)
			held_go_on(b);
		else if (t.look)
			look_run(b, worker, t.model, t.kind);
		else
			refusal_look(b, worker, t.model);
	}
	builder_worker_close(worker);
	return NULL;
}
