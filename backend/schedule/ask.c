/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests on their way: backend_request() queues them from any thread, the control
 * thread sends all that wait in one commit and answers each alone.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "backend/schedule/private.h"

#define ASKS_AT_ONCE 256

static void ask_free(struct ask *a)
{
	free(a->reason);
	free(a);
}

static struct ticket *ticket_slot(struct backend *b, uint64_t number)
{
	return &b->tickets[number % TICKETS_KEPT];
}

/* NULL: no memory. */
static struct ask *ask_new(const struct backend *b, int model, const char *reason,
			   void (*done)(void *ctx, int result), void *ctx)
{
	struct ask *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->done = done;
	a->ctx = ctx;
	a->reason = reason ? strdup(reason) : NULL;
	if (reason && !a->reason) {
		free(a);
		return NULL;
	}
	a->request.reason = a->reason;
	a->request.model = model;
	a->request.expected = -1;
	a->request.at = clock_now_us(b->config.clock);
	return a;
}

/* Queues it, or returns -ECANCELED where nobody will come for it. */
static int ask_queue(struct backend *b, struct ask *a)
{
	LOCKED(&b->lock);
	if (b->stopping || !b->threads)
		return -ECANCELED;
	if (a->request.kind == REQUEST_BUILD) {
		*ticket_slot(b, a->ticket) = (struct ticket){.number = a->ticket, .model = a->request.model};
		memcpy(ticket_slot(b, a->ticket)->uuid, a->request.uuid, sizeof a->request.uuid);
		if (a->request.expected >= 0) {
			int64_t built;
			size_t text;
			enum batch_state now =
				ledger_glance(b->ledger, a->request.model, a->request.batches.first,
					      &a->request.expected_attempt, &built, &text);
			if ((int)now != a->request.expected)
				return -ENOENT;
		}
	}
	STAILQ_INSERT_TAIL(&b->asks, a, link);
	b->woken = true;
	control_wake(b);
	return 0;
}

static int refused(struct backend *b, const struct backend_request *r)
{
	const char *dir = b->catalog->models[r->model].dir;
	if (b->config.read_only)
		return backend_refuse(b, r->model, r->batches, EROFS, "%s: this mount is read only (-o ro)",
				      dir);
	struct error why = {0};
	{
		LOCKED(&b->lock);
		const char *why_not = model_why_not(b, r->model);
		if (why_not)
			error_set(&why, EOPNOTSUPP, "%s", why_not);
	}
	if (why.err)
		return backend_refuse(b, r->model, r->batches, EOPNOTSUPP, "%s", why.text);
	struct ordinal_range existing = backend_existing(b, r->model);
	if (r->batches.first < existing.first || r->batches.end > existing.end ||
	    r->batches.first >= r->batches.end)
		return backend_refuse(b, r->model, r->batches, ENOENT, "%s has no such batch now", dir);
	return 0;
}

void backend_request(struct backend *b, const struct backend_request *r, uint64_t *ticket)
{
	int err = refused(b, r);
	struct ask *a = err < 0 ? NULL : ask_new(b, r->model, r->reason, r->done, r->ctx);
	*ticket = 0;
	if (!a) {
		r->done(r->ctx, err < 0 ? err : -ENOMEM);
		return;
	}
	a->request.kind = REQUEST_BUILD;
	a->request.batches = r->batches;
	a->request.expected = r->expected;
	a->request.uid = r->uid;
	a->pid = r->pid;
	a->ticket = *ticket = __atomic_add_fetch(&b->last_ticket, 1, __ATOMIC_RELAXED);
	if (getrandom(a->request.uuid, sizeof a->request.uuid, 0) != (ssize_t)sizeof a->request.uuid)
		err = -EIO;
	else
		err = ask_queue(b, a);
	if (err < 0) {
		ask_free(a);
		r->done(r->ctx, err);
	}
}

void backend_reason(struct backend *b, uint64_t ticket, const char *reason,
		    void (*done)(void *ctx, int result), void *ctx)
{
	struct ticket known;
	{
		LOCKED(&b->lock);
		known = *ticket_slot(b, ticket);
	}
	struct ask *a = known.number == ticket ? ask_new(b, known.model, reason, done, ctx) : NULL;
	if (!a) {
		done(ctx, known.number == ticket ? -ENOMEM : -ESTALE);
		return;
	}
	a->request.kind = REQUEST_REASON;
	a->ticket = ticket;
	memcpy(a->request.uuid, known.uuid, sizeof known.uuid);
	int err = ask_queue(b, a);
	if (err < 0) {
		ask_free(a);
		done(ctx, err);
	}
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
		bool adopting = b->models[a->request.model].adopting;
		if (adopting && !model_runs(b, a->request.model)) {
			STAILQ_INSERT_TAIL(stuck, a, link);
		} else if (n == ASKS_AT_ONCE || adopting) {
			STAILQ_INSERT_TAIL(&later, a, link);
		} else {
			STAILQ_INSERT_TAIL(taken, a, link);
			n++;
		}
	}
	STAILQ_CONCAT(&b->asks, &later);
	return n;
}

static void refuse_all(struct backend *b, struct ask_queue *asks)
{
	struct ask *a;
	while ((a = STAILQ_FIRST(asks))) {
		STAILQ_REMOVE_HEAD(asks, link);
		backend_refuse(b, a->request.model, a->request.batches, EOPNOTSUPP,
			       "%s cannot be adopted; its .model says why",
			       b->catalog->models[a->request.model].dir);
		a->done(a->ctx, -EOPNOTSUPP);
		ask_free(a);
	}
}

/* The recorded request comes into the ledger; -errno: it was refused. */
static void record(struct backend *b, struct ask *a, const struct store_request *r)
{
	const char *code = b->catalog->models[r->model].code;
	struct store_request_row row = {.id = r->id,
					.seq = r->seq,
					.model = r->model,
					.batches = r->batches,
					.uid = r->uid,
					.command = r->command,
					.reason = r->reason,
					.code = code,
					.at = r->at,
					.open = true};
	LOCKED(&b->lock);
	struct ticket *t = ticket_slot(b, a->ticket);
	if (r->kind == REQUEST_REASON) {
		if (t->number == a->ticket)
			ledger_set_reason(b->ledger, t->id, r->reason);
	} else {
		if (t->number == a->ticket)
			t->id = r->id;
		if (ledger_put_request(b->ledger, &row) < 0)
			log_error(b->config.log, "no memory for a request of %s",
				  b->catalog->models[r->model].dir);
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
		if (result == 0) {
			record(b, a, r);
			changed(b, r->model, r->batches);
		} else if (result != -ENOENT) {
			backend_refuse(b, r->model, r->batches, -result, "%s",
				       err < 0 ? e->text : r->err.text);
		}
		a->done(a->ctx, result);
		ask_free(a);
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
		answer(b, &taken, none, error_set(&e, ENOMEM, "no memory for %zu requests", n), &e);
		return;
	}
	struct ask *a;
	size_t i = 0;
	STAILQ_FOREACH(a, &taken, link)
	{
		read_command(a);
		requests[i++] = a->request;
	}
	int err = b->config.engine->store->request(b->store, requests, n, &e);
	answer(b, &taken, requests, err, &e);
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
		a->done(a->ctx, err);
		ask_free(a);
	}
}
