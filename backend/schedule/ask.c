/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests on their way: backend_request() queues them from any thread, the control
 * thread sends all that wait in one commit and answers each alone.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "backend/base/count.h"
#include "backend/schedule/private.h"

#define ASKS_AT_ONCE 256

struct ask_group *group_new(void (*done)(void *ctx, int result), void *ctx)
{
	struct ask_group *g = calloc(1, sizeof *g);
	if (g)
		*g = (struct ask_group){.members = 1, .done = done, .ctx = ctx};
	return g;
}

void group_leave(struct ask_group *g, int result)
{
	int none = 0;
	if (result < 0)
		__atomic_compare_exchange_n(&g->result, &none, result, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE);
	if (__atomic_sub_fetch(&g->members, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (g->done)
		g->done(g->ctx, g->result);
	free(g);
}

static void ask_end(struct backend *b, struct ask *a, int result)
{
	struct ask *next;
	while ((next = STAILQ_FIRST(&a->then))) {
		STAILQ_REMOVE_HEAD(&a->then, link);
		if (result < 0)
			ask_end(b, next, result);
		else
			ask_send(b, next);
	}
	if (request_traits(a->request.kind)->stops) {
		LOCKED(&b->lock);
		b->runtime[a->request.model].cancels--;
	}
	group_leave(a->group, result);
	struct outcome *o;
	while ((o = STAILQ_FIRST(&a->cancelled))) {
		STAILQ_REMOVE_HEAD(&a->cancelled, link);
		free(o);
	}
	free(a->reason);
	free(a);
}

static struct ticket *ticket_slot(struct backend *b, uint64_t number)
{
	return &b->tickets[number % TICKETS_KEPT];
}

struct ask *ask_new(const struct backend *b, struct ask_group *g, slot model, const char *reason)
{
	struct ask *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->reason = reason ? strdup(reason) : NULL;
	if (reason && !a->reason) {
		free(a);
		return NULL;
	}
	a->group = g;
	STAILQ_INIT(&a->then);
	STAILQ_INIT(&a->cancelled);
	__atomic_add_fetch(&g->members, 1, __ATOMIC_RELAXED);
	a->request.reason = a->reason;
	a->request.model = model;
	a->request.expected = -1;
	a->request.at = clock_now_us(b->config.clock);
	return a;
}

void ask_name(struct ask *a)
{
	ssize_t n = getrandom(a->request.uuid, sizeof a->request.uuid, 0);
	(void)n; /* 16 bytes come whole once the pool is up, which it is when a file system is mounted */
}

int ask_queue(struct backend *b, struct ask *a)
{
	/* Nobody will come for it. What runs may be cancelled in the drain, too. */
	const struct request_traits *traits = request_traits(a->request.kind);
	if ((b->stopping && !traits->stops) || !b->threads)
		return -ECANCELED;
	if (traits->builds) {
		*ticket_slot(b, a->ticket) =
			(struct ticket){.number = a->ticket, .of = a->ticket_of, .model = a->request.model};
		memcpy(ticket_slot(b, a->ticket)->uuid, a->request.uuid, sizeof a->request.uuid);
		if (a->request.expected >= 0) {
			int64_t built;
			size_t text;
			enum batch_state now =
				ledger_glance(b->ledger, a->request.model, a->request.batches.first,
					      &a->request.expected_attempt, &built, &text);
			if (now == BATCH_DONE)
				now = plan_state(b->ledger, b->models, a->request.model,
						 a->request.batches.first);
			if ((int)now != a->request.expected)
				return -ENOENT;
		}
	}
	b->runtime[a->request.model].cancels += traits->stops;
	STAILQ_INSERT_TAIL(&b->asks, a, link);
	b->woken = true;
	control_wake(b);
	return 0;
}

static int ask_queue_locked(struct backend *b, struct ask *a)
{
	LOCKED(&b->lock);
	return ask_queue(b, a);
}

void ask_send(struct backend *b, struct ask *a)
{
	int err = ask_queue_locked(b, a);
	if (err < 0)
		ask_end(b, a, err);
}

/* Every request that came of the ticket's gets the text. */
void backend_reason(struct backend *b, uint64_t ticket, const char *reason,
		    void (*done)(void *ctx, int result), void *ctx)
{
	struct ticket known;
	{
		LOCKED(&b->lock);
		known = *ticket_slot(b, ticket);
	}
	struct ask_group *g = known.number == ticket ? group_new(done, ctx) : NULL;
	if (!g) {
		done(ctx, known.number == ticket ? -ENOMEM : -ESTALE);
		return;
	}
	uint64_t end = ticket + known.of;
	for (uint64_t t = ticket; t < end; t++) {
		{
			LOCKED(&b->lock);
			known = *ticket_slot(b, t);
		}
		struct ask *a = known.number == t ? ask_new(b, g, known.model, reason) : NULL;
		if (!a)
			continue;
		a->request.kind = REQUEST_REASON;
		a->ticket = t;
		memcpy(a->request.uuid, known.uuid, sizeof known.uuid);
		ask_send(b, a);
	}
	group_leave(g, 0);
}

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

/*
 * What may be sent now, in order. Requests on a model that is being adopted wait for the end of
 * that; where it cannot be adopted they go to `stuck`.
 */
static size_t take(struct backend *b, struct ask_queue *taken, struct ask_queue *stuck)
{
	LOCKED(&b->lock);
	struct ask_queue later = STAILQ_HEAD_INITIALIZER(later);
	size_t n = 0;
	struct ask *a;
	while ((a = STAILQ_FIRST(&b->asks))) {
		STAILQ_REMOVE_HEAD(&b->asks, link);
		bool adopting =
			b->runtime[a->request.model].adopting && request_traits(a->request.kind)->of_builds;
		bool early = request_traits(a->request.kind)->clears_queue && !a->cleared;
		if (adopting && !model_runs(b, a->request.model)) {
			STAILQ_INSERT_TAIL(stuck, a, link);
		} else if (n == ASKS_AT_ONCE || adopting || early) {
			STAILQ_INSERT_TAIL(&later, a, link);
		} else {
			STAILQ_INSERT_TAIL(taken, a, link);
			n++;
		}
	}
	STAILQ_CONCAT(&b->asks, &later);
	/* What is left over is not waited with until somebody else wakes us. */
	b->woken |= n == ASKS_AT_ONCE;
	return n;
}

static void refuse_all(struct backend *b, struct ask_queue *asks)
{
	struct error why;
	struct ask *a;
	while ((a = STAILQ_FIRST(asks))) {
		STAILQ_REMOVE_HEAD(asks, link);
		error_set(&why, EOPNOTSUPP, "%s cannot be adopted; its .model says why",
			  dir_of(b, a->request.model));
		refuse_request(b, &a->request, why.err, why.text);
		ask_end(b, a, -EOPNOTSUPP);
	}
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
	switch (r->kind) {
	case REQUEST_BUILD:
		if (t->number == a->ticket)
			t->id = r->id;
		if (ledger_put_request(b->ledger, &row) < 0)
			log_error(b->config.log, "no memory for a request of %s", dir_of(b, r->model));
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
	case REQUEST_CANCEL: /* carried out before it is answered: cancel_apply() */
		break;
	}
	touch_model(b, r->model);
}

static void answer(struct backend *b, struct ask_queue *asks, const struct store_request *requests, int err,
		   const struct error *e)
{
	struct ask *a;
	for (size_t i = 0; (a = STAILQ_FIRST(asks)); i++) {
		STAILQ_REMOVE_HEAD(asks, link);
		const struct store_request *r = &requests[i];
		int result = err < 0 ? err : r->result;
		const struct request_traits *traits = request_traits(r->kind);
		if (traits->stops)
			cancel_recorded(b, a, result == 0 ? r->seq : INT64_MAX);
		if (result == 0) {
			record(b, a, r);
			changed(b, r->model, r->batches);
		} else if (result != -ENOENT) {
			refuse_request(b, r, -result, err < 0 ? e->text : r->err.text);
		}
		if (result == 0 && traits->clears_queue)
			STAILQ_INSERT_TAIL(&b->frozen, a, link);
		else
			ask_end(b, a, result);
	}
}

void asks_frozen(struct backend *b)
{
	struct ask *a;
	while ((a = STAILQ_FIRST(&b->frozen))) {
		STAILQ_REMOVE_HEAD(&b->frozen, link);
		ask_end(b, a, 0);
	}
}

void asks_send(struct backend *b)
{
	struct ask_queue taken = STAILQ_HEAD_INITIALIZER(taken), stuck = STAILQ_HEAD_INITIALIZER(stuck);
	size_t n = take(b, &taken, &stuck);
	refuse_all(b, &stuck);
	if (n == 0)
		return;
	struct error e = {0};
	auto_free struct store_request *requests = calloc(n, sizeof *requests);
	if (!requests) {
		static const struct store_request none[ASKS_AT_ONCE];
		answer(b, &taken, none,
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
	if (granted)
		work_grant(b, w, &claim);
}

void asks_fail(struct backend *b, int err)
{
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
