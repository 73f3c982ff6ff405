/* SPDX-License-Identifier: Apache-2.0 */
/* Validations are asked for and cancelled: notes, which are recorded before they count. */
#include "backend/schedule/validation_ask.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/plan.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/validation_wait.h"

struct validation_note {
	STAILQ_ENTRY(validation_note) link;
	struct validation_wait
		*wait; /* who waits until what is asked for is over; NULL: until it is recorded */
	void (*done)(void *ctx, int result); /* NULL: nobody waits */
	void *ctx;
	struct backend_part *parts; /* to be validated; NULL: the list is what is to be recorded */
	size_t n_parts;
	struct store_validation *list;
	size_t n;
};

static void note_free(struct validation_note *n)
{
	if (!n)
		return;
	free(n->parts);
	free(n->list);
	validation_wait_free(n->wait);
	free(n);
}

/* With the lock. Whether an ask for exactly that waits already: it will begin after this one, too. */
static struct validation_record *waiting(const struct backend *b, slot model, struct ordinal_range batches)
{
	const struct validation_list *l = &b->runtime[model].validations;
	for (size_t i = 0; i < l->n; i++) {
		struct validation_record *r = l->list[i];
		if (r->v.state == VALIDATION_ASKED && r->v.mine && !r->begun && !r->cancelling &&
		    r->v.batches.first == batches.first && r->v.batches.end == batches.end)
			return r;
	}
	return NULL;
}

static int note_add(struct validation_note *n, const struct store_validation *v)
{
	/* At powers of two. */
	if ((n->n & (n->n - 1)) == 0) {
		struct store_validation *list = reallocarray(n->list, n->n ? 2 * n->n : 1, sizeof *list);
		if (!list)
			return -ENOMEM;
		n->list = list;
	}
	n->list[n->n++] = *v;
	return 0;
}

/* With the lock. Asks for neighbours, unless that waits already. */
static int ask(struct backend *b, struct validation_note *n, slot model, struct ordinal_range batches)
{
	struct validation_record *r = waiting(b, model, batches);
	const struct store_validation v = {.model = model,
					   .batches = batches,
					   .state = VALIDATION_ASKED,
					   .mine = true,
					   .asked_at = clock_now_us(b->config.clock),
					   .findings = "",
					   .message = ""};
	if (r)
		return n->wait ? validation_wait_add(n->wait, model, r->v.id) : 0;
	return note_add(n, &v);
}

/* Single batches here and there are one stretch, beyond so many: each is a row, and a query. */
#define RUNS_MAX 100
/* Between two pieces of so many batches others have the lock. */
#define BATCHES_AT_ONCE 4096

struct runs {
	struct ordinal_range list[RUNS_MAX], hull;
	size_t n; /* RUNS_MAX + 1: too many */
};

static void runs_add(struct runs *runs, ordinal o)
{
	bool next = runs->n && runs->n <= RUNS_MAX && runs->list[runs->n - 1].end == o;
	runs->hull.first = runs->n ? runs->hull.first : o;
	runs->hull.end = o + 1;
	if (next)
		runs->list[runs->n - 1].end++;
	else if (runs->n < RUNS_MAX)
		runs->list[runs->n++] = (struct ordinal_range){o, o + 1};
	else
		runs->n = RUNS_MAX + 1;
}

/* With the lock. */
static bool can_be_asked(const struct backend *b, slot model)
{
	return !models_gone(b->models, model) && b->runtime[model].lookable;
}

/* Without the lock. Of a set of states those batches that are in it now. */
static void find_set(struct backend *b, const struct backend_part *part, struct runs *runs)
{
	ordinal o = part->batches.first;
	while (o < part->batches.end) {
		LOCKED(&b->lock);
		if (!can_be_asked(b, part->model))
			return;
		for (int i = 0; i < BATCHES_AT_ONCE && o < part->batches.end; i++, o++)
			if (plan_is_in_set(b->ledger, b->models, part->model, o, part->states))
				runs_add(runs, o);
	}
}

