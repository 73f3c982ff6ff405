/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezing and protecting: requests that build nothing. The store keeps what is frozen from being built;
 * here what is queued and frozen is taken out of the queue, whoever froze it and whenever that became known.
 */
#include <sys/random.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/calendar.h"
#include "backend/engine.h"
#include "backend/freeze.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/ask.h"
#include "backend/schedule/freeze.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/refuse.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/take_back.h"

/* The store need not agree at once that the batch only waits: not tried again sooner. */
#define AGAIN_US 50000

static int send_one(struct backend *b, struct ask_group *g, const struct backend_freeze *f,
		    enum request_kind kind, slot model, struct ordinal_range batches)
{
	struct ask *a = ask_new(b, g, model, NULL);
	if (!a)
		return -ENOMEM;
	a->request.kind = kind;
	a->request.batches = batches;
	a->request.uid = f->uid;
	a->pid = f->pid;
	ssize_t n = getrandom(a->request.uuid, sizeof a->request.uuid, 0);
	(void)n; /* as for a request to build */
	ask_send(b, a);
	return 0;
}

/* Why the part cannot be frozen or thawed; why->err 0: it can. */
static void check(struct backend *b, const struct backend_freeze *f, const struct backend_part *p,
		  struct error *why)
{
	const char *dir = dir_of(b, p->model);
	if (b->config.read_only) {
		error_set(why, EROFS, "%s: this mount is read only (-o ro)", dir);
		return;
	}
	if (p->states) {
		error_set(why, EPERM,
			  "%s: a set of states cannot be frozen: freeze a batch, a period or a range", dir);
		return;
	}
	/* Whether another mount has begun one the store finds out. */
	LOCKED(&b->lock);
	ordinal begun = f->freeze ? first_begun(b, p->model, p->batches) : p->batches.end;
	if (begun < p->batches.end)
		freeze_busy(why, facts_of(b, p->model), begun);
	else if (f->freeze && ledger_refresh(b->ledger, p->model)->phase == REFRESH_FIRST)
		freeze_too_late(why, facts_of(b, p->model));
}

static int refused(struct backend *b, const struct backend_freeze *f)
{
	for (size_t i = 0; i < f->n_parts; i++) {
		struct error why = {0};
		check(b, f, &f->parts[i], &why);
		if (why.err)
			return refuse_part(b, f->file, &f->parts[i], f->uid, &why);
	}
	return 0;
}

void backend_freeze(struct backend *b, const struct backend_freeze *f)
{
	int err = refused(b, f);
	struct ask_group *g = err < 0 ? NULL : group_new(f->done, f->ctx);
	if (!g) {
		f->done(f->ctx, err < 0 ? err : -ENOMEM);
		return;
	}
	for (size_t i = 0; i < f->n_parts && err == 0; i++)
		if (f->parts[i].batches.first < f->parts[i].batches.end)
			err = send_one(b, g, f, f->freeze ? REQUEST_FREEZE : REQUEST_THAW, f->parts[i].model,
				       f->parts[i].batches);
	group_leave(g, err);
}

void backend_protect(struct backend *b, slot model, const struct backend_freeze *f)
{
	const struct backend_file file = {.model = model, .full_refresh = true};
	const char *dir = dir_of(b, model);
	bool config;
	ordinal begin;
	{
		LOCKED(&b->lock);
		const struct model *m = facts_of(b, model);
		config = m->full_refresh == TRI_FALSE;
		begin = calendar_ordinal(m->batch_size, m->begin);
	}
	int err = 0;
	if (b->config.read_only)
		err = backend_refuse(b, &file, f->uid, EROFS, "%s: this mount is read only (-o ro)", dir);
	else if (!f->freeze && (config || b->config.protect))
		err = backend_refuse(b, &file, f->uid, EPERM,
				     "%s stays protected, because %s: chmod cannot lift that", dir,
				     config ? "its dbt config says full_refresh: false"
					    : "this mount was made with -o protect");
	struct ask_group *g = err < 0 ? NULL : group_new(f->done, f->ctx);
	if (!g) {
		f->done(f->ctx, err < 0 ? err : -ENOMEM);
		return;
	}
	group_leave(g, send_one(b, g, f, f->freeze ? REQUEST_PROTECT : REQUEST_UNPROTECT, model,
				(struct ordinal_range){begin, begin}));
}

void freeze_recorded(struct backend *b, const struct store_request *r)
{
	struct store_freeze f = {.batches = r->batches, .uid = r->uid, .command = r->command, .at = r->at};
	int err = 0;
	switch (r->kind) {
	case REQUEST_FREEZE:
	case REQUEST_PROTECT:
		err = ledger_freeze(b->ledger, r->model, &f);
		break;
	case REQUEST_THAW:
		err = ledger_thaw(b->ledger, r->model, r->batches);
		break;
	case REQUEST_UNPROTECT:
		ledger_unprotect(b->ledger, r->model);
		break;
	case REQUEST_BUILD:
	case REQUEST_FULL:
	case REQUEST_REASON:
	case REQUEST_CANCEL:
		break;
	}
	if (err < 0)
		log_error(b->config.log, "no memory for a freeze of %s", dir_of(b, r->model));
	b->runtime[r->model].cancel_frozen_at = 0;
}

/* With the lock. Whether something was found. */
static bool cancel_frozen_of(struct backend *b, slot model, int64_t now)
{
	struct ordinal_range rest = ledger_recorded(b->ledger, model);
	struct store_outcome out = {
		.kind = SETTLE_CANCELLED, .model = model, .started = now, .finished = now};
	struct outcome *last = NULL;
	const struct requester *by = NULL;
	bool any = false;
	for (;;) {
		struct ordinal_range frozen = ledger_next_frozen(b->ledger, model, rest);
		rest.first = frozen.end;
		while (frozen.first < frozen.end) {
			struct ledger_waiting w = ledger_next_waiting(b->ledger, model, frozen, false);
			frozen.first = w.batches.end;
			if (w.batches.first >= w.batches.end || outcome_join(last, by, &w))
				continue;
			out.batch = w.batches.first;
			out.count = w.batches.end - w.batches.first;
			out.request = w.request;
			out.wanted = out.lowest = w.wanted;
			out.last = w.attempt;
			last = outcome_queue(b, &out, NULL);
			if (last)
				last->put_back = w.put_back;
			by = w.by;
			any = true;
		}
		if (rest.first >= rest.end)
			return any;
	}
}

bool freezes_cancel(struct backend *b)
{
	int64_t now = clock_monotonic_us();
	bool any = false;
	LOCKED(&b->lock);
	for (slot i = 0; i < models_end(b->models); i++) {
		struct model_runtime *m = &b->runtime[i];
		if (ledger_queued(b->ledger, i) == 0 || now < m->cancel_frozen_at)
			continue;
		if (cancel_frozen_of(b, i, clock_now_us(b->config.clock))) {
			m->cancel_frozen_at = now + AGAIN_US;
			any = true;
		}
	}
	return any;
}
