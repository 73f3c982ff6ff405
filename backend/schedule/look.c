/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/count.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/plan.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/finding.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/validation_wait.h"

/* After a look that failed; what may read all of a table for nothing is tried less and less often. */
#define RETRY_US      1000000
#define LONGEST_SHIFT 5
#define LOST_MAX      5

/* What waits for a batch of the model to end comes back so soon. */
#define RUNS_US 100000

struct look_member {
	slot model;
	uint64_t number; /* of model_runtime.asked */
};

struct look_wait {
	struct waiter waiter;
	size_t n;
	struct look_member of[];
};

void look_begin_anew(struct backend *b, slot model)
{
	struct model_runtime *m = &b->runtime[model];
	/* Of a table that nobody has looked at yet the reason stands until the next look. */
	if (ledger_looked(b->ledger, model))
		model_look_failed(m, "", "");
	ledger_forget(b->ledger, model);
	ledger_set_looked(b->ledger, model, false);
	m->told_looked = false;
	validations_void(b, model);
	m->forgotten = true;
	m->anew++;
	m->prepared = false;
	m->look_at = 0;
	m->looked_at = 0;
	lane_wake(&b->lanes[LANE_LOOK]);
	touch_model(b, model);
}

void look_met(struct backend *b, slot model, const struct store_target *target)
{
	/* The known table may be back, whose states went when another thing stood in its place; or such a
	 * thing is there now, and what is recorded is not of that. */
	if (target->look || (target->exists && (b->runtime[model].forgotten || !target->lookable)))
		look_begin_anew(b, model);
	else
		ledger_set_looked(b->ledger, model, target->lookable || ledger_remembers(b->ledger, model));
}

void look_forget_gone(struct backend *b, slot model, const struct store_target *target)
{
	if (!target->look && !target->exists)
		ledger_forget_built(b->ledger, model);
}

/* With the lock. A model that is in the manifest no more, or has no table that anybody could look at, has
 * none.
 */
static bool has_table(const struct backend *b, slot model)
{
	return !models_gone(b->models, model) && b->runtime[model].lookable;
}

bool look_is_due(const struct backend *b, slot model)
{
	const struct model_runtime *m = &b->runtime[model];
	return !ledger_looked(b->ledger, model) && has_table(b, model) && !m->why_not &&
	       (m->telling || !m->look_failed);
}

/* With the lock. When, and how, the model is looked at next; INT64_MAX: not before something happens. */
static int64_t due_at(const struct backend *b, slot model, enum look_kind *kind)
{
	const struct model_runtime *m = &b->runtime[model];
	bool first = !ledger_looked(b->ledger, model);
	bool asked = m->asked > m->answered;
	int64_t at = m->clock_at;
	*kind = first ? LOOK_FIRST : asked ? LOOK_ASKED : LOOK_CLOCK;
	if (!has_table(b, model) || m->preparing || m->telling)
		return INT64_MAX;
	if (*kind != LOOK_CLOCK)
		at = m->look_at;
	else if (!m->exists || (!b->config.look_s && m->clock_at))
		return INT64_MAX;
	/* Who only looks on records nothing that a batch of another mount could contradict. */
	if ((first || !m->exists) && !b->config.read_only && ledger_running(b->ledger, model) > 0) {
		int64_t later = clock_monotonic_us() + RUNS_US;
		return at > later ? at : later;
	}
	return at;
}

slot look_next(const struct backend *b, int64_t now, enum look_kind *kind, int64_t *next_at)
{
	slot best = SLOT_NONE;
	*next_at = INT64_MAX;
	for (slot i = 0; i < models_end(b->models); i++) {
		enum look_kind one;
		int64_t at = due_at(b, i, &one);
		/* The one that is due longest: a table that is locked, and tried again and again, is no
		 * other model's trouble. */
		if (at < *next_at || (at == *next_at && best != SLOT_NONE && one < *kind)) {
			*next_at = at;
			best = at <= now ? i : SLOT_NONE;
			*kind = one;
		}
	}
	return best;
}

/* With the lock: what a look that failed means; "": it may be tried again, and requests wait. */
static const char *refusal(struct model_runtime *m, int r, const struct error *err)
{
	bool waits = r == -EAGAIN || r == -EBUSY || warehouse_away(r);
	m->lost = r == -ETIMEDOUT ? m->lost + 1 : 0;
	/* A pass that takes the connection with it each time. */
	return r < 0 && (!waits || m->lost > LOST_MAX) ? err->text : "";
}

