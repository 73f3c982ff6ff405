/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/check.h"

#include <stdlib.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/engine.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/sink.h"

struct check_wait {
	STAILQ_ENTRY(check_wait) link;
	uint64_t number;
	void (*done)(void *ctx);
	void *ctx;
};
STAILQ_HEAD(wait_list, check_wait);

void checks_init(struct backend *b)
{
	STAILQ_INIT(&b->checks.waits);
}

uint64_t check_ask(struct backend *b)
{
	b->woken = true;
	control_wake(b);
	return ++b->checks.asked;
}

bool check_over(const struct backend *b, uint64_t number)
{
	return b->checks.over >= number;
}

bool check_is_due(const struct backend *b)
{
	return b->checks.asked > b->checks.over;
}

/* Without the lock: what waits for checks up to that number goes on. */
static void end(struct backend *b, uint64_t number)
{
	struct wait_list over = STAILQ_HEAD_INITIALIZER(over);
	struct check_wait *w;
	{
		LOCKED(&b->lock);
		b->checks.over = number;
		b->held_due = true;
		/* They came by rising numbers. */
		while ((w = STAILQ_FIRST(&b->checks.waits)) && w->number <= number) {
			STAILQ_REMOVE_HEAD(&b->checks.waits, link);
			STAILQ_INSERT_TAIL(&over, w, link);
		}
	}
	while ((w = STAILQ_FIRST(&over))) {
		STAILQ_REMOVE_HEAD(&over, link);
		w->done(w->ctx);
		free(w);
	}
}

/* The number up to which checks are asked for; 0: none is due. */
static uint64_t due(struct backend *b)
{
	LOCKED(&b->lock);
	return check_is_due(b) ? b->checks.asked : 0;
}

int check_run(struct backend *b, struct error *err)
{
	struct store_sink sink;
	uint64_t number = due(b);
	if (!number)
		return 0;
	int r = store_check(b->store, backend_sink(b, &sink), err);
	/* All that is recorded is told anew by the next follow(), which comes first. */
	if (r == -EAGAIN) {
		LOCKED(&b->lock);
		b->woken = true;
		return 0;
	}
	end(b, number);
	return r;
}

void check_give_up(struct backend *b)
{
	uint64_t number = due(b);
	if (number)
		end(b, number);
}

void backend_check(struct backend *b, void (*done)(void *ctx), void *ctx)
{
	struct check_wait *w = calloc(1, sizeof *w);
	if (w) {
		LOCKED(&b->lock);
		if (b->threads && !b->stopping && !b->warehouse.err) {
			*w = (struct check_wait){.number = check_ask(b), .done = done, .ctx = ctx};
			STAILQ_INSERT_TAIL(&b->checks.waits, w, link);
			return;
		}
	}
	free(w);
	done(ctx);
}
