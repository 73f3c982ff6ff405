/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/refresh_put.h"

#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/ledger.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refresh_beside.h"
#include "backend/schedule/refresh_clear.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/steps.h"
#include "backend/schedule/validation_wait.h"

/*
 * With the lock. The phase FIRST is over: the table is another one; or, true, the refresh is over, too, and
 * what it had queued is not.
 */
static bool leave_first(struct backend *b, const struct store_refresh *r)
{
	const struct ledger_refresh *was = ledger_refresh(b->ledger, r->model);
	if (was->phase != REFRESH_FIRST || r->id != was->id || r->phase == REFRESH_FIRST)
		return false;
	validations_void(b, r->model);
	if (r->phase != REFRESH_OVER) {
		ledger_refresh_anew(b->ledger, r->model);
		return false;
	}
	ledger_refresh_close(b->ledger, r->model);
	return true;
}

/* With the lock. */
static void put(struct backend *b, const struct store_refresh *r)
{
	if (ledger_put_refresh(b->ledger, r) < 0)
		log_error(b->config.log, "no memory for a full refresh of %s", dir_of(b, r->model));
	if (r->phase == REFRESH_CLEAR)
		lane_wake(&b->lanes[LANE_CLEAR]);
	else
		step_interrupt(&b->lanes[LANE_CLEAR], r->model);
	if (!refresh_is_beside(r->phase))
		step_interrupt(&b->lanes[LANE_BESIDE], r->model);
	lane_wake(&b->lanes[LANE_BESIDE]);
	b->woken = true;
	touch_model(b, r->model);
}

void sink_refresh(void *ctx, const struct store_refresh *r)
{
	struct backend *b = ctx;
	/* What is built for it is built later than it began, whatever the clock of the mount that builds. */
	clock_follow(b->config.clock, r->build_at > r->since ? r->build_at : r->since);
	bool leaves, given_up;
	{
		LOCKED(&b->lock);
		leaves = ledger_refresh(b->ledger, r->model)->phase == REFRESH_FIRST &&
			 r->phase != REFRESH_FIRST;
		given_up = leave_first(b, r);
		put(b, r);
	}
	if (!leaves)
		return;
	/* Of those who wait for it. */
	if (given_up && b->listener.cancelled)
		b->listener.cancelled(b->listener.ctx, r->model, r->batches, false);
	changed(b, r->model, backend_existing(b, r->model));
	changed_readers(b, r->model, backend_existing(b, r->model));
}

void refresh_begun(struct backend *b, const struct store_request *r)
{
	const struct ledger_refresh *last = ledger_refresh(b->ledger, r->model);
	auto_free char *error = strdup(last->error);
	const struct store_refresh now = {.model = r->model,
					  .id = r->id,
					  .phase = r->phase,
					  .batches = r->batches,
					  .since = r->at,
					  .build_at = r->phase == REFRESH_CLEAR ? 0 : r->at,
					  .uid = r->uid,
					  .command = r->command,
					  .reason = r->reason,
					  .result = last->result,
					  .finished_at = last->finished_at,
					  .error = error ? error : ""};
	put(b, &now);
}
