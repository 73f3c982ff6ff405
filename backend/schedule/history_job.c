/* SPDX-License-Identifier: Apache-2.0 */
/* Histories that are open are filled on a lane: at once for who waits, now and then for who follows. */
#include <stdlib.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/report/report.h"
#include "backend/schedule/history.h"
#include "backend/schedule/history_job.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"

/* How soon after a change it is looked for. Not at once: the reason of a request comes just behind it. */
#define LOOK_US	 200000
#define RETRY_US 1000000

/* With the lock: one that has been read before and may have grown. */
static struct backend_history *due_history(const struct backend *b, int64_t now)
{
	struct backend_history *h;
	LIST_FOREACH(h, &b->histories, link)
	{
		if (h->cursor && now >= h->not_before && h->changes != history_changes(b, h->model))
			return h;
	}
	return NULL;
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

static int read_once(struct lane *l, struct backend_history *h, struct strbuf *out, struct error *err)
{
	struct lines lines = {.b = l->b, .text = STRBUF_INIT};
	struct open_worker *worker;
	/* Others look, with the lock, whether there is one. */
	char *cursor = h->cursor;
	int r = lane_worker(l, &worker, err);
	if (r == 0)
		r = builder_history(worker, h->model, l->b->config.history, &cursor, add_line, &lines, err);
	if (r < 0)
		strbuf_fini(&lines.text);
	*out = lines.text;
	LOCKED(&l->b->lock);
	h->cursor = cursor;
	return r;
}

static int read_lines(struct lane *l, struct backend_history *h, struct strbuf *out, struct error *err)
{
	int64_t begun = clock_monotonic_us();
	int r = read_once(l, h, out, err);
	/* The connection may have been lost since it was last used. */
	if (r == -ETIMEDOUT && clock_monotonic_us() - begun < RETRY_US)
		r = read_once(l, h, out, err);
	return r;
}

static int refresh(struct lane *l, struct backend_history *h, struct error *err)
{
	struct backend *b = l->b;
	auto_strbuf lines = STRBUF_INIT;
	uint64_t changes;
	{
		LOCKED(&b->lock);
		changes = history_changes(b, h->model);
	}
	int r = read_lines(l, h, &lines, err);
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
		backend_history_close(a->history);
		free(a);
	}
}

static void answer(struct lane *l, const struct lane_job *job)
{
	struct history_asks mine = STAILQ_HEAD_INITIALIZER(mine);
	struct error err = {0};
	take_asks(l->b, job->model, &mine);
	int r = refresh(l, job->what, &err);
	/* Of nobody: whoever reads next is refused likewise. */
	const struct backend_file file = {.model = job->model};
	if (r < 0)
		backend_refuse(l->b, &file, (uid_t)-1, -r, "the history cannot be read: %s", err.text);
	answer_asks(&mine, r);
	backend_history_close(job->what);
}

static void follow(struct lane *l, const struct lane_job *job)
{
	struct error err = {0};
	if (refresh(l, job->what, &err) < 0)
		log_debug(l->b->config.log, "a history is not up to date: %s", err.text);
	backend_history_close(job->what);
}

bool history_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us)
{
	const struct history_ask *ask = STAILQ_FIRST(&b->history_asks);
	struct backend_history *h = ask ? ask->history : due_history(b, now_us);
	if (h) {
		h->readers++;
		*job = (struct lane_job){.run = ask ? answer : follow, .model = h->model, .what = h};
		return true;
	}
	/* A change of a model does not wake the lane. */
	if (!LIST_EMPTY(&b->histories) && now_us + LOOK_US < *next_us)
		*next_us = now_us + LOOK_US;
	return false;
}

void history_end(struct backend *b)
{
	struct history_asks all = STAILQ_HEAD_INITIALIZER(all);
	{
		LOCKED(&b->lock);
		b->histories_end = true;
		STAILQ_CONCAT(&all, &b->history_asks);
	}
	answer_asks(&all, -ECANCELED);
}
