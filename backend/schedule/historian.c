/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The historian: a second slow lane, because the first may be reading a table for minutes. It fills the
 * histories that are open and forgets attempts that are too many. Its worker, and with that its connection,
 * lasts only as long as there is something to do.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/models.h"
#include "backend/report/report.h"
#include "backend/schedule/historian.h"
#include "backend/schedule/history.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"

/* How soon after a change it is looked for. Not at once: the reason of a request comes just behind it. */
#define LOOK_US	 200000
#define RETRY_US 1000000

struct historian {
	struct backend *b;
	struct open_worker *worker; /* NULL: none now */
};

enum task_kind { TASK_NONE, TASK_ANSWER, TASK_REFRESH, TASK_PRUNE, TASK_END };

struct task {
	enum task_kind kind;
	slot model;
	struct backend_history *history; /* REFRESH and ANSWER: counted; NULL: nobody has it open any more */
};

/* With the lock. */
static uint64_t changes_of(const struct backend *b, slot model)
{
	return model < 0 ? b->changes : b->runtime[model].generation;
}

/* With the lock: one that has been read before and may have grown. */
static struct backend_history *due_history(const struct backend *b, int64_t now)
{
	struct backend_history *h;
	LIST_FOREACH(h, &b->histories, link)
	{
		if (h->cursor && now >= h->not_before && h->changes != changes_of(b, h->model))
			return h;
	}
	return NULL;
}

static struct task next_task(struct backend *b)
{
	int64_t now = clock_monotonic_us();
	struct task t = {TASK_NONE, -1, NULL};
	LOCKED(&b->lock);
	b->historian_woken = false;
	if (b->control_done) {
		t.kind = TASK_END;
	} else if (!STAILQ_EMPTY(&b->history_asks)) {
		t.kind = TASK_ANSWER;
		t.model = STAILQ_FIRST(&b->history_asks)->model;
		t.history = history_find(b, t.model);
	} else if ((t.history = due_history(b, now))) {
		t.kind = TASK_REFRESH;
		t.model = t.history->model;
	} else if (b->pruning && now >= b->prune_at) {
		t.kind = TASK_PRUNE;
	}
	if (t.history)
		t.history->readers++;
	return t;
}

/* Until something is to be done, or may be. */
static void wait_for_task(struct backend *b)
{
	LOCKED(&b->lock);
	if (b->historian_woken)
		return;
	struct timespec until = clock_moment_in(LIST_EMPTY(&b->histories) ? RETRY_US : LOOK_US);
	if (LIST_EMPTY(&b->histories) && !b->pruning)
		pthread_cond_wait(&b->history_wake, &b->lock);
	else
		pthread_cond_timedwait(&b->history_wake, &b->lock, &until);
}

static bool anybody_reads(struct backend *b)
{
	LOCKED(&b->lock);
	return !LIST_EMPTY(&b->histories);
}

static int open_worker(struct historian *x, struct error *err)
{
	return x->worker ? 0 : builder_worker_open(x->b->store, "history", &x->worker, err);
}

static void close_worker(struct historian *x)
{
	builder_worker_close(x->worker);
	x->worker = NULL;
}

struct lines {
	struct backend *b;
	struct strbuf text;
};

static void add_line(void *ctx, const struct ended_attempt *a)
{
	struct lines *l = ctx;
	LOCKED(&l->b->lock);
	report_attempt(facts_of(l->b, a->model), a, &l->text);
}

static int read_once(struct historian *x, struct backend_history *h, struct strbuf *out, struct error *err)
{
	const struct backend_config *c = &x->b->config;
	struct lines l = {.b = x->b, .text = STRBUF_INIT};
	int r = open_worker(x, err);
	if (r == 0)
		r = builder_history(x->worker, h->model, c->history, &h->cursor, add_line, &l, err);
	if (r < 0)
		strbuf_fini(&l.text);
	*out = l.text;
	return r;
}

static int read_lines(struct historian *x, struct backend_history *h, struct strbuf *out, struct error *err)
{
	int64_t begun = clock_monotonic_us();
	int r = read_once(x, h, out, err);
	/* The connection may have been lost since it was last used. */
	if (r == -ETIMEDOUT && clock_monotonic_us() - begun < RETRY_US)
		r = read_once(x, h, out, err);
	return r;
}