static int64_t retry_at(struct model_runtime *m, int r)
{
	bool cheap = r == -EACCES || r == -EOPNOTSUPP || r == -EBUSY;
	unsigned shift = cheap ? 0 : m->looks < LONGEST_SHIFT ? m->looks++ : LONGEST_SHIFT;
	return clock_monotonic_us() + ((int64_t)RETRY_US << shift);
}

/* With the lock: what the store has found where nobody had looked. */
static void first_ended(struct backend *b, slot model, int r)
{
	struct model_runtime *m = &b->runtime[model];
	/* -EAGAIN: the target has gone; the next request makes a new one. */
	bool over = r == 0 || r == -EAGAIN;
	if (r == -EAGAIN)
		ledger_forget_built(b->ledger, model);
	if (over)
		ledger_set_looked(b->ledger, model, true);
	m->forgotten &= !over;
	m->exists &= r != -EAGAIN;
	m->prepared &= r != -EAGAIN;
	b->woken = true;
}

/* With the lock. Whether the look is over, well or not. */
static bool note_end(struct backend *b, slot model, enum look_kind kind, int r, const struct error *err,
		     const struct finding *f, unsigned anew)
{
	struct model_runtime *m = &b->runtime[model];
	/* What it saw has gone: look_begin_anew() has said what comes next. */
	if (m->anew != anew)
		return false;
	const char *why_not = refusal(m, r, err);
	bool first = kind == LOOK_FIRST;
	/* Meanwhile a worker has made the table, or the store has met another one: what the look saw is gone.
	 */
	if (first && r < 0 && ledger_looked(b->ledger, model))
		return true;
	/* The right that the look lacks is one that every batch needs. */
	if (!first && r == -EACCES && !b->config.read_only && !m->why_not) {
		model_refuses(m, err->text, err->sqlstate);
		m->refused_at = clock_monotonic_us();
	}
	if (first)
		first_ended(b, model, r);
	else if (r == -EAGAIN)
		look_begin_anew(b, model); /* it is another table by now */
	if (r == 0) {
		m->looked_at = clock_now_us(b->config.clock);
		m->looks = 0;
	}
	if (r == 0 && (first || f->adopted || f->gone)) {
		m->found_at = m->looked_at;
		m->adopted = f->adopted;
		m->gone = f->gone;
	}
	model_look_failed(m, why_not, *why_not ? err->sqlstate : "");
	bool over = r == 0 || *why_not || (first && r == -EAGAIN);
	m->look_at = r == 0 || (!first && r == -EAGAIN) ? 0 : retry_at(m, r);
	m->clock_at = r == 0 || *why_not ? clock_monotonic_us() + b->config.look_s * INT64_C(1000000)
					 : clock_monotonic_us() + RETRY_US;
	return over;
}

/* A table that was not there: whether it is now. True: then it is looked at first. */
static bool has_come(struct backend *b, struct open_worker *worker, slot model)
{
	struct store_target target = {0};
	struct error err = {0};
	int r = builder_prepare(worker, model, false, &target, &err);
	LOCKED(&b->lock);
	if (r == 0)
		model_target(&b->runtime[model], &target);
	if (r == 0 && target.look)
		look_begin_anew(b, model);
	return r == 0 && target.look;
}

/* Nothing is there to be looked at. */
static void look_at_nothing(struct backend *b, struct open_worker *worker, slot model, uint64_t asked)
{
	bool here;
	{
		LOCKED(&b->lock);
		here = !models_why_not(b->models, model);
	}
	if (here && has_come(b, worker, model)) {
		changed(b, model, backend_existing(b, model));
		return;
	}
	{
		LOCKED(&b->lock);
		b->runtime[model].answered = asked;
		b->runtime[model].looked_at = clock_now_us(b->config.clock);
	}
	look_answer(b, 0);
}

/* Of a table that is met for the first time nothing may be known that could have gone from it. */
static const char *gone_words(const struct finding *f, char *out, size_t size)
{
	*out = '\0';
	if (!f->first || f->gone)
		snprintf(out, size, ", %zu whose rows are gone", f->gone);
	return out;
}