/* With the lock. */
static int ask_runs(struct backend *b, struct validation_note *n, slot model, const struct runs *runs)
{
	if (runs->n > RUNS_MAX)
		return ask(b, n, model, runs->hull);
	int r = 0;
	for (size_t i = 0; i < runs->n && r == 0; i++)
		r = ask(b, n, model, runs->list[i]);
	return r;
}

static int ask_part(struct backend *b, struct validation_note *n, const struct backend_part *part)
{
	struct runs runs = {.n = 0};
	if (part->states)
		find_set(b, part, &runs);
	LOCKED(&b->lock);
	if (!can_be_asked(b, part->model))
		return 0;
	if (part->states)
		return ask_runs(b, n, part->model, &runs);
	struct ordinal_range existing =
		plan_existing(facts_of(b, part->model), clock_now_us(b->config.clock));
	bool whole = part->batches.first <= existing.first && part->batches.end >= existing.end;
	return ask(b, n, part->model, whole ? VALIDATION_WHOLE : part->batches);
}

static int refused(struct backend *b, const struct backend_part *parts, size_t n_parts, const char *why)
{
	const struct backend_file file = {.model = n_parts ? parts->model : SLOT_NONE};
	return backend_refuse(b, &file, (uid_t)-1, EOPNOTSUPP, "%s", why);
}

void backend_validate(struct backend *b, const struct backend_part *parts, size_t n_parts, bool wait,
		      void (*done)(void *ctx, int result), void *ctx)
{
	const char *no = engine_looks(b->config.engine)->no_validation;
	struct validation_note *n = no ? NULL : calloc(1, sizeof *n);
	int r = no ? refused(b, parts, n_parts, no) : n ? 0 : -ENOMEM;
	if (r == 0) {
		*n = (struct validation_note){.done = done, .ctx = ctx, .n_parts = n_parts};
		n->parts = calloc(n_parts + 1, sizeof *n->parts);
		n->wait = wait ? validation_wait_new(parts, n_parts, done, ctx) : NULL;
		r = !n->parts || (wait && !n->wait) ? -ENOMEM : 0;
	}
	if (r == 0) {
		memcpy(n->parts, parts, n_parts * sizeof *parts);
		LOCKED(&b->lock);
		if (!b->threads || b->stopping || b->validation_notes_end) {
			r = -ECANCELED;
		} else {
			STAILQ_INSERT_TAIL(&b->validation_notes, n, link);
			lane_wake(&b->lanes[LANE_HISTORY]);
			n = NULL;
		}
	}
	if (r < 0)
		done(ctx, r);
	note_free(n);
}

/* What is to be recorded of it: on the lane, because a set of states is looked for batch by batch. */
static int expand(struct backend *b, struct validation_note *n)
{
	int r = 0;
	for (size_t i = 0; n->parts && i < n->n_parts && r == 0; i++)
		r = ask_part(b, n, &n->parts[i]);
	return r;
}

/* With the lock. What lies within the part. */
static int cancel_part(struct backend *b, struct validation_note *n, const struct backend_part *part)
{
	struct validation_list *l = &b->runtime[part->model].validations;
	struct ordinal_range existing =
		plan_existing(facts_of(b, part->model), clock_now_us(b->config.clock));
	bool whole = part->batches.first <= existing.first && part->batches.end >= existing.end;
	int r = 0;
	for (size_t k = 0; k < l->n && r == 0; k++) {
		struct validation_record *x = l->list[k];
		if (x->v.state != VALIDATION_ASKED || x->cancelling ||
		    (!whole &&
		     (x->v.batches.first < part->batches.first || x->v.batches.end > part->batches.end)))
			continue;
		struct store_validation v = x->v;
		v.state = VALIDATION_CANCELLED;
		v.at = clock_now_us(b->config.clock);
		v.findings = v.message = "";
		r = note_add(n, &v);
		x->cancelling = r == 0;
	}
	return r;
}

