/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests on their way: backend_request() queues them from any thread, the control
 * thread sends all that wait in one commit and answers each alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/count.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/kinds.h"
#include "backend/ledger.h"
#include "backend/schedule/ask.h"
#include "backend/schedule/asks.h"
#include "backend/schedule/cancel.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/freeze.h"
#include "backend/schedule/job.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refresh_put.h"
#include "backend/schedule/refuse.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/take_back.h"
#include "backend/schedule/work.h"

#define ASKS_AT_ONCE 256

/* A freeze that is recorded is answered by then, whatever this mount shows. */
#define SHOWN_US 2000000

/* comm only: reading cmdline of a process that waits for us can deadlock. */
static void read_command(struct ask *a)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/comm", (int)a->pid);
	auto_file FILE *f = a->pid > 0 ? fopen(path, "re") : NULL;
	if (!f || !fgets(a->request.command, sizeof a->request.command, f))
		a->request.command[0] = '\0';
	a->request.command[strcspn(a->request.command, "\n")] = '\0';
}

/* With the lock. */
static bool clear(struct backend *b, const struct store_request *r)
{
	bool any = false;
	for (int i = 0; i < b->config.jobs; i++)
		if (b->workers[i].run.model == r->model)
			any |= take_back_range(&b->workers[i], r->batches);
	return any;
}

bool asks_clear(struct backend *b)
{
	LOCKED(&b->lock);
	struct ask *a;
	bool any = false;
	STAILQ_FOREACH(a, &b->asks, link)
	{
		if (request_traits(a->request.kind)->clears_queue && !a->cleared)
			any |= clear(b, &a->request);
		a->cleared = true;
	}
	return any;
}

/* With the lock. Full refreshes that were asked for by one touch stand and fall together: in one commit. */
static bool is_of_one_touch(const struct ask *a, const struct ask *before)
{
	return before && a->request.kind == REQUEST_FULL && before->request.kind == REQUEST_FULL &&
	       a->group == before->group;
}

/* What may be sent now, in order. */
static size_t take(struct backend *b, struct ask_queue *taken)
{
	LOCKED(&b->lock);
	struct ask_queue later = STAILQ_HEAD_INITIALIZER(later);
	size_t n = 0;
	struct ask *a, *before = NULL;
	while ((a = STAILQ_FIRST(&b->asks))) {
		STAILQ_REMOVE_HEAD(&b->asks, link);
		bool early = request_traits(a->request.kind)->clears_queue && !a->cleared;
		if (early || (n >= ASKS_AT_ONCE && !is_of_one_touch(a, before))) {
			STAILQ_INSERT_TAIL(&later, a, link);
			before = NULL;
		} else {
			STAILQ_INSERT_TAIL(taken, a, link);
			before = a;
			n++;
		}
	}
	STAILQ_CONCAT(&b->asks, &later);
	/* What is left over is not waited with until somebody else wakes us. */
	b->woken |= n >= ASKS_AT_ONCE;
	return n;
}

/* The recorded request comes into the ledger; -errno: it was refused. */
static void record(struct backend *b, struct ask *a, const struct store_request *r)
{
	LOCKED(&b->lock);
	struct store_request_row row = {.id = r->id,
					.seq = r->seq,
					.model = r->model,
					.batches = r->batches,
					.uid = r->uid,
					.command = r->command,
					.reason = r->reason,
					.code = facts_of(b, r->model)->code,
					.at = r->at,
					.open = true};
	struct ticket *t = ticket_slot(b, a->ticket);
	struct store_known *known = &b->runtime[r->model].known;
	if (r->seq > known->own)
		known->own = r->seq;
	switch (r->kind) {
	case REQUEST_BUILD:
		if (t->number == a->ticket)
			t->id = r->id;
		if (ledger_put_request(b->ledger, &row) < 0)
			log_error(b->config.log, "no memory for a request of %s", dir_of(b, r->model));
		break;
	case REQUEST_FULL:
		if (t->number == a->ticket)
			t->id = r->id;
		if (r->phase == REFRESH_FIRST && ledger_put_request(b->ledger, &row) < 0)
			log_error(b->config.log, "no memory for a full refresh of %s", dir_of(b, r->model));
		refresh_begun(b, r);
		break;
	case REQUEST_REASON:
		if (t->number == a->ticket)
			ledger_set_reason(b->ledger, t->id, r->reason);
		break;
	case REQUEST_FREEZE:
	case REQUEST_THAW:
	case REQUEST_PROTECT:
	case REQUEST_UNPROTECT:
		freeze_recorded(b, r);
		break;
	case REQUEST_CANCEL: /* carried out before it is answered: cancel_recorded() */
		break;
	}
	touch_model(b, r->model);
}

