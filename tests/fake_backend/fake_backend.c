/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fake_backend/fake_private.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"

struct fake_batch *fake_at(const struct backend *b, slot model, ordinal batch)
{
	const struct fake_table *t = &b->tables[model];

	return &t->batches[batch - t->model.existing.first];
}

static int64_t now_us(void)
{
	struct clock system = {.offset_us = 0};

	return clock_now_us(&system);
}

struct backend *fake_open(const struct fake_model *models, int n, bool read_only)
{
	struct backend *b = calloc(1, sizeof(*b));

	b->n = n;
	b->read_only = read_only;
	b->tables = calloc((size_t)n, sizeof(*b->tables));
	for (int m = 0; m < n; m++) {
		struct fake_table *t = &b->tables[m];
		size_t count = models[m].existing.end - models[m].existing.first;
		t->model = models[m];
		t->model.dir = strdup(models[m].dir);
		t->batches = calloc(count, sizeof(*t->batches));
		for (size_t i = 0; i < count; i++) {
			t->batches[i].state = models[m].state;
			t->batches[i].built_at =
				models[m].state == BATCH_DONE ? INT64_C(1725000000123456) : 0;
		}
	}
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	TAILQ_INIT(&b->requests);
	TAILQ_INIT(&b->queue);
	return b;
}

void backend_close(struct backend *b)
{
	if (!b)
		return;
	while (!TAILQ_EMPTY(&b->queue)) {
		struct fake_job *j = TAILQ_FIRST(&b->queue);
		TAILQ_REMOVE(&b->queue, j, link);
		free(j);
	}
	for (int m = 0; m < b->n; m++) {
		free((char *)b->tables[m].model.dir);
		free(b->tables[m].batches);
	}
	free(b->tables);
	free(b->reason);
	free(b->refusal);
	pthread_cond_destroy(&b->work);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static void changed(struct backend *b, slot model, struct ordinal_range batches)
{
	if (b->listener.changed)
		b->listener.changed(b->listener.ctx, model, batches);
}

/* Under the lock. */
static void enqueue(struct backend *b, slot model, ordinal batch)
{
	struct fake_batch *x = fake_at(b, model, batch);

	if (x->state == BATCH_RUNNING)
		x->again = true;
	if (x->state == BATCH_RUNNING || x->state == BATCH_QUEUED)
		return;
	x->state = BATCH_QUEUED;
	struct fake_job *j = calloc(1, sizeof(*j));
	j->model = model;
	j->batch = batch;
	TAILQ_INSERT_TAIL(&b->queue, j, link);
	b->unsettled++;
}

/* Under the lock. */
static int record(struct backend *b, const struct fake_request *q)
{
	const struct backend_request *r = &q->r;

	if (q->is_reason) {
		free(b->reason);
		b->reason = strdup(q->reason);
		return 0;
	}
	const struct backend_part *p = &q->part;
	if (r->expected >= 0 &&
	    fake_at(b, p->model, p->batches.first)->state != (enum batch_state)r->expected)
		return -ENOENT;
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		enum batch_state s = fake_at(b, p->model, o)->state;
		if (r->run ? s != BATCH_DONE : fake_meant(p, s))
			enqueue(b, p->model, o);
	}
	b->tables[p->model].changed_at = now_us();
	b->tables[p->model].generation++;
	b->recorded++;
	if (q->reason) {
		free(b->reason);
		b->reason = strdup(q->reason);
	}
	pthread_cond_broadcast(&b->work);
	return 0;
}