void look_run(struct backend *b, struct open_worker *worker, slot model, enum look_kind kind)
{
	struct finding f;
	struct error err = {0};
	char gone[64];
	uint64_t asked;
	unsigned anew;
	bool exists;
	{
		LOCKED(&b->lock);
		anew = b->runtime[model].anew;
		asked = b->runtime[model].asked;
		exists = b->runtime[model].exists;
	}
	if (kind == LOOK_ASKED && !exists) {
		look_at_nothing(b, worker, model, asked);
		return;
	}
	finding_init(&f, b, kind == LOOK_FIRST);
	int r = builder_look(worker, model, kind, &f.sink, &err);
	bool news;
	{
		LOCKED(&b->lock);
		struct model_runtime *m = &b->runtime[model];
		auto_free char *before = m->look_failed ? strdup(m->look_failed) : NULL;
		bool looked = ledger_looked(b->ledger, model);
		if (note_end(b, model, kind, r, &err, &f, anew) && kind != LOOK_CLOCK)
			m->answered = asked;
		news = strcmp(before ? before : "", m->look_failed ? m->look_failed : "") != 0 ||
		       looked != ledger_looked(b->ledger, model);
		b->held_due = b->woken = true;
		control_wake(b);
		if (news)
			touch_model(b, model);
	}
	if (r < 0 && r != -ECANCELED && r != -EAGAIN)
		log_write(b->config.log, news ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG,
			  "the table of %s cannot be looked at yet: %s", dir_of(b, model), err.text);
	if (f.adopted + f.gone > 0)
		log_info(b->config.log, "%s: %s with rows that somebody else has written%s", dir_of(b, model),
			 count_of(f.adopted, "batch", "batches").text, gone_words(&f, gone, sizeof gone));
	/* Whether it may be built shows in the mode of its batches. */
	if (news) {
		changed(b, model, backend_existing(b, model));
		changed_readers(b, model, backend_existing(b, model));
	}
	look_answer(b, 0);
}

/* With the lock. Whether all that it waits for is over; then its result is known. */
static bool is_over(const struct backend *b, struct waiter *waiter)
{
	struct look_wait *w = (struct look_wait *)waiter;
	size_t failed = 0;
	for (size_t i = 0; i < w->n; i++) {
		const struct model_runtime *m = &b->runtime[w->of[i].model];
		if (m->answered < w->of[i].number && has_table(b, w->of[i].model))
			return false;
		/* The first look is one that nobody has to ask for. */
		if (look_is_due(b, w->of[i].model))
			return false;
		failed += m->look_failed || !has_table(b, w->of[i].model);
	}
	w->waiter.result = w->n && failed == w->n ? -ENODATA : 0;
	return true;
}

void look_answer(struct backend *b, int err)
{
	waiters_answer(b, &b->look_waits, err, is_over, waiter_answer);
}

/* With the lock. The number of a look that has not begun. */
static void ask(struct backend *b, slot model)
{
	struct model_runtime *m = &b->runtime[model];
	m->asked++;
	m->look_at = 0;
	lane_wake(&b->lanes[LANE_LOOK]);
}

void backend_look(struct backend *b, const slot *models, size_t n, bool now,
		  void (*done)(void *ctx, int result), void *ctx)
{
	struct look_wait *w = done ? calloc(1, sizeof *w + n * sizeof w->of[0]) : NULL;
	if (w)
		*w = (struct look_wait){.waiter = {.done = done, .ctx = ctx}, .n = n};
	{
		LOCKED(&b->lock);
		for (size_t i = 0; i < n; i++) {
			if (now && has_table(b, models[i]))
				ask(b, models[i]);
			if (w)
				w->of[i] = (struct look_member){models[i], b->runtime[models[i]].asked};
		}
		if (w && b->threads && !b->stopping) {
			STAILQ_INSERT_TAIL(&b->look_waits, &w->waiter, link);
			w = NULL;
			done = NULL;
		}
	}
	if (done)
		done(ctx, w ? -ECANCELED : -ENOMEM);
	free(w);
	look_answer(b, 0);
}

bool backend_looking(const struct backend *b, slot model)
{
	LOCKED(lock_of(b));
	return look_is_due(b, model) || b->runtime[model].held > 0;
}