/* requests NULL: they were not sent. */
static void answer(struct backend *b, struct ask_queue *asks, const struct store_request *requests, int err,
		   const struct error *e)
{
	struct ask *a;
	for (size_t i = 0; (a = STAILQ_FIRST(asks)); i++) {
		STAILQ_REMOVE_HEAD(asks, link);
		const struct store_request *r = requests ? &requests[i] : &a->request;
		int result = err < 0 ? err : r->result;
		const struct request_traits *traits = request_traits(r->kind);
		if (traits->stops)
			cancel_recorded(b, a, r, result == 0);
		if (result == 0) {
			record(b, a, r);
			changed(b, r->model, r->batches);
		} else if (result != -ENOENT) {
			refuse_request(b, r, -result, err < 0 ? e->text : r->err.text);
		}
		if (result < 0 || !traits->clears_queue) {
			ask_end(b, a, result);
			continue;
		}
		a->answer_by = clock_monotonic_us() + SHOWN_US;
		STAILQ_INSERT_TAIL(&b->frozen, a, link);
	}
}

/*
 * Whether the ledger shows nothing of a recorded freeze as queued or running any more. Another mount that saw
 * the freeze may have cancelled that first, and the freeze itself cancels what another mount had claimed:
 * this mount hears of either as news.
 */
static bool freeze_shown(const struct backend *b, const struct ask *a)
{
	const struct store_request *r = &a->request;
	LOCKED(lock_of(b));
	return clock_monotonic_us() >= a->answer_by ||
	       ledger_next_unsettled(b->ledger, r->model, r->batches) >= r->batches.end;
}

void asks_frozen(struct backend *b, bool at_once)
{
	struct ask_queue later = STAILQ_HEAD_INITIALIZER(later);
	struct ask *a;
	while ((a = STAILQ_FIRST(&b->frozen))) {
		STAILQ_REMOVE_HEAD(&b->frozen, link);
		if (at_once || freeze_shown(b, a))
			ask_end(b, a, 0);
		else
			STAILQ_INSERT_TAIL(&later, a, link);
	}
	STAILQ_CONCAT(&b->frozen, &later);
}

void asks_send(struct backend *b)
{
	struct ask_queue taken = STAILQ_HEAD_INITIALIZER(taken);
	size_t n = take(b, &taken);
	if (n == 0)
		return;
	struct error e = {0};
	auto_free struct store_request *requests = calloc(n, sizeof *requests);
	if (!requests) {
		answer(b, &taken, NULL,
		       error_set(&e, ENOMEM, "no memory for %s",
				 count_of((uint64_t)n, "request", "requests").text),
		       &e);
		return;
	}
	struct ask *a;
	size_t i = 0;
	STAILQ_FOREACH(a, &taken, link)
	{
		read_command(a);
		requests[i++] = a->request;
	}
	struct store_claim claim;
	struct job_worker *w = n == 1 ? work_ahead(b, &requests[0], &claim) : NULL;
	int err = store_request(b->store, requests, n, w ? &claim : NULL, &e);
	bool granted = w && err == 0 && requests[0].result == 0 && claim.attempt[0];
	answer(b, &taken, requests, err, &e);
	for (i = 0; i < n; i++)
		free(requests[i].pieces);
	if (granted)
		work_grant(b, w, &claim);
}

void asks_fail(struct backend *b, int err)
{
	/* They are recorded: whoever sees what is queued and frozen cancels it. */
	asks_frozen(b, true);
	struct ask_queue all = STAILQ_HEAD_INITIALIZER(all);
	{
		LOCKED(&b->lock);
		STAILQ_CONCAT(&all, &b->asks);
	}
	struct ask *a;
	while ((a = STAILQ_FIRST(&all))) {
		STAILQ_REMOVE_HEAD(&all, link);
		ask_end(b, a, err);
	}
}