static void *control(void *arg)
{
	struct backend *b = arg;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		fake_end_cancelled(b);
		struct fake_request *q = TAILQ_FIRST(&b->requests);
		if (b->stop && !q)
			break;
		if (!q || (b->hold_requests && !b->stop)) {
			pthread_cond_wait(&b->work, &b->lock);
			continue;
		}
		TAILQ_REMOVE(&b->requests, q, link);
		int r = b->stop ? -ECANCELED : record(b, q);
		pthread_mutex_unlock(&b->lock);
		if (r == 0 && !q->is_reason)
			changed(b, q->part.model, q->part.batches);
		q->r.done(q->r.ctx, r);
		free(q->reason);
		free(q);
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* Under the lock, which it gives up meanwhile. */
static void set_state(struct backend *b, slot model, ordinal batch, enum batch_state state)
{
	struct fake_batch *x = fake_at(b, model, batch);
	bool was = x->state == BATCH_RUNNING || x->state == BATCH_QUEUED;
	bool is = state == BATCH_RUNNING || state == BATCH_QUEUED;

	x->state = state;
	if (state == BATCH_DONE)
		x->built_at = now_us();
	b->unsettled = b->unsettled + is - was;
	b->tables[model].changed_at = now_us();
	b->tables[model].generation++;
	pthread_mutex_unlock(&b->lock);
	changed(b, model, (struct ordinal_range){batch, batch + 1});
	pthread_mutex_lock(&b->lock);
}

static void *build(void *arg)
{
	struct backend *b = arg;

	pthread_mutex_lock(&b->lock);
	while (!b->stop) {
		struct fake_job *j = TAILQ_FIRST(&b->queue);
		if (!j) {
			pthread_cond_wait(&b->work, &b->lock);
			continue;
		}
		TAILQ_REMOVE(&b->queue, j, link);
		struct fake_batch *x = fake_at(b, j->model, j->batch);
		x->attempt++;
		set_state(b, j->model, j->batch, BATCH_RUNNING);
		while (b->hold_builds && !b->stop)
			pthread_cond_wait(&b->work, &b->lock);
		b->built++;
		bool again = x->again;
		x->again = false;
		set_state(b, j->model, j->batch, x->failing ? BATCH_FAILED : BATCH_DONE);
		if (again)
			enqueue(b, j->model, j->batch);
		free(j);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

int backend_start(struct backend *b, const struct backend_listener *listener, struct error *err)
{
	b->listener = *listener;
	pthread_create(&b->control, NULL, control, b);
	pthread_create(&b->worker, NULL, build, b);
	return 0;
}

void backend_stop(struct backend *b)
{
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_broadcast(&b->work);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->control, NULL);
	pthread_join(b->worker, NULL);
}

static void add_request(struct backend *b, struct fake_request *q)
{
	bool stopped;

	{
		LOCKED(&b->lock);
		stopped = b->stop;
		if (!stopped)
			TAILQ_INSERT_TAIL(&b->requests, q, link);
		pthread_cond_broadcast(&b->work);
	}
	if (stopped) {
		q->r.done(q->r.ctx, -ECANCELED);
		free(q->reason);
		free(q);
	}
}

void backend_request(struct backend *b, const struct backend_request *r, uint64_t *ticket)
{
	if (r->full) {
		*ticket = 0;
		r->done(r->ctx, b->tables[r->parts->model].model.protected ? -EPERM : -EOPNOTSUPP);
		return;
	}
	struct fake_request *q = calloc(1, sizeof(*q));

	q->r = *r;
	q->part = r->parts[0];
	q->reason = r->reason ? strdup(r->reason) : NULL;
	{
		LOCKED(&b->lock);
		*ticket = ++b->tickets;
	}
	add_request(b, q);
}

void backend_reason(struct backend *b, uint64_t ticket, const char *reason,
		    void (*done)(void *ctx, int result), void *ctx)
{
	struct fake_request *q = calloc(1, sizeof(*q));

	q->is_reason = true;
	q->reason = strdup(reason);
	q->r.done = done;
	q->r.ctx = ctx;
	add_request(b, q);
}

static void hold(struct backend *b, bool *flag, bool value)
{
	LOCKED(&b->lock);
	*flag = value;
	pthread_cond_broadcast(&b->work);
}

void fake_hold_requests(struct backend *b, bool value)
{
	hold(b, &b->hold_requests, value);
}

void fake_hold_builds(struct backend *b, bool value)
{
	hold(b, &b->hold_builds, value);
}

void fake_set_failing(struct backend *b, slot model, ordinal batch, bool failing)
{
	hold(b, &fake_at(b, model, batch)->failing, failing);
}

void fake_set_state(struct backend *b, slot model, ordinal batch, enum batch_state state)
{
	LOCKED(&b->lock);
	set_state(b, model, batch, state);
}

unsigned fake_builds(struct backend *b)
{
	LOCKED(&b->lock);
	return b->built;
}

unsigned fake_requests(struct backend *b)
{
	LOCKED(&b->lock);
	return b->recorded;
}

unsigned fake_held(struct backend *b)
{
	const struct fake_request *q;
	unsigned n = 0;

	LOCKED(&b->lock);
	TAILQ_FOREACH(q, &b->requests, link)
	n++;
	return n;
}

char *fake_last_reason(struct backend *b)
{
	LOCKED(&b->lock);
	return strdup(b->reason ? b->reason : "");
}

char *fake_last_refusal(struct backend *b)
{
	LOCKED(&b->lock);
	return strdup(b->refusal ? b->refusal : "");
}

static bool busy(const struct fake_batch *x)
{
	return x->state == BATCH_RUNNING || x->state == BATCH_QUEUED;
}

ordinal backend_next_unsettled(const struct backend *b, slot model, struct ordinal_range batches)
{
	LOCKED(lock_of(b));
	if (!b->unsettled)
		return batches.end;
	for (ordinal o = batches.first; o < batches.end; o++)
		if (busy(fake_at(b, model, o)))
			return o;
	return batches.end;
}

int64_t backend_oldest_build(const struct backend *b, slot model, struct ordinal_range batches)
{
	int64_t oldest = 0;

	LOCKED(lock_of(b));
	for (ordinal o = batches.first; o < batches.end; o++) {
		int64_t t = fake_at(b, model, o)->built_at;
		if (t && (!oldest || t < oldest))
			oldest = t;
	}
	return oldest;
}

int64_t backend_changed_at(const struct backend *b, slot model)
{
	LOCKED(lock_of(b));
	return b->tables[model].changed_at;
}