static int refresh(struct historian *x, struct backend_history *h, struct error *err)
{
	struct backend *b = x->b;
	auto_strbuf lines = STRBUF_INIT;
	uint64_t changes;
	{
		LOCKED(&b->lock);
		changes = changes_of(b, h->model);
	}
	int r = read_lines(x, h, &lines, err);
	LOCKED(&b->lock);
	h->not_before = clock_monotonic_us() + (r < 0 ? RETRY_US : LOOK_US);
	if (r == 0) {
		h->changes = changes;
		r = history_append(h, &lines);
	}
	return r;
}

/* Who waits for the model now: who comes later wants what has ended until then. */
static void take_asks(struct backend *b, slot model, struct history_asks *mine)
{
	struct history_asks others = STAILQ_HEAD_INITIALIZER(others);
	struct history_ask *a;
	LOCKED(&b->lock);
	while ((a = STAILQ_FIRST(&b->history_asks))) {
		STAILQ_REMOVE_HEAD(&b->history_asks, link);
		if (a->model == model)
			STAILQ_INSERT_TAIL(mine, a, link);
		else
			STAILQ_INSERT_TAIL(&others, a, link);
	}
	STAILQ_CONCAT(&b->history_asks, &others);
}

static void answer_asks(struct history_asks *asks, int result)
{
	struct history_ask *a;
	while ((a = STAILQ_FIRST(asks))) {
		STAILQ_REMOVE_HEAD(asks, link);
		a->done(a->ctx, result);
		free(a);
	}
}

static void answer(struct historian *x, const struct task *t)
{
	struct history_asks mine = STAILQ_HEAD_INITIALIZER(mine);
	struct error err = {0};
	take_asks(x->b, t->model, &mine);
	int r = t->history ? refresh(x, t->history, &err) : -ECANCELED;
	/* Of nobody: whoever reads next is refused likewise. */
	const struct backend_file file = {.model = t->model};
	if (r < 0 && r != -ECANCELED)
		backend_refuse(x->b, &file, (uid_t)-1, -r, "the history cannot be read: %s", err.text);
	answer_asks(&mine, r);
}

/* The next model whose attempts may be too many; -1: none. */
static int take_prune(struct backend *b)
{
	LOCKED(&b->lock);
	for (slot i = 0; i < models_end(b->models); i++) {
		if (!b->runtime[i].prune)
			continue;
		b->runtime[i].prune = false;
		return i;
	}
	b->pruning = false;
	return -1;
}

static void prune(struct historian *x)
{
	struct backend *b = x->b;
	struct error err = {0};
	slot model = take_prune(b);
	if (model < 0)
		return;
	int64_t before = clock_now_us(b->config.clock) - FEED_AGE_US;
	int r = open_worker(x, &err);
	if (r == 0)
		r = builder_prune(x->worker, model, b->config.history, before, &err);
	if (r == 0)
		return;
	log_debug(b->config.log, "%s: old attempts are still kept: %s", dir_of(b, model), err.text);
	LOCKED(&b->lock);
	b->runtime[model].prune = b->pruning = true;
	b->prune_at = clock_monotonic_us() + RETRY_US;
}

static void do_task(struct historian *x, const struct task *t)
{
	struct error err = {0};
	switch (t->kind) {
	case TASK_ANSWER:
		answer(x, t);
		break;
	case TASK_REFRESH:
		if (refresh(x, t->history, &err) < 0)
			log_debug(x->b->config.log, "a history is not up to date: %s", err.text);
		break;
	case TASK_PRUNE:
		prune(x);
		break;
	case TASK_NONE:
	case TASK_END:
		break;
	}
	backend_history_close(t->history);
}

static void answer_the_rest(struct backend *b)
{
	struct history_asks all = STAILQ_HEAD_INITIALIZER(all);
	{
		LOCKED(&b->lock);
		b->historian_done = true;
		STAILQ_CONCAT(&all, &b->history_asks);
	}
	answer_asks(&all, -ECANCELED);
}

void *historian_main(void *arg)
{
	struct historian x = {.b = arg};
	for (struct task t; (t = next_task(x.b)).kind != TASK_END;) {
		do_task(&x, &t);
		if (t.kind != TASK_NONE)
			continue;
		if (!anybody_reads(x.b))
			close_worker(&x);
		wait_for_task(x.b);
	}
	close_worker(&x);
	answer_the_rest(x.b);
	return NULL;
}