int backend_cancel_validation(struct backend *b, const struct backend_part *parts, size_t n_parts)
{
	struct validation_note *n = calloc(1, sizeof *n);
	int r = n ? 0 : -ENOMEM;
	if (r == 0) {
		LOCKED(&b->lock);
		if (!b->threads || b->stopping || b->validation_notes_end)
			r = -ECANCELED;
		for (size_t i = 0; i < n_parts && r == 0; i++)
			r = cancel_part(b, n, &parts[i]);
		if (r == 0 && n->n == 0)
			r = -EPERM;
		if (n->n) {
			STAILQ_INSERT_TAIL(&b->validation_notes, n, link);
			lane_wake(&b->lanes[LANE_HISTORY]);
			n = NULL;
		}
	}
	note_free(n);
	return r;
}

/* With the lock: the cancel of these could not be recorded. */
static void uncancel(struct backend *b, const struct validation_note *n)
{
	for (size_t i = 0; i < n->n; i++) {
		struct validation_record *r =
			validation_list_find(&b->runtime[n->list[i].model].validations, n->list[i].id);
		if (r && n->list[i].state == VALIDATION_CANCELLED)
			r->cancelling = false;
	}
}

/* What was recorded is so here, too. */
static void take_effect(struct backend *b, struct validation_note *n)
{
	struct validation_wait *w = steal(&n->wait);
	if (w) {
		/* Before they are known, and may be carried out: afterwards it is others who answer it. */
		LOCKED(&b->lock);
		validation_wait_begin(b, w);
		for (size_t i = 0; i < n->n; i++)
			if (validation_wait_add(w, n->list[i].model, n->list[i].id) < 0)
				log_error(b->config.log, "no memory to wait for a validation");
	}
	for (size_t i = 0; i < n->n; i++)
		validation_told(b, &n->list[i]);
	if (!w && n->done)
		n->done(n->ctx, 0);
	validations_answer(b, 0);
}

static int keep(struct lane *l, struct validation_note *n, struct error *err)
{
	struct open_worker *worker;
	int64_t begun = clock_monotonic_us();
	int r = n->n ? lane_worker(l, &worker, err) : 0;
	if (r == 0 && n->n)
		r = builder_keep_validations(worker, n->list, n->n, err);
	/* The connection may have been lost since it was last used. */
	if (r == -ETIMEDOUT && clock_monotonic_us() - begun < 1000000)
		r = builder_keep_validations(worker, n->list, n->n, err);
	return r;
}

static void record(struct lane *l, const struct lane_job *job)
{
	struct backend *b = l->b;
	struct validation_note *n = job->what;
	struct error err = {0};
	int r = expand(b, n);
	if (r == 0)
		r = keep(l, n, &err);
	else
		error_set(&err, -r, "no memory");
	if (r < 0) {
		const struct backend_file file = {.model = n->n ? n->list[0].model : SLOT_NONE};
		{
			LOCKED(&b->lock);
			uncancel(b, n);
		}
		backend_refuse(b, &file, (uid_t)-1, -r, "nothing was recorded of a validation: %s", err.text);
		if (n->done)
			n->done(n->ctx, r);
	} else {
		take_effect(b, n);
	}
	note_free(n);
}

bool validation_note_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us)
{
	struct validation_note *n = STAILQ_FIRST(&b->validation_notes);
	if (!n)
		return false;
	STAILQ_REMOVE_HEAD(&b->validation_notes, link);
	*job = (struct lane_job){.run = record, .what = n};
	return true;
}

void validation_notes_end(struct backend *b)
{
	struct validation_notes all = STAILQ_HEAD_INITIALIZER(all);
	struct validation_note *n;
	{
		LOCKED(&b->lock);
		b->validation_notes_end = true;
		STAILQ_CONCAT(&all, &b->validation_notes);
	}
	while ((n = STAILQ_FIRST(&all))) {
		STAILQ_REMOVE_HEAD(&all, link);
		if (n->done)
			n->done(n->ctx, -ECANCELED);
		note_free(n);
	}
}
