/* SPDX-License-Identifier: Apache-2.0 */
/* What validations have come to, and who waits for them. */
#include "backend/schedule/validation_wait.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/steps.h"

struct waited {
	slot model;
	int64_t id;
	bool over;
	int result; /* 0, -ECANCELED, -EIO: it has no report */
};

struct validation_wait {
	struct waiter waiter;
	struct backend_part *parts;
	size_t n_parts;
	struct waited *of;
	size_t n;
};

void validation_wait_free(struct validation_wait *w)
{
	if (!w)
		return;
	free(w->parts);
	free(w->of);
	free(w);
}

int validation_wait_add(struct validation_wait *w, slot model, int64_t id)
{
	struct waited *of = reallocarray(w->of, w->n + 1, sizeof *of);
	if (!of)
		return -ENOMEM;
	w->of = of;
	of[w->n++] = (struct waited){.model = model, .id = id};
	return 0;
}

struct validation_wait *validation_wait_new(const struct backend_part *parts, size_t n,
					    void (*done)(void *ctx, int result), void *ctx)
{
	struct validation_wait *w = calloc(1, sizeof *w);
	struct backend_part *copy = calloc(n + 1, sizeof *copy);
	if (!w || !copy) {
		free(w);
		free(copy);
		return NULL;
	}
	memcpy(copy, parts, n * sizeof *copy);
	*w = (struct validation_wait){.waiter = {.done = done, .ctx = ctx}, .parts = copy, .n_parts = n};
	return w;
}

/* With the lock. The validation is over: whoever waits for it need not any more. */
static void mark_over(struct backend *b, int64_t id, int result)
{
	struct waiter *waiter;
	STAILQ_FOREACH(waiter, &b->validation_waits, link)
	{
		struct validation_wait *w = (struct validation_wait *)waiter;
		for (size_t i = 0; i < w->n; i++)
			if (w->of[i].id == id && !w->of[i].over) {
				w->of[i].over = true;
				w->of[i].result = result;
			}
	}
}

void validation_told(struct backend *b, const struct store_validation *v)
{
	{
		LOCKED(&b->lock);
		int r = validation_list_put(&b->runtime[v->model].validations,
					    models_batch_size(b->models, v->model), v);
		if (r < 0)
			log_error(b->config.log, "a validation of %s is left out: %s", dir_of(b, v->model),
				  strerror(-r));
		if (v->state == VALIDATION_CANCELLED && v->id == b->validating)
			step_interrupt(&b->lanes[LANE_VALIDATION], v->model);
		switch (v->state) {
		case VALIDATION_ASKED:
			lane_wake(&b->lanes[LANE_VALIDATION]);
			break;
		case VALIDATION_DONE:
			mark_over(b, v->id, 0);
			break;
		case VALIDATION_CANCELLED:
			mark_over(b, v->id, -ECANCELED);
			break;
		case VALIDATION_FAILED:
			mark_over(b, v->id, -EIO);
			break;
		}
	}
	validations_answer(b, 0);
}

void validations_void(struct backend *b, slot model)
{
	validation_list_forget(&b->runtime[model].validations);
}

void validations_restart(struct backend *b)
{
	for (slot i = 0; i < b->runtime_end; i++)
		for (size_t k = 0; k < b->runtime[i].validations.n; k++)
			b->runtime[i].validations.list[k]->stale = true;
}

void validations_restarted(struct backend *b)
{
	for (slot i = 0; i < b->runtime_end; i++) {
		struct validation_list *l = &b->runtime[i].validations;
		for (size_t k = l->n; k-- > 0;) {
			int64_t id = l->list[k]->v.id;
			if (!l->list[k]->stale)
				continue;
			mark_over(b, id, -ECANCELED);
			validation_list_remove(l, id);
		}
	}
}

static int verdict(const struct backend *b, const struct validation_wait *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->of[i].result == -ECANCELED)
			return -ECANCELED;
	for (size_t i = 0; i < w->n; i++)
		if (w->of[i].result)
			return w->of[i].result;
	return backend_validation_verdict(b, w->parts, w->n_parts);
}

static bool is_over(const struct backend *b, struct waiter *waiter)
{
	const struct validation_wait *w = (struct validation_wait *)waiter;
	for (size_t i = 0; i < w->n; i++)
		if (!w->of[i].over)
			return false;
	return true;
}

static void answer(struct backend *b, struct waiter *waiter, int err)
{
	struct validation_wait *w = (struct validation_wait *)waiter;
	waiter->done(waiter->ctx, err ? err : verdict(b, w));
	validation_wait_free(w);
}

void validations_answer(struct backend *b, int err)
{
	waiters_answer(b, &b->validation_waits, err, is_over, answer);
}

void validation_wait_begin(struct backend *b, struct validation_wait *w)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct validation_record *r =
			validation_list_find(&b->runtime[w->of[i].model].validations, w->of[i].id);
		w->of[i].over = !r || r->v.state != VALIDATION_ASKED;
	}
	STAILQ_INSERT_TAIL(&b->validation_waits, &w->waiter, link);
}

/* With the lock. What of the parts is being looked at, or is to be. */
static int add_under_way(const struct backend *b, struct validation_wait *w)
{
	int r = 0;
	for (size_t i = 0; i < w->n_parts; i++) {
		const struct backend_part *p = &w->parts[i];
		const struct validation_list *l = &b->runtime[p->model].validations;
		for (size_t k = 0; k < l->n && r == 0; k++) {
			const struct store_validation *v = &l->list[k]->v;
			if (v->state == VALIDATION_ASKED && v->batches.first < p->batches.end &&
			    v->batches.end > p->batches.first)
				r = validation_wait_add(w, p->model, v->id);
		}
	}
	return r;
}

void backend_wait_validated(struct backend *b, const struct backend_part *parts, size_t n_parts,
			    void (*done)(void *ctx, int result), void *ctx)
{
	struct validation_wait *w = validation_wait_new(parts, n_parts, done, ctx);
	int r = w ? 0 : -ENOMEM;
	if (r == 0) {
		LOCKED(&b->lock);
		r = add_under_way(b, w);
		if (r == 0 && (!b->threads || b->stopping))
			r = -ECANCELED;
		if (r == 0) {
			validation_wait_begin(b, w);
			w = NULL;
		}
	}
	if (r < 0)
		done(ctx, r);
	validation_wait_free(w);
	validations_answer(b, 0);
}
