/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread: the only one that talks to the store. */
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/asks.h"
#include "backend/schedule/cancel.h"
#include "backend/schedule/catalog.h"
#include "backend/schedule/check.h"
#include "backend/schedule/control.h"
#include "backend/schedule/freeze.h"
#include "backend/schedule/held.h"
#include "backend/schedule/known_sql.h"
#include "backend/schedule/look.h"
#include "backend/schedule/model.h"
#include "backend/schedule/orphans.h"
#include "backend/schedule/refresh.h"
#include "backend/schedule/refresh_wait.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/settle.h"
#include "backend/schedule/sink.h"
#include "backend/schedule/take_back.h"
#include "backend/schedule/work.h"

#define FOLLOW_MS	 1000
#define SOON_MS		 20
#define RETIRE_US	 1000000
#define PAUSE_FIRST_US	 100000
#define PAUSE_LONGEST_US 1000000

static bool ended(struct backend *b)
{
	LOCKED(&b->lock);
	return b->control_done;
}

/* Remembers whether the warehouse answers, and says so once. */
static void heard(struct backend *b, int r, const struct error *err)
{
	LOCKED(&b->lock);
	if (r == 0 && b->warehouse.err)
		log_info(b->config.log, "the warehouse answers again");
	if (r < 0 && r != -ECANCELED && !b->warehouse.err)
		log_warning(b->config.log, "the warehouse does not answer: %s", err->text);
	b->warehouse = r < 0 ? *err : (struct error){0};
	if (r < 0 && !b->warehouse.err)
		b->warehouse.err = -r;
}

/* What the ledger hands over, and takes back where the store could not be told. */
struct handover {
	size_t (*take)(struct ledger *l, int64_t *ids, size_t n);
	void (*untake)(struct ledger *l, const int64_t *ids, size_t n);
	int (*tell)(struct open_store *s, const int64_t *ids, size_t n, struct error *err);
};

/* A few at a time. *left: there are more of them. */
static int hand_over(struct backend *b, const struct handover *h, bool *left, struct error *err)
{
	int64_t ids[256];
	size_t n, most = sizeof ids / sizeof *ids;
	{
		LOCKED(&b->lock);
		n = h->take(b->ledger, ids, most);
	}
	if (n == 0)
		return 0;
	*left |= n == most;
	int r = h->tell(b->store, ids, n, err);
	if (r < 0) {
		LOCKED(&b->lock);
		h->untake(b->ledger, ids, n);
	}
	return r;
}

/*
 * Requests that have nothing left to build, answers that no batch shows any more. *left: more of them than
 * are handed over at once, because whoever asks for something meanwhile goes first.
 */
static int retire(struct backend *b, bool *left, struct error *err)
{
	static const struct handover requests = {ledger_take_finished, ledger_untake_finished, store_retire};
	static const struct handover answers = {ledger_take_unseen, ledger_untake_unseen,
						store_forget_answers};
	int r = hand_over(b, &requests, left, err);
	return r < 0 ? r : hand_over(b, &answers, left, err);
}

/* How long to listen: not at all when something is to be done, shortly when a model backs off, requests are
 * left to be retired or a freeze is to be answered. */
static int follow_ms(struct backend *b)
{
	LOCKED(&b->lock);
	int64_t late = b->config.read_only ? INT64_MAX : take_back_late(b);
	bool woken = b->woken;
	b->woken = false;
	if (woken)
		return 0;
	int64_t now = clock_monotonic_us();
	bool soon = b->retiring || !STAILQ_EMPTY(&b->frozen);
	for (slot i = 0; i < models_end(b->models) && !soon; i++)
		soon = b->runtime[i].not_before > now;
	if (soon)
		return SOON_MS;
	return late < FOLLOW_MS * INT64_C(1000) ? (int)(late / 1000) + 1 : FOLLOW_MS;
}

/* A freeze is answered when what was queued in it is recorded as cancelled: until then whoever dies now would
 * leave it queued. */
static int answer_freezes(struct backend *b, struct error *err)
{
	int r = outcomes_settle(b, err);
	if (r == 0 && freezes_cancel(b))
		r = outcomes_settle(b, err);
	if (r == 0)
		asks_frozen(b, false);
	return r;
}

/* What others have done, and what waited to know that. While the warehouse is away whatever waited goes on as
 * well: the store is tried for it, and says why not. */
static int hear(struct backend *b, int ms, struct error *err)
{
	struct store_sink sink;
	int r = store_follow(b->store, ms, backend_sink(b, &sink), err);
	bool due;
	if (r == 0)
		r = check_run(b, err);
	else
		check_give_up(b);
	{
		LOCKED(&b->lock);
		due = b->held_due;
		b->held_due = false;
	}
	if (due)
		held_go_on(b);
	/* A first look may be over without having been made: the table has gone, or is one that is known. */
	look_answer(b, 0);
	return r;
}

static int turn(struct backend *b, struct error *err)
{
	int ms = follow_ms(b);
	int r = hear(b, ms, err);
	bool idle;
	{
		LOCKED(&b->lock);
		ledger_forget_closed(b->ledger);
		idle = ms > 0 && !b->woken;
	}
	if (r == 0)
		r = known_sql_answer(b, err);
	if (r == 0)
		r = catalog_take_coming(b, err);
	if (r == 0 && asks_clear(b))
		r = outcomes_settle(b, err);
	if (r < 0)
		return r;
	asks_send(b);
	if (b->config.read_only) {
		/* Others take the steps; who waits here is answered all the same. */
		refresh_answer(b, 0);
		return 0;
	}
	r = refresh_settle(b, err);
	if (r == 0)
		r = orphans_settle(b, err);
	if (r == 0)
		r = answer_freezes(b, err);
	if (r == 0)
		r = work_hand_out(b, err);
	if (r == 0)
		r = known_sql_remember(b, err);
	/* Nobody waits for that: it is done where nothing else is, or now and then. */
	int64_t now = clock_monotonic_us();
	if (r < 0 || (!idle && now - b->retired_at < RETIRE_US))
		return r;
	b->retired_at = now;
	b->retiring = false;
	return retire(b, &b->retiring, err);
}

/* While the warehouse is away a request is answered at once all the same: the store tries and says why not.
 */
static void pause_control(struct backend *b, int64_t us)
{
	struct timespec until = clock_moment_in(us);
	{
		LOCKED(&b->lock);
		while (STAILQ_EMPTY(&b->asks) && !check_is_due(b) && !b->control_done &&
		       pthread_cond_timedwait(&b->paused, &b->lock, &until) == 0)
			;
	}
	struct error err = {0};
	if (asks_clear(b))
		outcomes_settle(b, &err);
	asks_send(b);
	if (!STAILQ_EMPTY(&b->frozen))
		answer_freezes(b, &err);
}

void *control_main(void *arg)
{
	struct backend *b = arg;
	int64_t pause = PAUSE_FIRST_US;
	store_take_control(b->store);
	while (!ended(b)) {
		struct error err = {0};
		int r = turn(b, &err);
		heard(b, r, &err);
		if (r == 0) {
			pause = PAUSE_FIRST_US;
			continue;
		}
		if (warehouse_away(r) && r != -ECANCELED)
			cancel_unfenced(b);
		if (!ended(b))
			pause_control(b, pause);
		pause = 2 * pause < PAUSE_LONGEST_US ? 2 * pause : PAUSE_LONGEST_US;
	}
	return NULL;
}
